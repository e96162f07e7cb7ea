"""Charts of any size as patient-view requests: one story, and years of history that has nothing to do with it.

The story is the sample chart of a cauda equina syndrome without its intake form, moved to today, so that the answer
always has the same cards. The history repeats what the other sample charts hold of routine care, with the elements
that real servers send and nobody here reads (meta, identifiers, performers, notes). Nothing is random from run to
run but the day.
"""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from fhir_profiles import samples
from fhir_profiles.terminology import Knowledge, load_knowledge
from hooks.services import SEARCH_KEYS

STORY = "01-cauda-equina"
KNOWN_SHARE = 0.18
"""Of the history, the part whose codes mean something to us (weights, temperatures, pain scores, common medicines).
18 in 100 is what charts made by the Synthea generator have."""

Resource = dict[str, Any]

_BASE = "https://hospital.example.org/fhir"
_TOLD_BY = frozenset({"Patient", "Condition", "Observation", "MedicationRequest"})
_STORY_LENGTH = 14  # resources of the story in every chart, so that 20 leave room for some history
_TELLING = ("patient", "lumbago-sciatica", "retention", "saddle-numbness", "leg-weakness", "mrc", "pain")
_ROUTINE = frozenset(
    {"body-weight", "body-temperature", "pain-score", "wbc", "crp", "crp-order", "potassium", "calcium-total"}
    | {"analgesic", "nsaid", "blood-count-order"}
)
# What a long chart consists of. Types that the sample charts hardly have are made from those that they have.
_SHARES = {
    "Observation": 60,
    "MedicationRequest": 12,
    "Procedure": 10,
    "Condition": 10,
    "DiagnosticReport": 5,
    "MedicationStatement": 2,
    "ServiceRequest": 1,
}
_OLDEST_DAYS, _NEWEST_DAYS = 3650, 400  # history ends before every window of the catalogue begins


def request_body(resources: int, now: datetime, known_share: float = KNOWN_SHARE) -> bytes:
    """A patient-view request whose prefetch holds that many resources, the Patient among them.

    now: aware; the story is told as of that day. known_share: part of the history that the criteria could read.
    """
    story = _story(now)[:resources]
    patient = story[0]
    history = _history(resources - len(story), patient, now, known_share)
    prefetch: Resource = {"patient": patient}
    found: dict[str, list[Resource]] = {kind: [] for kind in SEARCH_KEYS.values()}
    for resource in (*story[1:], *history):
        found[resource["resourceType"]].append(resource)
    prefetch |= {key: _searchset(kind, found[kind], patient["id"]) for key, kind in SEARCH_KEYS.items()}
    request = {
        "hook": "patient-view",
        "hookInstance": "5f1f2f4c-6a3d-4a57-9f5e-3c1d0b8a7e21",
        "context": {"userId": "Practitioner/ward-7", "patientId": patient["id"]},
        "prefetch": prefetch,
    }
    return json.dumps(request, separators=(",", ":")).encode()


def body_of_size(octets: int, now: datetime) -> bytes:
    """The longest chart, to within a few resources, whose request is not larger."""
    sample = 2000
    each = len(request_body(sample, now)) / sample
    return request_body(int(octets * 0.99 / each), now)


def _searchset(kind: str, resources: list[Resource], patient: str) -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
        "link": [{"relation": "self", "url": f"{_BASE}/{kind}?patient={patient}"}],
        "entry": [
            {"fullUrl": f"{_BASE}/{kind}/{each['id']}", "resource": each, "search": {"mode": "match"}}
            for each in resources
        ],
    }


def _story(now: datetime) -> list[Resource]:
    """The Patient first, then what makes the cards, then the rest of that chart."""
    chart = samples.shifted(samples.load(STORY), now)
    told = [entry["resource"] for entry in chart["entry"] if entry["resource"]["resourceType"] in _TOLD_BY]
    telling = [each for each in told if each["id"].partition(".")[2].startswith(_TELLING)]
    rest = [each for each in told if each not in telling]
    return (telling + rest)[:_STORY_LENGTH]


def _history(length: int, patient: Resource, now: datetime, known_share: float) -> Iterator[Resource]:
    chance = Random(length)
    known, unknown = _templates(load_knowledge())
    kinds, weights = list(_SHARES), list(_SHARES.values())
    for number in range(length):
        (kind,) = chance.choices(kinds, weights)
        templates = known if chance.random() < known_share and kind in known else unknown
        at = now.astimezone(UTC) - timedelta(
            days=chance.randint(_NEWEST_DAYS, _OLDEST_DAYS), seconds=chance.randrange(36_000)
        )
        yield _entered(chance.choice(templates[kind]), number, patient, at, chance)


