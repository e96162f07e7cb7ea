"""What a hook call lacks and who may be asked for it (R64 to R67, R72 to R75).

Only what is missing is asked for: a key that is absent, failed, or the first of several pages, and the Medications that
prescriptions refer to. `null` is an answer and is not asked again.
"""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from fhir_profiles.record import UNREADABLE
from hooks.errors import Issue
from hooks.outbound import Base, Server, may_ask, parse_base
from hooks.pages import Page, absent_medications, read_head, read_page
from hooks.repeats import Acknowledged, Recall
from hooks.request import Authorization, HookRequest
from hooks.services import ENCOUNTER_KEY, PATIENT_KEY

ERRAND = "backpain_cds.errand"
"""Where the WSGI environment of a call has its errand, when somebody can run it."""

_TOKEN = re.compile(r"[!-~]{1,8192}")  # visible ASCII: nothing that could end the header
HOLD_MEDICINES = frozenset(("medicationRequests", "medicationStatements"))
READ_KEYS = {PATIENT_KEY: "Patient", ENCOUNTER_KEY: "Encounter"}

_NOT_LISTED = Issue(
    "forbidden",
    "fhirServer was not asked: it should be one of the fhir_servers that are configured for this client",
    "fhirServer",
    "warning",
)


class Lacking(NamedTuple):
    """A prefetch key to be filled. query: as discovery has it, with its ids; first: the page that was sent."""

    key: str
    query: str
    first: Page | None = None


@dataclass
class Errand:
    """What one call needs from its FHIR server, and what became of it.

    body: of the call; whoever received it may have set it. request: set when the call is understood, and completed when
    the errand was run. lacking: what to fetch. failed: key -> reason code. remarks: what to say when too little was
    there. turned_away: nothing was fetched because too many calls wait for the same server. recall, acknowledged: what
    to ask the ledger, and what it said.
    """

    started: float = field(default_factory=time.monotonic)
    body: bytes = b""
    request: HookRequest | None = None
    server: Server | None = None
    scope: str = ""
    lacking: tuple[Lacking, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Issue, ...] = ()
    turned_away: bool = False
    recall: Recall | None = None
    acknowledged: Acknowledged = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether there is anything to do before the call can be answered."""
        return bool(self.lacking) or self.recall is not None


def plan(errand: Errand, templates: Mapping[str, str], listed: Collection[Base], development: bool) -> bool:
    """Find out what the errand's request lacks and who may be asked; whether there is anything to fetch.

    templates: prefetch key -> query, as in discovery. listed: the FHIR servers that the caller may name.
    """
    request = errand.request
    if request is None or not request.fhirServer:
        return False
    base = parse_base(request.fhirServer)
    if not may_ask(base, listed, development):
        errand.remarks = (_NOT_LISTED,)
        return False
    authorization = _authorization(request.fhirAuthorization)
    if authorization is None:
        return False
    errand.server = Server(base, authorization)
    errand.scope = _text(request.fhirAuthorization.scope) if request.fhirAuthorization else ""
    errand.lacking = tuple(_lacking(request, templates, base))
    return bool(errand.lacking)


def _authorization(given: Authorization | None) -> str | None:
    """The header; "" for an open server; None for a token of another kind, which we cannot use (R60, R72)."""
    if given is None:
        return ""
    token, kind = _text(given.access_token), _text(given.token_type)
    return f"Bearer {token}" if kind.lower() == "bearer" and _TOKEN.fullmatch(token) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _lacking(request: HookRequest, templates: Mapping[str, str], base: Base) -> list[Lacking]:
    ids = {"context.patientId": request.context.patientId, "context.encounterId": request.context.encounterId or ""}
    found = []
    for key, template in templates.items():
        is_whole, first = _given(key, request.prefetch.get(key), base)
        if not is_whole:
            query = template
            for name, value in ids.items():
                query = query.replace("{{" + name + "}}", value)
            found.append(Lacking(key, query, first))
    return found


def _given(key: str, value: msgspec.Raw | None, base: Base) -> tuple[bool, Page | None]:
    """Whether a prefetch value needs nothing more, and its page when it is the first of several."""
    if value is None:
        return False, None
    text = bytes(value)
    if text == b"null":
        return True, None
    head = read_head(text)
    if head is None or head.resourceType != READ_KEYS.get(key, "Bundle"):
        return False, None
    if key in READ_KEYS:
        return True, None
    goes_on = any(link.relation == "next" for link in head.link or ())
    refers = key in HOLD_MEDICINES and b'"medicationReference"' in text
    page = read_page(text) if goes_on or refers else None
    if goes_on or (page and absent_medications(page.entry or (), base)):
        return False, page
    return b'"OperationOutcome"' not in text or _is_remarked(text), None


class _Search(msgspec.Struct):
    mode: str | None = None


class _Outcome(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"{}")
    search: _Search | None = None


class _Remarked(msgspec.Struct):
    entry: list[_Outcome] = []


_remarked = msgspec.json.Decoder(_Remarked)


def _is_remarked(bundle: bytes) -> bool:
    """Whether every OperationOutcome in it is a remark on a search that went well (R67)."""
    try:
        entries = _remarked.decode(bundle).entry
    except UNREADABLE:
        return False
    heads = ((each, read_head(each.resource)) for each in entries)
    outcomes = [each for each, head in heads if head and head.resourceType == "OperationOutcome"]
    return all(each.search is not None and each.search.mode == "outcome" for each in outcomes)
