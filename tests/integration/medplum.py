"""The service beside a FHIR server that this project did not write: Medplum's router and memory repository.

Run by `make integration`; its name keeps it out of `make test`, which needs no Node.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from fhir_profiles import samples
from tests.fetch_rig import lasting
from tests.service_rig import Server, call_from, changed, expressions, free_port, groups, path_of, running

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

    def bare(self, name: str, base: str = "") -> dict[str, Any]:
        """A call that brings nothing but the FHIR server."""
        return changed(call_from(self.charts[name], HOOK), "prefetch", ...) | {"fhirServer": base or self.base}

    def given(self, name: str) -> dict[str, Any]:
        """A call with prefetch, filled as a client does it: by the searches that discovery names."""
        request = self.bare(name)
        (service,) = (
            each for each in self.service.http.get("/cds-services").json()["services"] if each["hook"] == HOOK
        )
        queries = {
            key: template.replace("{{context.patientId}}", request["context"]["patientId"])
            for key, template in service["prefetch"].items()
        }
        return request | {
            "prefetch": {
                key: self.find(f"{query}&_count=500" if "?" in query else query) for key, query in queries.items()
            }
        }


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    command = [BUILT / "bin" / "node", BUILT / "fhir_server.mjs"]
    with (
        running(tmp_path_factory.mktemp("service")) as service,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,  # ends with stdin
    ):
        base = process.stdout.readline().strip()
        assert base, "the FHIR server did not start"
        with httpx.Client(base_url=base, timeout=30, trust_env=False) as fhir:
            made = Hospital(service, fhir, {})
            made.charts.update({name: made.create(batch(name)) for name in CHARTS})
            yield made


def batch(name: str, weights: int = 0) -> dict[str, Any]:
    """A sample chart as if its day were today, to be created: the server gives the ids, as servers do.

    weights: how many weighings long ago are added.
    """
    chart = samples.shifted(samples.load(name), datetime.now(UTC))
    chart["entry"] += [weighing(chart, days_ago=1000 + each) for each in range(weights)]
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


def weighing(chart: dict[str, Any], days_ago: int) -> dict[str, Any]:
    (patient,) = (entry for entry in chart["entry"] if entry["resource"]["resourceType"] == "Patient")
    resource = {
        "resourceType": "Observation",
        "id": f"weighing-{days_ago}",
        "status": "final",
        "subject": {"reference": patient["fullUrl"]},
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "effectiveDateTime": (datetime.now(UTC) - timedelta(days_ago)).date().isoformat(),
        "valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    return {"fullUrl": uuid4().urn, "resource": resource}


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


@pytest.mark.parametrize("name", ["02-cancer-history-weight-loss", "05-iv-drug-use-fever"])
def test_the_page_that_a_link_names_is_fetched(hospital: Hospital, name: str):
    """The server knows offsets and links nothing: the link is the client's, as it may be in prefetch."""
    request = hospital.given(name)
    search = f"Observation?patient={request['context']['patientId']}"
    first = hospital.find(f"{search}&_count=1")
    first["link"] = [{"relation": "next", "url": f"{hospital.base}/{search}&_offset=1&_count={PAGE}"}]
    paged = hospital.ask(changed(request, "prefetch.observations", first))
    assert lasting(paged.json()) == lasting(hospital.ask(request).json())
    cut = changed(request, "prefetch.observations", first | {"link": []})
    assert lasting(hospital.ask(cut).json()) != lasting(paged.json())


# --- what cannot be had is said ---


def test_a_search_cut_off_without_a_link_is_incomplete(hospital: Hospital):
    """The server's `total` tells it. The emergency is told all the same."""
    hospital.charts["long"] = hospital.create(batch("01-cauda-equina", weights=PAGE))
    answer = hospital.ask(hospital.bare("long"))
    assert groups(answer.json())["emergency"] == "critical"
    assert not_fetched(hospital) == {"observations": "fewer-than-total"}


def test_an_unknown_patient_is_412(hospital: Hospital):
    request = changed(hospital.bare(CHARTS[0]), "context.patientId", "nobody")
    answer = hospital.ask(request)
    assert answer.status_code == 412
    assert expressions(answer) == ["prefetch.patient"]
    assert not_fetched(hospital) == {"patient": "http-404"}


@pytest.mark.parametrize(
    ("base", "reason"),
    [("{base}/elsewhere", "http-404"), ("{origin}", "http-404"), ("http://127.0.0.1:{free}/fhir/R4", "connect")],
    ids=["below the base", "above the base", "nobody listens"],
)
def test_a_wrong_base_is_412(hospital: Hospital, base: str, reason: str):
    origin = hospital.base.partition("/fhir")[0]
    request = hospital.bare(CHARTS[0], base.format(base=hospital.base, origin=origin, free=free_port()))
    answer = hospital.ask(request)
    assert answer.status_code == 412
    assert set(not_fetched(hospital).values()) - {"circuit-open"} == {reason}
