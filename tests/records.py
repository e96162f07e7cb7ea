"""Short ways to write a FHIR record for a test, and to have it judged.

Dates count back from AT: `days_ago=3`, or `date="2026-03"` as it would be recorded, or `days_ago=None` for none.
Concepts stand for the first standard code of their value set; pass `code=(system, code)` for another.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cds.answers import Answer
from cds.evaluation import Evaluation, evaluate
from cds.limits import Limits
from cds.triage import triage
from fhir_profiles.reading import read_chart
from fhir_profiles.record import Gathered
from fhir_profiles.terminology import Knowledge, load_knowledge

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PATIENT_ID = "p1"
OWN = "https://backpain-cds.example.org/fhir/CodeSystem/finding"
FORM = "https://backpain-cds.example.org/fhir/Questionnaire/red-flags"
SEARCHED = (
    "Condition",
    "Observation",
    "QuestionnaireResponse",
    "MedicationRequest",
    "MedicationStatement",
    "Procedure",
    "ServiceRequest",
    "DiagnosticReport",
)
_ids = count(1)


@cache
def knowledge() -> Knowledge:
    return load_knowledge()


class Judged(NamedTuple):
    """What the service makes of a record."""

    evaluation: Evaluation
    hook: str

    def answer(self, criterion: str) -> Answer:
        return self.evaluation.answers[criterion]

    def status(self, criterion: str) -> str:
        return self.answer(criterion).status

    def cards(self) -> dict[str, str]:
        """Group -> indicator of each card (order hooks: criterion -> indicator)."""
        sections = triage(self.evaluation.case, self.hook)
        key = (lambda s: s.criteria[0]) if self.hook.startswith("order") else (lambda s: s.group)
        return {key(section): section.indicator for section in sections}

    def on_card(self, group: str) -> tuple[str, ...]:
        """Ids of the criteria on the card of that group, () when there is none."""
        sections = triage(self.evaluation.case, self.hook)
        return next((section.criteria for section in sections if section.group == group), ())


def judge(
    *resources: Mapping[str, Any],
    born: str | None = "1976-08-12",
    sex: str = "female",
    patient: Mapping[str, Any] | None = None,
    hook: str = "patient-view",
    missing: Iterable[str] = (),
    drafts: Iterable[Mapping[str, Any]] = (),
    encounter: Mapping[str, Any] | None = None,
    at: datetime = AT,
    zone: str = "UTC",
    disabled: Iterable[str] = (),
    **limits: float,
) -> Judged:
    """Evaluate the resources as the complete record of one patient; `missing`: resource types not available."""
    person = patient or {
        "resourceType": "Patient",
        "id": PATIENT_ID,
        "gender": sex,
        **({"birthDate": born} if born else {}),
    }
    by_type: dict[str, list] = {kind: [] for kind in SEARCHED if kind not in set(missing)}
    for resource in resources:
        by_type.setdefault(resource["resourceType"], []).append({"resource": resource})
    gathered = Gathered(
        patient_id=PATIENT_ID,
        fhir_server="https://ehr.example.org/fhir",
        encounter_id="e1" if encounter else "",
        patient=json.dumps(person).encode(),
        bundles={kind: [bundle(entries)] for kind, entries in by_type.items() if kind not in set(missing)},
        encounter=json.dumps(encounter).encode() if encounter else None,
        drafts=bundle([{"resource": draft} for draft in drafts]) if hook.startswith("order") else None,
        selections=None,
        missing=frozenset(missing),
    )
    site = ZoneInfo(zone)
    chart = read_chart(gathered, at, site, knowledge())
    return Judged(evaluate(chart, at, site, Limits(**limits), frozenset(disabled)), hook)


def bundle(entries: list[Mapping[str, Any]]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode()


def ago(days: int) -> str:
    """The calendar day so many days before AT."""
    return (AT.date() - timedelta(days=days)).isoformat()


def on(days_ago: int | None, date: str | None) -> str | None:
    return date or (None if days_ago is None else ago(days_ago))


@cache
def standard_code(concept: str) -> tuple[str, str]:
    """The first code of the value set that is not our own, else our own."""
    codes = knowledge().value_sets[concept].codes
    code = next((c for c in codes if c.system != OWN), codes[0])
    return code.system, code.code


def coded(concept: str, code: tuple[str, str] | None = None, *beside: tuple[str, str]) -> dict[str, Any]:
    codings = [code or standard_code(concept), *beside]
    return {"coding": [{"system": system, "code": value} for system, value in codings], "text": concept}


def own(finding: str) -> tuple[str, str]:
    """The finding's code in our own CodeSystem."""
    return OWN, finding


def resource(kind: str, **elements: Any) -> dict[str, Any]:
    """A resource of the patient with an id; elements that are None are left out."""
    given = {key: value for key, value in elements.items() if value is not None}
    return {
        "resourceType": kind,
        "id": f"{kind.lower()}-{next(_ids)}",
        "subject": {"reference": f"Patient/{PATIENT_ID}"},
        **given,
    }


