"""The OpenAPI document: valid, complete, and true of what the service takes and gives."""

import json
import re
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from cds.catalogue import CRITERIA
from fhir_profiles import samples
from hooks import openapi_schemas, request
from hooks.clients import Client
from hooks.openapi import openapi_document
from hooks.settings import Settings
from tests.records import condition
from tests.service_rig import HOOKS, app, call, call_from, changed, client, path_of, post

SETTINGS = {"public_url": "https://backpain.example.org/about"}


@cache
def document() -> dict[str, Any]:
    return client().get("/openapi.json").get_json()


def validator(name: str) -> Draft202012Validator:
    """Of one schema of the document, which refers to the others."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    return Draft202012Validator(schema, format_checker=FormatChecker())


def faults(name: str, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(value)]


@pytest.mark.parametrize("authenticates", [False, True])
def test_the_document_is_valid_openapi_3_1(authenticates: bool):
    given = json.loads(openapi_document("1.0.0", 2**20, authenticates))
    assert given["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(given).iter_errors()] == []
    for schema in given["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_is_served_as_json_and_the_same_each_time():
    first, second = client().get("/openapi.json"), client().get("/openapi.json")
    assert (first.status_code, first.content_type) == (200, "application/json")
    assert first.data == second.data


def endpoints() -> dict[str, set[str]]:
    """Path -> methods of all that the service takes; what only the pages for people need is no interface."""
    found = {}
    for rule in app().url_map.iter_rules():
        if rule.endpoint == "static_file" or rule.endpoint.startswith("workbench."):
            continue
        for hook in HOOKS:
            path = rule.rule.replace("/cds-services/<service_id>", path_of(hook))
            found.setdefault(re.sub(r"<(\w+?)_?>", r"{\1}", path), set()).update(rule.methods - {"HEAD", "OPTIONS"})
    return found


def test_it_has_every_endpoint_of_the_service():
    told = {path: {method.upper() for method in operations} for path, operations in document()["paths"].items()}
    assert told == endpoints()


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_a_registry_of_clients_is_told():
    free, guarded = (json.loads(openapi_document("1", 1, given))["paths"] for given in (False, True))
    assert "security" not in free["/cds-services"]["get"]
    assert guarded["/cds-services"]["get"]["security"] == [{"clientToken": []}, {}]
    for path in map(path_of, HOOKS):
        assert "security" not in free[path]["post"]
        assert guarded[path]["post"]["security"] == [{"clientToken": []}]
        assert {"401", "429"} <= set(guarded[path]["post"]["responses"])
        assert not {"401", "429"} & set(free[path]["post"]["responses"])


def test_the_service_tells_whether_it_has_a_registry():
    registered = app(Settings(clients=(Client("https://ehr.example.org", jku=("https://ehr.example.org/keys",)),)))
    told = registered.test_client().get("/openapi.json").get_json()
    assert told["paths"][path_of("order-sign")]["post"]["security"]
    assert "security" not in document()["paths"][path_of("order-sign")]["post"]


@pytest.mark.parametrize("name", samples.names())
@pytest.mark.parametrize("hook", ["patient-view", "order-sign"])
def test_answers_are_as_described(name: str, hook: str):
    bundle = samples.load(name)
    given = call_from(bundle, hook)
    assert faults(f"{hook.title().replace('-', '')}Request", given) == []
    answer = post(given, **SETTINGS)
    assert answer.status_code == 200
    assert faults("Response", answer.get_json()) == []


@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_of_each_hook_is_as_described(hook: str):
    given = call(hook, condition("cauda-equina-syndrome"))
    assert faults(f"{hook.title().replace('-', '')}Request", given) == []
    answer = post(given)
    assert answer.get_json()["cards"]
    assert faults("Response", answer.get_json()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hook", "order-dispatch"),
        ("hookInstance", "1"),
        ("hookInstance", ...),
        ("context", ...),
        ("context.userId", "dr1"),
        ("context.patientId", "a b"),
        ("context.patientId", "x" * 129),
        ("context.encounterId", ...),
        ("fhirServer", "ftp://ehr.example.org"),
        ("prefetch", []),
    ],
)
def test_what_the_service_refuses_is_not_as_described(path: str, value: Any):
    given = changed(call("encounter-start"), path, value)
    assert post(given, "encounter-start").status_code == 400
    assert faults("EncounterStartRequest", given)


@pytest.mark.parametrize("said", [b"", b"{", b"[]", json.dumps(changed(call(), "prefetch", {})).encode()])
def test_refusals_are_as_described(said: bytes):
    answer = post(said, "patient-view")
    assert str(answer.status_code) in document()["paths"][path_of("patient-view")]["post"]["responses"]
    assert faults("OperationOutcome", answer.get_json()) == []


def test_an_answer_with_a_member_too_many_is_noticed():
    answer = post(call("patient-view", condition("cauda-equina-syndrome"))).get_json()
    answer["cards"][0]["source"]["icon"] = ""
    assert faults("Response", answer)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/cds-services", "Services"),
        ("/", "Entrance"),
        ("/livez", "Status"),
        ("/readyz", "Readiness"),
        ("/version", "Version"),
        ("/criteria", "Criteria"),
    ],
)
def test_pages_are_as_described(path: str, schema: str):
    said = document()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert said == {"$ref": f"#/components/schemas/{schema}"}
    assert faults(schema, client().get(path).get_json()) == []


@pytest.mark.parametrize("id_", CRITERIA)
def test_each_criterion_is_as_described(id_: str):
    assert faults("Criterion", client().get(f"/criteria/{id_}").get_json()) == []


def test_ids_are_those_that_the_service_takes():
    assert request._ID.pattern == openapi_schemas.ID
    assert re.sub(r"\(\?:", "(", request._UUID.pattern) == openapi_schemas.UUID
