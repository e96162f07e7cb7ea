"""The FHIR package: its layout, its versions, the same bytes each time."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cds.limits import Limits
from fhir_profiles.conformance.package import PACKAGE_ID, archive
from fhir_profiles.terminology import load_knowledge
from hooks.fhir_package import published
from hooks.settings import Settings
from tests import cli_rig
from tests.cli_rig import Cli, one_line, program
from tests.records import knowledge
from tests.service_rig import ROOT

cli = cli_rig.cli
PACKAGE = published(Settings(), knowledge(), "1.2.3")


def files(packed: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        return {each.name: json.loads(tar.extractfile(each).read()) for each in tar.getmembers()}


FILES = files(archive(PACKAGE))


def test_the_manifest_says_what_it_is():
    manifest = FILES["package/package.json"]
    assert manifest["name"] == PACKAGE_ID
    assert manifest["version"] == "1.2.3"
    assert manifest["fhirVersions"] == ["4.0.1"]
    assert manifest["dependencies"] == {"hl7.fhir.r4.core": "4.0.1"}
    assert manifest["canonical"] == "https://backpain-cds.example.org/fhir"


def test_the_guide_is_of_the_package_and_lists_it_all():
    guide = FILES["package/ImplementationGuide-backpain-cds.json"]
    assert (guide["packageId"], guide["version"]) == (PACKAGE_ID, "1.2.3")
    listed = {each["reference"]["reference"] for each in guide["definition"]["resource"]}
    held = {f"{each['resourceType']}/{each['id']}" for each in (*PACKAGE.resources, *PACKAGE.examples)}
    assert listed == held - {"ImplementationGuide/backpain-cds"}
    shown = [each for each in guide["definition"]["resource"] if "exampleCanonical" in each or "exampleBoolean" in each]
    assert len(shown) == len(PACKAGE.examples)


@pytest.mark.parametrize(("folder", "resources"), [("", PACKAGE.resources), ("example/", PACKAGE.examples)])
def test_the_index_has_each_file_of_its_folder(folder: str, resources: list[dict[str, Any]]):
    index = FILES[f"package/{folder}.index.json"]
    assert len(index["files"]) == len(resources)
    for entry in index["files"]:
        resource = FILES[f"package/{folder}{entry['filename']}"]
        members = {key: value for key, value in entry.items() if key != "filename"}
        assert members == {key: resource[key] for key in members}
    canonical = [entry for entry in index["files"] if "url" in entry]
    assert len(canonical) == (len(resources) if not folder else 0)


def test_nothing_else_is_in_it():
    resources = {f"package/{each['resourceType']}-{each['id']}.json" for each in PACKAGE.resources}
    examples = {f"package/example/{each['resourceType']}-{each['id']}.json" for each in PACKAGE.examples}
    own = {"package/package.json", "package/.index.json", "package/example/.index.json"}
    assert FILES.keys() == resources | examples | own


def test_the_archive_knows_no_time_and_no_user():
    with tarfile.open(fileobj=io.BytesIO(archive(PACKAGE)), mode="r:gz") as tar:
        entries = {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in tar.getmembers()}
    assert entries == {(0, 0, 0, "", "", 0o644)}


def test_the_same_bytes_in_every_process_and_through_a_pipe(tmp_path: Path):
    assert program("package", "--output", str(tmp_path / "a.tgz"), PYTHONHASHSEED="1").code == 0
    command = [sys.executable, "-m", "hooks.cli", "package", "--output", "-"]
    piped = subprocess.run(command, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "2"})
    assert piped.returncode == 0
    assert piped.stdout == (tmp_path / "a.tgz").read_bytes()


# --- versions ---


def test_the_edition_of_a_site_has_a_version_of_its_own(tmp_path: Path):
    (tmp_path / "fever.csv").write_text("system,code\nhttps://hospital.example.org/codes,F1\n")
    settings = [
        Settings(),
        Settings(limits=Limits(pain_severe=8)),
        Settings(disabled=frozenset({"night-pain"})),
        Settings(concepts_dir=tmp_path),
    ]
    versions = [published(each, load_knowledge(each.concepts_dir), "1.2.3").version for each in settings]
    assert versions[0] == "1.2.3"
    assert len(set(versions)) == len(versions)
    assert all(re.fullmatch(r"1\.2\.3-site\.h[0-9a-f]{12}", version) for version in versions[1:])


def test_settings_that_change_no_knowledge_change_no_version():
    settings = Settings(public_url="https://cds.example.org", intake_url="https://forms.example.org/x")
    assert archive(published(settings, knowledge(), "1.2.3")) == archive(PACKAGE)


def test_a_release_without_a_number_has_one():
    assert published(Settings(), knowledge(), "unknown").version == "0.0.0"


# --- the command ---


def test_the_command_writes_the_package(cli: Cli, tmp_path: Path):
    file = tmp_path / "out.tgz"
    ran = cli("package", "--output", str(file))
    assert (ran.code, ran.out) == (0, "")
    assert "resources" in ran.err
    held = files(file.read_bytes())
    assert held.keys() == FILES.keys()


def test_without_a_name_the_file_is_named_by_the_package(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert cli("package").code == 0
    (file,) = tmp_path.iterdir()
    manifest = files(file.read_bytes())["package/package.json"]
    assert file.name == f"{PACKAGE_ID}-{manifest['version']}.tgz"


def test_the_command_takes_the_configuration_of_a_site(cli: Cli, tmp_path: Path):
    file = tmp_path / "out.tgz"
    assert (
        cli("package", "--config", cli.file("[thresholds]\npain_severe = 8\n", "s.toml"), "--output", str(file)).code
        == 0
    )
    assert "-site.h" in files(file.read_bytes())["package/package.json"]["version"]


def test_a_place_that_cannot_be_written_is_said(cli: Cli, tmp_path: Path):
    ran = cli("package", "--output", str(tmp_path / "none" / "out.tgz"))
    assert ran.code == 2
    assert one_line(ran.err)
