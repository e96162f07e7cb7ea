"""The discovery document (R11 to R40)."""

import json
import re

import pytest

from fhir_profiles.terminology import Knowledge
from hooks import services
from hooks.discovery import discovery_document
from hooks.services import SEARCH_KEYS, SERVICES, prefetch_templates
from tests.records import knowledge
from tests.service_rig import HOOKS, client

DOCUMENT = json.loads(discovery_document(knowledge()))
ENTRIES = {entry["id"]: entry for entry in DOCUMENT["services"]}
TEMPLATES = [(id_, key, query) for id_, entry in ENTRIES.items() for key, query in entry["prefetch"].items()]
MEMBERS = {"hook", "title", "description", "id", "version", "hookVersion", "prefetch", "usageRequirements"}
PUBLISHED_HOOK_VERSIONS = dict.fromkeys(HOOKS, "1.0")


def test_r11_r12_r13_the_document_is_where_clients_look():
    answer = client().get("/cds-services")
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.get_json() == DOCUMENT


def test_r28_two_calls_give_the_same_bytes_and_304_when_known():
    first, second = client().get("/cds-services"), client().get("/cds-services")
    assert first.data == second.data
    known = client().get("/cds-services", headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")


def test_the_services_of_the_catalogue():
    assert {id_: entry["hook"] for id_, entry in ENTRIES.items()} == {
        "back-pain-patient-view": "patient-view",
        "back-pain-encounter-start": "encounter-start",
        "back-pain-order-select": "order-select",
        "back-pain-order-sign": "order-sign",
    }


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_r15_to_r22_r30_members(entry: dict):
    assert set(entry) == MEMBERS
    assert all(value for value in entry.values())
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    assert entry["hookVersion"] == PUBLISHED_HOOK_VERSIONS[entry["hook"]]
    assert re.fullmatch(r"[a-z-]+", entry["id"])
    assert "patient is indispensable" in entry["usageRequirements"]


@pytest.mark.parametrize(("id_", "key", "query"), TEMPLATES)
def test_r31_to_r39_templates_are_plain_queries(id_: str, key: str, query: str):
    assert re.fullmatch(r"[A-Z][A-Za-z]+(/\{\{context\.\w+\}\}|\?\S+)", query)
    required = {"patientId", "encounterId"} if id_ == "back-pain-encounter-start" else {"patientId"}
    assert set(re.findall(r"\{\{context\.(\w+)\}\}", query)) <= required
    assert query.count("{{") == query.count("}}") == 1
    names = re.findall(r"[?&]([^=]+)=", query)
    assert len(names) == len(set(names)), "a repeated parameter is merged by the public sandbox"
    assert set(names) <= {"patient", "code", "questionnaire"}
    assert len(query) < 8000


def test_the_keys_that_readers_rely_on():
    keys = {"patient", *SEARCH_KEYS}
    assert set(ENTRIES["back-pain-patient-view"]["prefetch"]) == keys
    assert set(ENTRIES["back-pain-encounter-start"]["prefetch"]) == keys | {"encounter"}


def test_observations_are_asked_for_by_code():
    query = ENTRIES["back-pain-patient-view"]["prefetch"]["observations"]
    codes = query.partition("&code=")[2].split(",")
    assert {"72514-3", "saddle-anesthesia", "75325-1"} <= set(codes)


def test_observations_are_not_filtered_when_a_site_has_too_many_codes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Knowledge, "observation_codes", lambda self, expanded=True: ["1234-5"] * 1400)
    service = SERVICES["back-pain-patient-view"]
    assert prefetch_templates(service, knowledge())["observations"] == "Observation?patient={{context.patientId}}"
    monkeypatch.setattr(services, "MAX_QUERY", 20_000)
    assert "&code=1234-5" in prefetch_templates(service, knowledge())["observations"]


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_r27_other_methods_are_405_with_allow(method: str):
    answer = getattr(client(), method)("/cds-services")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.get_json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/", {"service", "discovery", "version"}),
        ("/livez", {"status"}),
        ("/readyz", {"status", "data"}),
        ("/version", {"release", "catalogue", "knowledge"}),
    ],
)
def test_the_other_pages_are_json(path: str, members: set):
    answer = client().get(path)
    assert answer.status_code == 200
    assert set(answer.get_json()) == members


def test_version_names_catalogue_and_knowledge():
    said = client().get("/version").get_json()
    assert said["catalogue"] == "2.6"
    assert said["knowledge"] == knowledge().version
