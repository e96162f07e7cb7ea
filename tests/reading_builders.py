"""FHIR resources and calls for the tests of reading: each says only what matters to its test."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from cds.facts import Chart
from fhir_profiles.codes import FINDING, QUESTIONNAIRE
from fhir_profiles.reading import read_chart
from fhir_profiles.record import Gathered
from fhir_profiles.terminology import Knowledge, load_knowledge

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
EHR = "https://ehr.example.org/fhir"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"


@cache
def knowledge() -> Knowledge:
    return load_knowledge()


def day(days_ago: float) -> str:
    return (AT - timedelta(days=days_ago)).date().isoformat()


def code(concept: str) -> dict:
    """The first standard code of a concept, without text, so that the display is that of the value set."""
    listed = next(each for each in knowledge().value_sets[concept].codes if each.origin != "own")
    return codeable(listed.system, listed.code)


def own(finding: str) -> dict:
    return codeable(FINDING, finding)


def codeable(system: str, value: str) -> dict:
    return {"coding": [{"system": system, "code": value}]}


def quantity(value: float, unit: str | None = None, **more) -> dict:
    return {"value": value} | ({"unit": unit, "code": unit} if unit else {}) | more


def resource(kind: str, /, **elements) -> dict:
    """Absent elements are those given as None."""
    return {"resourceType": kind} | {key: value for key, value in elements.items() if value is not None}


def condition(concept: str = "back-pain", **elements) -> dict:
    given = {"id": "c1", "clinicalStatus": {"coding": [{"code": "active"}]}, "code": code(concept)}
    return resource("Condition", **given | elements)


def observation(finding: str = "night-pain", **elements) -> dict:
    given = {"id": "o1", "status": "final", "code": own(finding), "effectiveDateTime": day(1)}
    return resource("Observation", **given | elements)


def laboratory(concept: str, value: float | None = None, unit: str | None = None, **elements) -> dict:
    given = {"code": code(concept), "valueQuantity": quantity(value, unit) if value is not None else None}
    return observation(**given | elements)


def response(authored: str | None = day(1), status: str = "completed", id: str = "q1", **answers) -> dict:
    """answers: finding (with _ for -) = one answer such as {"valueBoolean": True}, or a list of them."""
    items = [
        {"linkId": finding.replace("_", "-"), "answer": answer if isinstance(answer, list) else [answer]}
        for finding, answer in answers.items()
    ]
    return resource(
        "QuestionnaireResponse", id=id, status=status, questionnaire=QUESTIONNAIRE, authored=authored, item=items
    )


def prescription(concept: str = "nsaid", **elements) -> dict:
    given = {"id": "m1", "status": "active", "intent": "order", "authoredOn": day(10)}
    if "medicationReference" not in elements:
        given["medicationCodeableConcept"] = code(concept)
    return resource("MedicationRequest", **given | elements)


def statement(concept: str = "nsaid", **elements) -> dict:
    given = {"id": "s1", "status": "active", "medicationCodeableConcept": code(concept)}
    return resource("MedicationStatement", **given | elements)


def procedure(concept: str = "physical-therapy", **elements) -> dict:
    given = {"id": "p1", "status": "completed", "code": code(concept), "performedDateTime": day(20)}
    return resource("Procedure", **given | elements)


def order(concept: str = "mri-lumbar", **elements) -> dict:
    given = {"id": "r1", "status": "active", "intent": "order", "code": code(concept), "authoredOn": day(5)}
    return resource("ServiceRequest", **given | elements)


def report(concept: str = "mri-lumbar", **elements) -> dict:
    given = {"id": "d1", "status": "final", "code": code(concept), "effectiveDateTime": day(3)}
    return resource("DiagnosticReport", **given | elements)


def study(concept: str = "mri-lumbar", **elements) -> dict:
    given = {"id": "i1", "status": "available", "procedureCode": [code(concept)], "started": day(3)}
    return resource("ImagingStudy", **given | elements)


def allergy(concept: str = "nsaid-allergy", **elements) -> dict:
    return resource("AllergyIntolerance", **{"id": "a1", "code": code(concept)} | elements)


def encounter(**elements) -> dict:
    return resource("Encounter", **{"id": "e1", "status": "in-progress"} | elements)


def patient(**elements) -> dict:
    return resource("Patient", **{"id": "p1", "birthDate": "1976-08-12", "gender": "female"} | elements)


def bundle(*resources: dict, **elements) -> dict:
    """A searchset; an argument that is an entry already stays one."""
    entries = [each if "resource" in each else {"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries} | elements


def gathered(*resources: dict, **given) -> Gathered:
    """A call about patient p1 whose one search gave these resources; `given` replaces what else it brought."""
    call = {
        "patient_id": "p1",
        "fhir_server": EHR,
        "encounter_id": "",
        "patient": patient(),
        "bundles": {"Condition": [bundle(*resources)]},
        "encounter": None,
        "drafts": None,
        "selections": None,
        "missing": frozenset(),
    } | given
    for key in ("patient", "encounter", "drafts"):
        call[key] = encoded(call[key]) if call[key] is not None else None
    call["bundles"] = {kind: [encoded(each) for each in found] for kind, found in call["bundles"].items()}
    return Gathered(**call)


def encoded(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def chart(*resources: dict, at: datetime = AT, zone: ZoneInfo = UTC_ZONE, **given) -> Chart:
    return read_chart(gathered(*resources, **given), at, zone, knowledge())


def rows(table: dict[str, tuple]) -> dict[str, list]:
    """A table of situations for pytest.mark.parametrize: each row's name tells what it is about."""
    return {"argvalues": list(table.values()), "ids": list(table)}