def _templates(knowledge: Knowledge) -> tuple[dict[str, list[Resource]], dict[str, list[Resource]]]:
    """Coded resources of the sample charts by type: those of routine care that mean something to us, and the rest."""
    known: dict[str, dict[str, Resource]] = {}
    unknown: dict[str, dict[str, Resource]] = {}
    for name in samples.names():
        for entry in samples.load(name)["entry"]:
            resource = entry["resource"]
            kind, codings = resource["resourceType"], _codings(resource)
            if kind not in _SHARES or not codings or "valueCodeableConcept" in resource:
                continue
            concepts = knowledge.concepts((each.get("system"), each.get("code")) for each in codings)
            if concepts <= _ROUTINE:
                known_or_not = known if concepts else unknown
                known_or_not.setdefault(kind, {})[str(codings)] = resource
    for made, source, change in _MADE:
        for templates in (known, unknown):
            if source in templates:
                templates[made] = {key: change(copy.deepcopy(each)) for key, each in templates[source].items()}
    return _lists(known), _lists(unknown)


def _lists(templates: dict[str, dict[str, Resource]]) -> dict[str, list[Resource]]:
    return {kind: [each for _, each in sorted(by_code.items())] for kind, by_code in templates.items()}


def _codings(resource: Resource) -> list[Resource]:
    return (resource.get("code") or resource.get("medicationCodeableConcept") or {}).get("coding", [])


def _statement(request: Resource) -> Resource:
    dosage = {"dosage": request["dosageInstruction"]} if "dosageInstruction" in request else {}
    taken = {key: request[key] for key in ("id", "medicationCodeableConcept", "subject")}
    return {"resourceType": "MedicationStatement", "status": "completed", **taken, **dosage}


def _report(observation: Resource) -> Resource:
    result = [{"reference": f"Observation/{observation['id']}", "display": observation["code"].get("text", "Result")}]
    kept = {key: observation[key] for key in ("id", "category", "code", "subject") if key in observation}
    said = {"conclusion": "Within the expected range for age and sex; no comparison available.", "result": result * 3}
    return {"resourceType": "DiagnosticReport", "status": "final", **kept, **said}


def _order(procedure: Resource) -> Resource:
    kept = {key: procedure[key] for key in ("id", "code", "subject")}
    return {"resourceType": "ServiceRequest", "status": "completed", "intent": "order", "priority": "routine", **kept}


_MADE: tuple[tuple[str, str, Callable[[Resource], Resource]], ...] = (
    ("MedicationStatement", "MedicationRequest", _statement),
    ("DiagnosticReport", "Observation", _report),
    ("ServiceRequest", "Procedure", _order),
)


def _entered(template: Resource, number: int, patient: Resource, at: datetime, chance: Random) -> Resource:
    """The template as another entry of this patient's chart, with what servers add to every resource."""
    kind, stamp = template["resourceType"], at.isoformat(timespec="seconds")
    resource = copy.deepcopy(template) | {
        "id": f"h{number:05}-{chance.getrandbits(48):012x}",
        "meta": {"versionId": str(chance.randint(1, 9)), "lastUpdated": stamp},
        "subject": {"reference": f"Patient/{patient['id']}", "display": "Maren Elise Holloway"},
        "encounter": {"reference": f"Encounter/v{at.toordinal()}", "display": "Office visit"},
    }
    for element in [name for name in resource if name in _DATES]:
        del resource[element]
    dated, actor = _ENTRY[kind]
    resource |= dict.fromkeys(dated, stamp)
    who = {"reference": f"Practitioner/{chance.randint(1, 40)}", "display": "Family Medicine, Building C"}
    resource |= {actor: [{"actor": who}] if kind == "Procedure" else [who] if actor == "performer" else who}
    if chance.random() < 0.3:
        resource["identifier"] = [{"system": f"{_BASE}/identifier", "value": str(chance.getrandbits(40))}]
    if chance.random() < 0.15:
        resource["note"] = [
            {"time": stamp, "text": "Reviewed with the patient (see letter); no change to the plan [routine]."}
        ]
    return resource


_DATES = frozenset(
    {"abatementDateTime", "authoredOn", "dateAsserted", "effectiveDateTime", "effectivePeriod", "issued"}
    | {"occurrenceDateTime", "onsetAge", "onsetDateTime", "onsetPeriod", "performedDateTime", "performedPeriod"}
    | {"recordedDate"}
)
# Type -> its elements for the date, and for who was responsible.
_ENTRY = {
    "Condition": (("onsetDateTime", "recordedDate"), "recorder"),
    "Observation": (("effectiveDateTime", "issued"), "performer"),
    "MedicationRequest": (("authoredOn",), "requester"),
    "MedicationStatement": (("effectiveDateTime", "dateAsserted"), "informationSource"),
    "Procedure": (("performedDateTime",), "performer"),
    "ServiceRequest": (("authoredOn", "occurrenceDateTime"), "requester"),
    "DiagnosticReport": (("effectiveDateTime", "issued"), "performer"),
}
