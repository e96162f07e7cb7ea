"""Everything that is published as FHIR, judged by validators that this project did not write.

Run by `make validate-package`; its name keeps it out of `make test`, which needs no Node. Two validators judge:
Medplum's structure, invariants and profiles, and Lantana's the codes of FHIR's own value sets. Which of our value sets
a code has to be of, Medplum says; whether it is, is asked of the expansions that the service serves.
"""

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_profiles import samples
from fhir_profiles.conformance.package import Package
from fhir_profiles.conformance.profiles import FINDING, INTAKE, MEASURED, ORDER, profile_url
from hooks.fhir_package import published
from hooks.settings import Settings
from tests.records import knowledge
from tests.service_rig import HOOKS, call_from, client, post

BUILT = Path(os.environ["INTEGRATION"])  # where `make validate-package` has put Node and the validators
OURS = "https://backpain-cds.example.org/fhir/"
Resource = dict[str, Any]


@cache
def package() -> Package:
    return published(Settings(), knowledge(), "0.0.1")


class Judges:
    """The validators, in a process of their own."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        for resource in package().resources:
            if resource["resourceType"] == "StructureDefinition":
                assert self._ask({"define": resource}) == {}

    def faults(self, resource: Resource, profile: str = "") -> list[str]:
        """What is wrong with a resource, by FHIR and by one of our profiles."""
        asked = {"judge": resource} | ({"profile": profile_url(profile)} if profile else {})
        answer = self._ask(asked)
        return [*answer["faults"], *_not_bound(answer["tokens"])]

    def _ask(self, line: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the validators ended"
        return json.loads(answer)


def _not_bound(tokens: dict[str, list[Resource]]) -> Iterator[str]:
    for value_set, values in tokens.items():
        if value_set.startswith(OURS):
            known = expansion(value_set)
            yield from (f"{each['path']}: not of {value_set}" for each in values if not _is_of(each, known))


def _is_of(token: Resource, known: frozenset[tuple[str, str]]) -> bool:
    kind, value = token["type"], token["value"]
    if kind == "code":  # its system is that of the element
        return value in {code for _, code in known}
    if kind == "Quantity":
        return (value.get("system"), value.get("code")) in known
    if kind == "CodeableConcept":
        return any((coding.get("system"), coding.get("code")) in known for coding in value.get("coding", ()))
    return kind in ("boolean", "integer")  # a choice that has no code


@cache
def expansion(url: str) -> frozenset[tuple[str, str]]:
    """As the service serves it."""
    answer = client().get("/fhir/ValueSet/$expand", query_string={"url": url})
    assert answer.status_code == 200, url
    return frozenset((each["system"], each["code"]) for each in answer.get_json()["expansion"]["contains"])


@pytest.fixture(scope="module")
def judges() -> Iterator[Judges]:
    command = [BUILT / "bin" / "node", BUILT / "validate.mjs"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Judges(process)


def profiles_of(resource: Resource) -> list[str]:
    return resource.get("meta", {}).get("profile", [])


def named(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


@pytest.mark.parametrize("resource", package().resources, ids=named)
def test_what_is_published_is_valid(judges: Judges, resource: Resource):
    assert judges.faults(resource) == []


@pytest.mark.parametrize("resource", package().examples, ids=named)
def test_examples_are_valid_and_of_their_profile(judges: Judges, resource: Resource):
    for url in profiles_of(resource) or [""]:
        assert judges.faults(resource, url.rpartition("/")[2]) == []


def test_each_profile_of_a_resource_has_examples():
    shown = {url for each in package().examples for url in profiles_of(each)}
    assert shown == {profile_url(id_) for id_ in (FINDING, MEASURED, INTAKE, ORDER)}


@pytest.mark.parametrize("name", samples.names())
def test_sample_charts_are_valid(judges: Judges, name: str):
    assert judges.faults(samples.load(name)) == []


@pytest.mark.parametrize("name", samples.names())
@pytest.mark.parametrize("hook", HOOKS)
def test_orders_on_cards_are_of_the_profile(judges: Judges, name: str, hook: str):
    cards = post(call_from(samples.load(name), hook)).get_json()["cards"]
    actions = [action for card in cards for offer in card.get("suggestions", ()) for action in offer["actions"]]
    for action in actions:
        if action["type"] == "create":
            assert judges.faults(action["resource"], ORDER) == []


@pytest.mark.parametrize(
    "path", ["metadata", "ValueSet", "PlanDefinition?_count=2", "ValueSet/back-pain/$expand?count=3"]
)
def test_what_the_endpoint_answers_is_valid(judges: Judges, path: str):
    assert judges.faults(client().get(f"/fhir/{path}").get_json()) == []


@pytest.mark.parametrize("path", ["Nonsense", "ValueSet/none", "ValueSet?title=x", "ValueSet/$expand"])
def test_what_the_endpoint_refuses_is_valid(judges: Judges, path: str):
    outcome = client().get(f"/fhir/{path}").get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert judges.faults(outcome) == []


def test_a_fhir_server_takes_it_all():
    """As somebody loads the package: each is created, and then found by its canonical URL. It ends with its stdin."""
    command = [BUILT / "bin" / "node", BUILT / "fhir_server.mjs"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=process.stdout.readline().strip(), timeout=30, trust_env=False) as server,
    ):
        for resource in (*package().resources, *package().examples):
            kind = resource["resourceType"]
            assert server.post(f"/{kind}", json=resource).status_code == 201, named(resource)
            if "url" in resource:
                assert server.get(f"/{kind}", params={"url": resource["url"]}).json()["entry"], named(resource)


# --- a broken resource is refused: each judge sees what it is there for ---


def example(profile: str) -> Resource:
    return copy.deepcopy(next(each for each in package().examples if profile_url(profile) in profiles_of(each)))


def one(kind: str, id_: str) -> Resource:
    found = (each for each in package().resources if (each["resourceType"], each["id"]) == (kind, id_))
    return copy.deepcopy(next(found))


def without(element: str) -> Callable[[Resource], Any]:
    return lambda resource: resource.pop(element)


def having(**elements: Any) -> Callable[[Resource], Any]:
    return lambda resource: resource.update(elements)


OTHER = {
    "coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic blood pressure"}],
    "text": "x",
}
BROKEN = [
    (FINDING, without("subject"), "subject"),
    (FINDING, without("effectiveDateTime"), "effective"),
    (FINDING, having(code=OTHER), "finding-code"),
    (FINDING, having(status="registered"), "finding-status"),
    (FINDING, having(valueBoolean="yes"), "valueBoolean"),
    (FINDING, having(modifierExtension=[{"url": "urn:x:y", "valueBoolean": True}]), "modifierExtension"),
    (MEASURED, having(valueInteger=None, valueQuantity={"value": 3, "unit": "apples"}), "finding-unit"),
    (MEASURED, without("status"), "status"),
    (INTAKE, having(questionnaire="https://forms.example.org/other"), "intake-4"),
    (INTAKE, having(item=[{"linkId": "fever", "answer": [{"valueString": "yes"}]}]), "intake-2"),
    (INTAKE, having(item=[{"linkId": "cobb-angle", "answer": [{"valueBoolean": True}]}]), "intake-3"),
    (INTAKE, having(item=[{"linkId": "fever"}]), "intake-1"),
    (INTAKE, having(status="in-progress"), "intake-status"),
    (INTAKE, without("authored"), "authored"),
    (ORDER, having(status="active"), "status"),
    (ORDER, having(intent="order"), "intent"),
    (ORDER, having(priority="now"), "priority"),
    (ORDER, having(code=OTHER), "suggested-order"),
    (ORDER, having(code={"text": "MRI"}), "coding"),
    (ORDER, having(doNotPerform=True), "doNotPerform"),
    (ORDER, having(insurance=[{"reference": "Coverage/1"}]), "insurance"),
]


@pytest.mark.parametrize(("profile", "breaking", "place"), BROKEN)
def test_a_broken_example_is_refused(judges: Judges, profile: str, breaking: Callable[[Resource], Any], place: str):
    broken = example(profile)
    breaking(broken)
    broken = {element: value for element, value in broken.items() if value is not None}
    assert any(place in fault for fault in judges.faults(broken, profile))


@pytest.mark.parametrize(
    ("kind", "id_", "breaking", "place"),
    [
        ("PlanDefinition", "emergency", having(status="final"), "status"),
        ("CodeSystem", "card-topic", lambda system: system["concept"].append(system["concept"][0]), "csd-1"),
        ("ActivityDefinition", "esr", having(kind="Order"), "kind"),
        ("ActivityDefinition", "esr", having(price=3), "price"),
        ("ValueSet", "back-pain", without("status"), "status"),
        ("CodeSystem", "card-topic", having(content="whole"), "content"),
        ("StructureDefinition", FINDING, lambda profile: profile["snapshot"]["element"][3].pop("definition"), "sdf-3"),
        ("ImplementationGuide", "backpain-cds", without("fhirVersion"), "fhirVersion"),
        ("CapabilityStatement", "fhir-api", having(kind="instance"), "cpb-"),
    ],
)
def test_a_broken_publication_is_refused(
    judges: Judges, kind: str, id_: str, breaking: Callable[[Resource], Any], place: str
):
    broken = one(kind, id_)
    breaking(broken)
    assert any(place in fault for fault in judges.faults(broken))
