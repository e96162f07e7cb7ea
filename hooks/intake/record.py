"""The record that a form is about: fetched as for a hook call, judged as for a hook call."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from cds.card import Card
from cds.evaluation import Evaluation
from fhir_profiles.read_codes import cleaned
from fhir_profiles.record import UNREADABLE, Gathered
from hooks.errand import Errand, plan
from hooks.errors import Unavailable
from hooks.fetch import Fetcher
from hooks.outbound import parse_base
from hooks.pipeline import Site, judge
from hooks.request import Authorization, Context, HookRequest, gather
from hooks.services import PATIENT_KEY, SERVICES
from hooks.states import States

READ_SECONDS = 8.0
HOOK = "patient-view"
_DATE = len("1976-08-12")
_SERVICE = next(service for service in SERVICES.values() if service.hook == HOOK)


class Access(NamedTuple):
    """Whose record, where, and with which token."""

    base: str
    patient: str
    token: str
    scope: str


async def read_record(fetcher: Fetcher, site: Site, access: Access, development: bool) -> Gathered:
    """What the FHIR server has of the patient. Raises Unavailable without the Patient; "expired" for an old token."""
    bearer = Authorization(access.patient, access.token, "Bearer", access.scope)
    context = Context("Practitioner/unknown", access.patient)
    errand = Errand(request=HookRequest(HOOK, str(uuid4()), context, access.base, bearer, {}))
    plan(errand, site.templates[_SERVICE.id], (parse_base(access.base),), development)
    await fetcher.run(errand)
    if errand.request.prefetch.get(PATIENT_KEY) is None:
        reason = errand.failed.get(PATIENT_KEY, "connect")
        raise Unavailable("expired" if reason == "http-401" else reason)
    return gather(errand.request, _SERVICE)


def judged(gathered: Gathered, site: Site, at: datetime, states: States) -> tuple[Evaluation, list[Card]]:
    """Raises RecordError for what cannot be the record of the patient."""
    return judge(gathered, HOOK, site, at, states)


def with_answers(gathered: Gathered, saved: Sequence[Mapping[str, Any]]) -> Gathered:
    """The record and what was just written: a server may take a while until its search finds that."""
    bundles = {kind: list(given) for kind, given in gathered.bundles.items()}
    for resource in saved:
        if any(resource["id"] in _ids(bundle) for bundle in bundles.get(resource["resourceType"], ())):
            continue
        page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}]}
        bundles.setdefault(resource["resourceType"], []).append(msgspec.Raw(json.dumps(page).encode()))
    return gathered._replace(bundles=bundles)


def person(gathered: Gathered) -> str:
    """Name and birth date, for people to see whose form it is."""
    try:
        patient = msgspec.json.decode(bytes(gathered.patient or b"null"), type=_Patient)
    except msgspec.DecodeError:
        return "Name not recorded"
    named = sorted(patient.name, key=lambda each: each.use not in ("official", "usual", None))
    name = next((text for each in named if (text := cleaned(each.words))), "Name not recorded")
    born = cleaned(patient.birthDate or "")[:_DATE]
    return f"{name}, born {born}" if born else name


def _ids(bundle: msgspec.Raw) -> frozenset[str | None]:
    try:
        return frozenset(entry.resource.id for entry in msgspec.json.decode(bundle, type=_Page).entry)
    except UNREADABLE:
        return frozenset()


class _Head(msgspec.Struct):
    id: str | None = None


class _Entry(msgspec.Struct):
    resource: _Head = msgspec.field(default_factory=_Head)


class _Page(msgspec.Struct):
    entry: list[_Entry] = []


class _Name(msgspec.Struct):
    use: str | None = None
    text: str | None = None
    family: str | None = None
    given: list[str] = []

    @property
    def words(self) -> str:
        return self.text or " ".join(filter(None, (*self.given, self.family)))


class _Patient(msgspec.Struct):
    name: list[_Name] = []
    birthDate: str | None = None
