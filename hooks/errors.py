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
    """The request cannot be answered as it stands. headers: of the answer; reason: a code for the log alone."""

    status = 400
    headers: tuple[tuple[str, str], ...] = ()
    reason = ""

    def __init__(self, *issues: Issue) -> None:
        super().__init__("; ".join(issue.diagnostics for issue in issues))
        self.issues = issues


class DataMissing(RequestError):
    """Data without which nothing can be said was not given (R64, R78)."""

    status = 412


class Unauthenticated(RequestError):
    """Nobody we know, or a token that is not in order. All of them look alike to the caller (R164)."""

    status = 401
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self, reason: str) -> None:
        super().__init__(Issue("login", "a call needs a valid token of a registered client: Authorization: Bearer JWT"))
        self.reason = reason


class TooManyCalls(RequestError):
    """The client calls more often than it may. seconds: after which it may again."""

    status = 429
    reason = "rate"

    def __init__(self, seconds: int) -> None:
        super().__init__(Issue("throttled", "the client calls more often than agreed: Retry-After says when to go on"))
        self.headers = (("Retry-After", str(seconds)),)


class TrustUnavailable(RequestError):
    """Whether a token is good cannot be found out at this moment, so it is not taken for good."""

    status = 503
    headers = (("Retry-After", "5"),)

    def __init__(self, reason: str) -> None:
        super().__init__(Issue("transient", "tokens cannot be checked at this moment: try again in a few seconds"))
        self.reason = reason


class LedgerUnavailable(RequestError):
    """What should be kept cannot be at this moment. cause: in the words of the database; for the operator alone."""

    status = 503
    headers = (("Retry-After", "5"),)

    def __init__(self, reason: str, cause: str = "") -> None:
        super().__init__(Issue("transient", "this cannot be stored at this moment: try again in a few seconds"))
        self.reason = f"ledger-{reason}"
        self.cause = cause


class Unavailable(Exception):
    """Something that another server should have sent could not be had.

    reason: a code for the log. passing: another try may bring it. is_up: the server as such works.
    """

    def __init__(self, reason: str, passing: bool = False, is_up: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing
        self.is_up = is_up


class SettingsError(Exception):
    """The configuration cannot be used; the message names the key and what would be right."""


class PopulationError(Exception):
    """A population cannot be replayed; the message names the file or option and what would be right."""


ISSUE_CODES = {
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
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
