"""Answers to our Questionnaire as FHIR: one QuestionnaireResponse, and an Observation for each number."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from fhir_profiles.codes import BASE, FINDING, LOINC, UCUM

SUBMISSION = f"{BASE}/identifier/intake-submission"
"""System of the identifiers by which a repeated submission is recognized."""

NAMESPACE = uuid5(NAMESPACE_URL, SUBMISSION)
"""Of the UUIDs that are made from a submission."""

_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"
_PAIN_SEVERITY = {"system": LOINC, "code": "72514-3"}
_SCORE = {"system": UCUM, "code": "{score}", "display": "{score}"}
_SURVEY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}

Json = dict[str, Any]


class Said(Enum):
    """An answer that is neither yes nor no: the question was put, and the person does not know."""

    NOT_KNOWN = "not known"


Given = bool | int | float | Said
Answers = Mapping[str, Given]


def questionnaire_response(form: Json, answers: Answers, patient: str, authored: str, submission: str) -> Json:
    """The answers in the form's own order and groups; questions without an answer are left out.

    patient: its id; authored: a FHIR instant; submission: a UUID, the same whenever the same answers are sent again.
    """
    return {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"system": SUBMISSION, "value": submission},
        "questionnaire": f"{form['url']}|{form['version']}",
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": authored,
        "item": _items(form["item"], answers),
    }


def observations(
    form: Json, answers: Answers, patient: str, authored: str, submission: str, response: str
) -> list[Json]:
    """One for each number. response: reference of the QuestionnaireResponse that they come from."""
    return [
        {
            "resourceType": "Observation",
            "identifier": [{"system": SUBMISSION, "value": str(uuid5(UUID(submission), item["linkId"]))}],
            "status": "final",
            "category": [{"coding": [_SURVEY]}],
            "code": _code(item),
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": authored,
            "valueQuantity": _quantity(item, answers[item["linkId"]]),
            "derivedFrom": [{"reference": response}],
        }
        for item in questions(form["item"])
        if item["type"] in ("integer", "decimal") and isinstance(answers.get(item["linkId"]), int | float)
    ]


def submission_id(form_id: str, answers: Answers) -> str:
    """The same for the same answers on the same page, another for other answers."""
    said = ";".join(f"{link}={_text(answers[link])}" for link in sorted(answers))
    return str(uuid5(uuid5(NAMESPACE, form_id), said))


def questions(items: Sequence[Json]) -> Iterator[Json]:
    """The items that ask something, groups opened, in their order."""
    for item in items:
        if item["type"] != "group":
            yield item
        yield from questions(item.get("item", ()))


def unit_of(item: Json) -> Json:
    """The unit as a Coding; that of a score where the form names none."""
    return next((each["valueCoding"] for each in item.get("extension", ()) if each["url"] == _UNIT), _SCORE)


def _items(items: Sequence[Json], answers: Answers) -> list[Json]:
    found = []
    for item in items:
        said: Json = {"linkId": item["linkId"], "text": item["text"]}
        if item["type"] == "group":
            if below := _items(item["item"], answers):
                found.append(said | {"item": below})
        elif item["linkId"] in answers:
            found.append(said | {"answer": [_answer(item["type"], answers[item["linkId"]])]})
    return found


def _answer(kind: str, given: Given) -> Json:
    """What is not known has no value, and says why (FHIR R4, 2.4.5.4): "asked, but not known"."""
    name = f"value{kind.capitalize()}"
    if given is Said.NOT_KNOWN:
        return {f"_{name}": {"extension": [{"url": _ABSENT, "valueCode": "asked-unknown"}]}}
    return {name: given}


def _code(item: Json) -> Json:
    own = [each for each in item["code"] if each["system"] == FINDING]
    beside = [_PAIN_SEVERITY] if item["linkId"] == "pain-score" else []
    return {"coding": [*own, *beside], "text": own[0]["display"]}


def _quantity(item: Json, value: Given) -> Json:
    unit = unit_of(item)
    return {"value": value, "unit": unit["display"], "system": UCUM, "code": unit["code"]}


def _text(given: Given) -> str:
    return given.value if isinstance(given, Said) else repr(given)
