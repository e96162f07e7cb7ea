"""The files for deployment, as far as that can be seen without a container engine or a cluster.

`make validate-deploy` renders the chart with Helm's engine (tests/integration/deploy.py).
"""

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import jsonschema
import pytest
import yaml

from hooks.settings import load_settings
from tests.test_repository import ROOT, pinned

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/backpain-cds"
SBOM = DEPLOY / "sbom.py"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def sbom(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-W", "error", SBOM, *args], capture_output=True, text=True)


def test_the_bill_of_materials_is_what_is_installed(tmp_path: Path):
    bill = json.loads(sbom().stdout)
    listed = {part["purl"] for part in (bill["metadata"]["component"], *bill["components"]) if "purl" in part}
    installed = {
        f"pkg:pypi/{re.sub('[._]', '-', each.metadata['Name']).lower()}@{each.version}".replace("+", "%2B")
        for each in distributions()
    }
    assert {purl for purl in listed if purl.startswith("pkg:pypi/")} == installed
    assert sbom().stdout == sbom().stdout


def test_a_bill_that_is_not_what_is_installed_is_found_out(tmp_path: Path):
    bill = json.loads(sbom().stdout)
    written = tmp_path / "sbom.json"
    written.write_text(json.dumps(bill))
    assert sbom("--check", str(written)).returncode == 0
    gone = bill["components"].pop()
    bill["components"].append(gone | {"bom-ref": "pkg:pypi/other@1"})
    written.write_text(json.dumps(bill))
    checked = sbom("--check", str(written))
    assert checked.returncode == 1
    assert "not installed: pkg:pypi/other@1" in checked.stderr
    assert f"not in the bill: {gone['bom-ref']}" in checked.stderr


def test_the_image_is_built_from_pins_with_hashes():
    installs = re.findall(r"pip install ([^\n]*)", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-deps /dist/" in each for each in installs)
    assert pinned("deploy/build.lock").items() <= pinned("requirements-dev.lock").items()


def test_the_image_runs_as_nobody_in_particular():
    assert re.search(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)
    assert "HEALTHCHECK" in DOCKERFILE


def test_what_the_image_is_built_from_is_sent_to_the_builder():
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = {name for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert copied - {"."} <= set(sent)
    assert all((ROOT / name).exists() for name in sent)


def test_the_composed_service_is_confined():
    service = COMPOSE["services"]["backpain-cds"]
    assert service["read_only"] is True
    assert (service["user"], service["cap_drop"]) == ("65532:65532", ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["pids_limit"], service["mem_limit"]) == (128, "512m")


def test_only_the_proxy_can_be_reached_and_the_database_by_the_service_only():
    services = COMPOSE["services"]
    assert [name for name, each in services.items() if "ports" in each] == ["proxy"]
    assert services["database"]["networks"] == ["inside"]
    assert services["proxy"]["networks"] == ["outward"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_every_file_that_is_mounted_exists():
    mounts = [mount.split(":") for each in COMPOSE["services"].values() for mount in each["volumes"]]
    for source, _, *_ in mounts:
        assert (DEPLOY / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]


def test_the_sample_configuration_can_be_used(tmp_path: Path):
    text = (DEPLOY / "compose/site.toml").read_text().replace("/var/lib/backpain-cds", str(tmp_path))
    (tmp_path / "site.toml").write_text(text)
    assert [client.issuer for client in load_settings(tmp_path / "site.toml").clients] == [
        "https://ehr.example.org/fhir"
    ]


def test_the_defaults_of_the_chart_lack_only_what_a_site_has_to_say():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = jsonschema.Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
    missing = {".".join(map(str, each.path)) for each in schema.iter_errors(values)}
    assert missing == {"image.repository", "config", "secretName"}
    assert values.keys() <= schema.schema["properties"].keys()


@pytest.mark.parametrize("file", ["Chart.yaml", "../../compose.yaml", "../../../Dockerfile"])
def test_everything_names_the_same_release(file: str):
    release = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    found = re.findall(r"(?:appVersion: |image: backpain-cds:|image\.version=)\"?([0-9.]+)", (CHART / file).read_text())
    assert found == [release]
