"""The FHIR server with the sample patients, as the CDS Hooks Sandbox and the service use it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread
from urllib.parse import parse_qsl

import httpx
import pytest

from fhir_profiles import samples
from tests.sample_server import BASE, server
from tests.service_rig import INSTANCE, Server, groups, path_of, running

HOOK = "patient-view"
ORIGIN = "https://sandbox.cds-hooks.org"
CHARTS = [name for name in samples.names() if samples.story(name)["hook"] == HOOK]


@pytest.fixture(scope="module")
def fhir() -> Iterator[httpx.Client]:
    with server(0, datetime.now(UTC)) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.server_port}{BASE}/", trust_env=False) as client:
            yield client
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("service")) as started:
        yield started


def as_the_sandbox(fhir: httpx.Client, template: str, patient: str) -> httpx.Response:
    """A prefetch template filled as the CDS Hooks Sandbox does: searches are sent as forms."""
    path, is_search, query = template.replace("{{context.patientId}}", patient).partition("?")
    return fhir.post(f"{path}/_search", data=dict(parse_qsl(query))) if is_search else fhir.get(path)


def call_of(fhir: httpx.Client, name: str) -> dict:
    context = {"userId": "Practitioner/COREPRACTITIONER1", "patientId": name}
    base = str(fhir.base_url).rstrip("/")
    return {"hook": HOOK, "hookInstance": INSTANCE, "fhirServer": base, "context": context}


@pytest.mark.parametrize("name", CHARTS)
def test_a_sample_patient_gets_the_cards_of_the_story(fhir: httpx.Client, service: Server, name: str):
    """With prefetch; and without, when the service reads from the server itself."""
    services = service.http.get("/cds-services").json()["services"]
    (templates,) = (each["prefetch"] for each in services if each["hook"] == HOOK)
    prefetch = {key: as_the_sandbox(fhir, each, name).raise_for_status().json() for key, each in templates.items()}
    for request in (call_of(fhir, name) | {"prefetch": prefetch}, call_of(fhir, name)):
        assert groups(service.http.post(path_of(HOOK), json=request).json()) == samples.story(name)["cards"]


def test_ids_are_those_of_one_resource_and_references_lead_to_it(fhir: httpx.Client):
    seen = set()
    for name in samples.names():
        conditions = fhir.get("Condition", params={"patient": name}).json().get("entry", [])
        for condition in (entry["resource"] for entry in conditions):
            assert condition["subject"]["reference"] == f"Patient/{name}"
            assert fhir.get(f"Condition/{condition['id']}").json() == condition
            assert condition["id"] not in seen
            seen.add(condition["id"])


def test_what_the_sandbox_needs_before_it_shows_a_patient(fhir: httpx.Client):
    assert fhir.get("metadata").json()["fhirVersion"] == "4.0.1"
    patients = [entry["resource"] for entry in fhir.get("Patient").json()["entry"]]
    assert [patient["id"] for patient in patients] == samples.names()
    assert all(patient["name"][0]["given"] for patient in patients)


def test_pages_of_any_origin_may_read(fhir: httpx.Client):
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = fhir.options("Condition/_search", headers=asked)
    assert preflight.is_success
    assert "content-type" in preflight.headers["Access-Control-Allow-Headers"]
    for answer in (preflight, fhir.get("metadata"), fhir.get("Patient/nobody")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["Patient/nobody", "Condition?patient=nobody", "Condition", "/elsewhere"])
def test_what_is_not_there_is_404(fhir: httpx.Client, path: str):
    assert fhir.get(path).status_code == 404


def test_it_listens_on_loopback_only():
    with server(0, datetime.now(UTC)) as listening:
        assert listening.server_address[0] == "127.0.0.1"
