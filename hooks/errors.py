"""What can be wrong with a request or with the site's configuration, and how it is said (R56 to R59).

A message names the place and what would be right, never the value that stood there.
"""

from typing import Any, NamedTuple


class Issue(NamedTuple):
    """One issue of an OperationOutcome. code: FHIR issue-type; expression: the member's place in the request."""

    code: str
    diagnostics: str
    expression: str = ""
    severity: str = "error"


class RequestError(Exception):
    """The request cannot be answered as it stands."""

    status = 400

    def __init__(self, *issues: Issue) -> None:
        super().__init__("; ".join(issue.diagnostics for issue in issues))
        self.issues = issues


class DataMissing(RequestError):
    """Data without which nothing can be said was not given (R64, R78)."""

    status = 412


class SettingsError(Exception):
    """The configuration cannot be used; the message names the key and what would be right."""


ISSUE_CODES = {
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    413: "too-long",
    415: "not-supported",
    500: "exception",
    503: "throttled",
}
"""HTTP status -> FHIR issue-type, for errors that HTTP itself has a name for."""


def invalid(diagnostics: str, expression: str = "", code: str = "invalid") -> RequestError:
    """The request has a member that is not as it should be."""
    return RequestError(Issue(code, diagnostics, expression))


def operation_outcome(issues: tuple[Issue, ...]) -> dict[str, Any]:
    """A FHIR OperationOutcome (R57)."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    said = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.diagnostics}
    return said | {"expression": [issue.expression]} if issue.expression else said
