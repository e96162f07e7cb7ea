"""Examples of the profiles, from the sample charts: findings as charts hold them, orders as cards suggest them."""

from collections.abc import Iterator
from typing import Any

from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from fhir_profiles import samples
from fhir_profiles.conformance.profiles import FINDING, INTAKE, MEASURED, ORDER, profile_url
from fhir_profiles.conformance.resource import Resource
from fhir_profiles.read_answers import ANSWERED
from fhir_profiles.reference import sample_cards
from fhir_profiles.suggestions import Orders
from fhir_profiles.terminology import Knowledge

_KEPT = {
    "Observation": (
        "status",
        "category",
        "code",
        "effectiveDateTime",
        "valueBoolean",
        "valueInteger",
        "valueQuantity",
        "bodySite",
    ),
    "QuestionnaireResponse": ("questionnaire", "status", "authored", "item"),
    "Patient": ("gender", "birthDate"),
}
"""What an example is about; what leads to resources outside the package is left out."""


def examples(knowledge: Knowledge) -> list[Resource]:
    """Every finding and every kind of order that the charts have, once; every intake form; and whose they are."""
    orders, people = Orders(knowledge), {}
    found: dict[tuple[str, str], Resource] = {}
    for name in samples.names():
        chart = samples.load(name)
        people[f"Patient/{_person(name)}"] = _kept(_of_type(chart, "Patient")[0], _person(name))
        for example in (*_recorded(name, chart, knowledge), *_suggested(name, chart, knowledge, orders)):
            found.setdefault((example["resourceType"], example["id"]), example)
    whose = {example["subject"]["reference"] for example in found.values()}
    return [*(person for reference, person in people.items() if reference in whose), *found.values()]


def _person(name: str) -> str:
    return f"example-{name}"


def _of_type(chart: Resource, kind: str) -> list[Resource]:
    return [entry["resource"] for entry in chart["entry"] if entry["resource"]["resourceType"] == kind]


def _recorded(name: str, chart: Resource, knowledge: Knowledge) -> Iterator[Resource]:
    for observation in _of_type(chart, "Observation"):
        codings = ((coding.get("system"), coding.get("code")) for coding in observation["code"].get("coding", ()))
        for finding in sorted(knowledge.concepts(codings)):
            if finding in BOOLEAN_FINDINGS and "valueBoolean" in observation:
                yield _example(observation, f"finding-{finding}", FINDING, name)
            elif finding in NUMERIC_FINDINGS:
                yield _example(observation, f"measured-{finding}", MEASURED, name)
    for response in _of_type(chart, "QuestionnaireResponse"):
        if response["status"] in ANSWERED:
            yield _example(response, f"intake-{name}", INTAKE, name)


def _example(resource: Resource, id_: str, profile: str, name: str) -> Resource:
    return _kept(resource, id_, profile) | {"subject": {"reference": f"Patient/{_person(name)}"}}


def _kept(resource: Resource, id_: str, profile: str = "") -> Resource:
    kind = resource["resourceType"]
    meta = {"meta": {"profile": [profile_url(profile)]}} if profile else {}
    return {"resourceType": kind, "id": id_, **meta} | {key: resource[key] for key in _KEPT[kind] if key in resource}


def _suggested(name: str, chart: Resource, knowledge: Knowledge, orders: Orders) -> Iterator[dict[str, Any]]:
    """As an EHR gets them, but with an id and the profile; what they rest on is in the sample chart.

    Charts that refer by URN are passed over: outside of its Bundle such a reference says nothing.
    """
    if chart["entry"][0]["fullUrl"].startswith("urn:"):
        return
    for card in sample_cards(name, knowledge):
        for suggestion in card.suggestions:
            order = orders.service_request(suggestion, f"Patient/{_person(name)}")
            head = {"resourceType": "ServiceRequest", "id": f"order-{suggestion.kind}"}
            yield head | {"meta": {"profile": [profile_url(ORDER)]}} | order
