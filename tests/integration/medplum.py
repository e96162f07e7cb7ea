"""The service beside a FHIR server that this project did not write: Medplum's router and memory repository.

Run by `make integration`; its name keeps it out of `make test`, which needs no Node.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from fhir_profiles import samples
from tests.fetch_rig import lasting
from tests.service_rig import Server, call_from, changed, groups, path_of, running

HOOK = "patient-view"
PAGE = 250  # what the service asks for at once
CHARTS = [name for name in samples.names() if samples.story(name)["hook"] == HOOK]
BUILT = Path(os.environ["INTEGRATION"])  # where `make integration` has put Node and the server
each_chart = pytest.mark.parametrize("name", CHARTS)


class Hospital(NamedTuple):
    """A FHIR server, the service that is asked about its patients, and the sample charts as the server has them."""

    service: Server
    fhir: httpx.Client
    charts: dict[str, dict[str, Any]]

    @property
    def base(self) -> str:
        return str(self.fhir.base_url).rstrip("/")

    def ask(self, request: dict[str, Any]) -> httpx.Response:
        return self.service.http.post(path_of(HOOK), json=request)

    def find(self, query: str) -> dict[str, Any]:
        return self.fhir.get(query).raise_for_status().json()

    def create(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """A Bundle of what the server made of a batch."""
        answers = self.fhir.post("", json=bundle).raise_for_status().json()["entry"]
        assert {each["response"]["status"] for each in answers} == {"201"}
        return {"entry": [{"resource": self.find(each["response"]["location"])} for each in answers]}

    def given(self, name: str) -> dict[str, Any]:
        """A call that brings the whole chart."""
        return call_from(self.charts[name], HOOK)

    def bare(self, name: str, base: str = "") -> dict[str, Any]:
        """A call that brings nothing but the FHIR server."""
        return changed(self.given(name), "prefetch", ...) | {"fhirServer": base or self.base}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    command = [BUILT / "bin" / "node", BUILT / "fhir_server.mjs"]
    with (
        running(tmp_path_factory.mktemp("service")) as service,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            base = process.stdout.readline().strip()
            assert base, "the FHIR server did not start"
            with httpx.Client(base_url=base, timeout=30, trust_env=False) as fhir:
                made = Hospital(service, fhir, {})
                made.charts.update({name: made.create(batch(name)) for name in CHARTS})
                yield made
        finally:
            process.terminate()


def batch(name: str) -> dict[str, Any]:
    """A sample chart as if its day were today, to be created: the server gives the ids, as servers do."""
    chart = samples.shifted(samples.load(name), datetime.now(UTC))
    urns = {}
    for entry in chart["entry"]:
        resource = entry["resource"]
        urns[entry["fullUrl"]] = urns[f"{resource['resourceType']}/{resource.pop('id')}"] = uuid4().urn
    entries = [
        {
            "fullUrl": urns[entry["fullUrl"]],
            "resource": pointed(entry["resource"], urns),
            "request": {"method": "POST", "url": entry["resource"]["resourceType"]},
        }
        for entry in chart["entry"]
    ]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def pointed(value: Any, urns: dict[str, str]) -> Any:
    """The value with its references as URNs."""
    if isinstance(value, dict):
        return {
            key: urns.get(child, child) if key == "reference" else pointed(child, urns) for key, child in value.items()
        }
    return [pointed(child, urns) for child in value] if isinstance(value, list) else value


def not_fetched(hospital: Hospital) -> dict[str, str]:
    """What the log says of the last call."""
    return json.loads(hospital.service.log.splitlines()[-1]).get("not_fetched", {})


# --- what the server has is what the service finds ---


@each_chart
def test_a_call_without_prefetch_is_answered_like_a_whole_one(hospital: Hospital, name: str):
    fetched = hospital.ask(hospital.bare(name))
    assert fetched.status_code == 200
    assert groups(fetched.json()) == samples.story(name)["cards"]
    assert lasting(fetched.json()) == lasting(hospital.ask(hospital.given(name)).json())


def test_a_search_that_is_empty_brings_a_total_and_no_entries(hospital: Hospital):
    patient = hospital.create(
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}],
        }
    )
    request = call_from(patient, HOOK)
    assert hospital.find(f"Condition?patient={request['context']['patientId']}") == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
    }
    answer = hospital.ask(changed(request, "prefetch", ...) | {"fhirServer": hospital.base})
    assert (answer.status_code, groups(answer.json())) == (200, {})
    assert not_fetched(hospital) == {}
