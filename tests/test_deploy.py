"""The files for deployment, as far as that can be seen without a container engine or a cluster.

`make validate-deploy` renders the chart with Helm's engine (tests/integration/deploy.py).
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote

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


def sbom(*args: str, given: str = "") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-W", "error", SBOM, *args], capture_output=True, text=True, input=given)


def listed_in(bill: dict) -> set[str]:
    return {part["purl"] for part in (bill["metadata"]["component"], *bill["components"]) if "purl" in part}


def purls(path: Iterable[str]) -> set[str]:
    """Of the distributions there."""
    return {
        f"pkg:pypi/{re.sub('[._]', '-', each.metadata['Name']).lower()}@{each.version}".replace("+", "%2B")
        for each in distributions(path=list(path))
    }


def test_the_bill_of_materials_is_what_is_installed(tmp_path: Path):
    bill = json.loads(sbom().stdout)
    listed = {purl for purl in listed_in(bill) if purl.startswith("pkg:pypi/")}
    seen = (f"{Path(sys.base_prefix, 'bin/python3')}", "-I", "-c", "import sys; print(*sys.path, sep='\\n')")
    base = subprocess.run(seen, capture_output=True, text=True, check=True).stdout.splitlines()
    assert listed == purls(sys.path) | purls(base)
    assert sbom().stdout == sbom().stdout


def test_the_bill_has_what_the_interpreter_brought_to_the_environment(tmp_path: Path):
    """An image has the pip of its base, which an environment in it does not see; where, the base itself says."""
    site, base = tmp_path / "anywhere", tmp_path / "bin/python3"
    (site / "brought-1.2.dist-info").mkdir(parents=True)
    (site / "brought-1.2.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.2\n")
    base.parent.mkdir()
    base.write_text(f"#!/bin/sh\necho '{site}'\n")
    base.chmod(0o700)
    asked = "import runpy, sys; sys.base_prefix = sys.argv.pop(); runpy.run_path(sys.argv.pop(), run_name='__main__')"
    made = subprocess.run([sys.executable, "-c", asked, SBOM, tmp_path], capture_output=True, text=True)
    assert "pkg:pypi/brought@1.2" in listed_in(json.loads(made.stdout))


def test_a_bill_is_compared_with_what_others_list(tmp_path: Path):
    written = tmp_path / "sbom.json"
    bill = json.loads(sbom().stdout)
    written.write_text(json.dumps(bill))
    purls = [re.fullmatch(r"pkg:(?:pypi|deb/\w+)/(.*)@(.*?)(?:\?.*)?", unquote(each)) for each in listed_in(bill)]
    lines = [f"{each[1].replace('-', '_').title()}=={each[2]}" for each in purls if each]
    assert sbom("--compare", str(written), given="\n".join(lines)).returncode == 0
    told = sbom("--compare", str(written), given="\n".join([*lines[1:], "unheard.of==1"]))
    assert told.returncode == 1
    assert "not in the bill: unheard-of==1" in told.stderr
    assert told.stderr.count("not installed: ") == 1


def test_the_build_compares_its_bill_with_what_pip_and_dpkg_list():
    """Pip for the environment and for the interpreter that it was made from."""
    compared = re.search(r"\{ (.*); \}[\s\\]*\| python sbom\.py --compare sbom\.cdx\.json\n", DOCKERFILE, re.DOTALL)
    assert [compared[1].count(each) for each in ("$pip list", "$pip --python", "dpkg-query -W")] == [1, 1, 1]


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


def test_each_composed_container_has_its_own_secrets():
    """The key of the audit and the rows that it protects are kept apart (docs/audit.md)."""
    files = {name: each["env_file"] for name, each in COMPOSE["services"].items() if "env_file" in each}
    given = {
        name: set(re.findall(r"^(\w+)=", (DEPLOY / f"{file}.example").read_text(), re.MULTILINE))
        for name, file in files.items()
    }
    assert given == {
        "backpain-cds": {"BACKPAIN_CDS_DATABASE_URL", "BACKPAIN_CDS_AUDIT_KEY"},
        "database": {"POSTGRES_PASSWORD"},
    }
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert all(any(fnmatch(f"deploy/{file}", line) for line in ignored) for file in files.values())
    examples = (f"deploy/{file}.example" for file in files.values())
    assert not any(fnmatch(example, line) for example in examples for line in ignored)


def test_who_edits_the_switches_in_a_cluster_is_told_what_an_upgrade_does():
    """It writes them again from the values: what was switched off in place would be on without a word."""
    template = (CHART / "templates/configmap.yaml").read_text()
    assert "switches.toml: {{ .Values.switches" in template
    for file in (CHART / "values.yaml", ROOT / "docs/deployment.md"):
        assert "in place" in file.read_text()
        assert "next `helm upgrade` writes" in file.read_text()


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
