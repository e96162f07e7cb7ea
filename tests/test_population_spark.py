"""The engine for a cluster comes to the same rows as the one for a machine (a local Spark, on Java)."""

import gzip
import json
import os
from pathlib import Path

import pytest

from tests import cli_rig, test_population
from tests.bench.population import write_population
from tests.cli_rig import Cli
from tests.records import back_pain, coded, resource
from tests.service_rig import ROOT
from tests.test_population import EMERGENCY, Population, bundle, of

cli = cli_rig.cli
population = test_population.population


SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.log.level": "ERROR",
}


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small Spark, set up as a site would. Its Python processes import our packages."""
    settings = " ".join(f"--conf {name}={value}" for name, value in SETTINGS.items())
    submit = f"--master local[1] --driver-memory 512m {settings} pyspark-shell"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", submit)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)


@pytest.mark.usefixtures("spark")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of pyspark's own sockets
def test_both_engines_come_to_the_same_rows(population: Population, cli: Cli, tmp_path: Path) -> None:
    write_population(population.source, 15)
    packed = population.source / "Observation.ndjson"
    (population.source / "Observation.ndjson.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    drug = {"resourceType": "Medication", "id": "m1", "code": coded("immunosuppressant")}
    taken = {"status": "active", "intent": "order", "authoredOn": "2026-10-01"}
    request = resource("MedicationRequest", **taken, medicationReference={"reference": "Medication/m1"})
    absolute = {"subject": {"reference": "https://ehr.example.org/fhir/Patient/p-0/_history/2"}}
    population.write("a chart.json", json.dumps(bundle(*of("whole", back_pain(), EMERGENCY)), indent=1))
    population.write("charts.ndjson", bundle(*of("line", EMERGENCY)))
    population.write("more.ndjson", *of("m", request), drug, "", "no JSON", "[]", EMERGENCY | absolute, EMERGENCY)
    other = cli.file("[thresholds]\npain_severe = 9\n", "other.toml")
    options = "--plain-ids", "--compare", other, "--fhir-server", "https://ehr.example.org/fhir"
    one, here = population.replay(*options)
    two, there = population.replay(*options, "--engine", "spark", output="spark")
    assert (one.code, two.code) == (1, 1)
    assert len(here.cards) == 18
    assert here.status("immunosuppression")["m"] == "met"
    assert here.everything == there.everything
    assert here.rows("FROM changes ORDER BY ALL") == there.rows("FROM changes ORDER BY ALL")
    assert two.out == one.out
    alike = ("basis", "baseline", "counts", "badLines", "unassigned", "types")
    assert {key: here.manifest[key] for key in alike} == {key: there.manifest[key] for key in alike}
    assert not (tmp_path / "spark" / ".work").exists()