def condition(
    concept: str,
    days_ago: int | None = 10,
    date: str | None = None,
    status: str | None = "active",
    verification: str | None = "confirmed",
    code: tuple[str, str] | None = None,
    severity: str | None = None,
    **elements: Any,
) -> dict[str, Any]:
    """A Condition with an onsetDateTime. severity: "mild", "moderate" or "severe"."""
    degree = {"severe": "24484000", "moderate": "6736007", "mild": "255604002"}.get(severity or "")
    clinical = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": status}
    verified = {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": verification}
    return resource(
        "Condition",
        clinicalStatus={"coding": [clinical]} if status else None,
        verificationStatus={"coding": [verified]} if verification else None,
        severity={"coding": [{"system": "http://snomed.info/sct", "code": degree}]} if degree else None,
        code=coded(concept, code),
        onsetDateTime=on(days_ago, date),
        **elements,
    )


def observation(
    concept: str,
    value: Any = None,
    unit: str | None = None,
    days_ago: int | None = 1,
    date: str | None = None,
    status: str = "final",
    code: tuple[str, str] | None = None,
    comparator: str | None = None,
    **elements: Any,
) -> dict[str, Any]:
    """An Observation; value: bool, a number (Quantity in `unit`, UCUM), a (system, code) pair, or None."""
    return resource(
        "Observation",
        status=status,
        code=coded(concept, code),
        effectiveDateTime=on(days_ago, date),
        **value_x(value, unit, comparator),
        **elements,
    )


def value_x(value: Any, unit: str | None = None, comparator: str | None = None) -> dict[str, Any]:
    """value[x] for a Python value."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, tuple):
        return {"valueCodeableConcept": {"coding": [{"system": value[0], "code": value[1]}]}}
    if isinstance(value, str):
        return {"valueString": value}
    quantity = {
        "value": value,
        "system": "http://unitsofmeasure.org",
        "code": unit,
        "unit": unit,
        "comparator": comparator,
    }
    return {"valueQuantity": {key: given for key, given in quantity.items() if given is not None}}


def form(
    answers: Mapping[str, Any],
    days_ago: int | None = 1,
    date: str | None = None,
    status: str = "completed",
    **elements: Any,
) -> dict[str, Any]:
    """Our intake form answered: finding -> True, False or a number."""
    items = [{"linkId": finding, "answer": [_answer(value)]} for finding, value in answers.items()]
    return resource(
        "QuestionnaireResponse",
        questionnaire=FORM,
        status=status,
        authored=on(days_ago, date),
        item=items,
        **elements,
    )


def _answer(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    return {"valueInteger": value} if isinstance(value, int) else {"valueDecimal": value}


def medicine(
    concept: str,
    days_ago: int | None = 45,
    status: str = "active",
    route: tuple[str, str] | None = None,
    code: tuple[str, str] | None = None,
    **elements: Any,
) -> dict[str, Any]:
    """A MedicationRequest."""
    return resource(
        "MedicationRequest",
        status=status,
        intent="order",
        medicationCodeableConcept=coded(concept, code),
        authoredOn=on(days_ago, None),
        dosageInstruction=[{"route": coded("route", route)}] if route else None,
        **elements,
    )


def statement(concept: str, days_ago: int | None = 45, status: str = "active", **elements: Any) -> dict[str, Any]:
    """A MedicationStatement."""
    return resource(
        "MedicationStatement",
        status=status,
        medicationCodeableConcept=coded(concept),
        effectiveDateTime=on(days_ago, None),
        **elements,
    )


def procedure(concept: str, days_ago: int | None = 30, status: str = "completed", **elements: Any) -> dict[str, Any]:
    return resource("Procedure", status=status, code=coded(concept), performedDateTime=on(days_ago, None), **elements)


def order(
    concept: str, days_ago: int | None = 5, status: str = "active", intent: str = "order", **elements: Any
) -> dict[str, Any]:
    """A ServiceRequest, dated by authoredOn."""
    return resource(
        "ServiceRequest",
        status=status,
        intent=intent,
        code=coded(concept),
        authoredOn=on(days_ago, None),
        **elements,
    )


def draft(concept: str, **elements: Any) -> dict[str, Any]:
    """A draft ServiceRequest of an order hook."""
    return order(concept, days_ago=0, status="draft", **elements)


def encounter(concept: str, status: str = "in-progress", **elements: Any) -> dict[str, Any]:
    """The context's Encounter, with that reason."""
    return {**resource("Encounter", status=status, reasonCode=[coded(concept)], **elements), "id": "e1"}


def back_pain(days_ago: int | None = 10, **elements: Any) -> dict[str, Any]:
    """What most records begin with."""
    return condition("back-pain", days_ago, **elements)
