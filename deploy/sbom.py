"""What is in the image: a CycloneDX 1.6 bill of materials, made from what is installed and not from what was asked for.

Runs with the Python of the image, standard library only:

    python sbom.py > sbom.cdx.json          write it
    python sbom.py --check sbom.cdx.json    exit code 1 when it is not what is installed
    python sbom.py --compare sbom.cdx.json  the same, installed being the NAME==VERSION lines of standard input

Distributions of Python (of this environment and of the interpreter it was made from), packages of Debian and the
interpreter. No time and no random number: the same contents give the same bytes.
"""

import json
import platform
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Set
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

NAME = "backpain-cds"
DPKG_STATUS = Path("/var/lib/dpkg/status")
OS_RELEASE = Path("/etc/os-release")

Component = dict[str, Any]


def main(arguments: list[str]) -> int:
    if len(arguments) == 2 and arguments[0] in ("--check", "--compare"):
        written = json.loads(Path(arguments[1]).read_text("utf-8"))
        if arguments[0] == "--compare":
            return differences(releases(written), frozenset(map(normal, sys.stdin.read().split())))
        return differences(references(written), references(bill()))
    if arguments:
        sys.stderr.write("usage: sbom.py [--check FILE | --compare FILE]\n")
        return 2
    json.dump(bill(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0


def bill() -> dict[str, Any]:
    """The bill of this Python environment and the system it runs on."""
    found = {part["bom-ref"]: part for part in (*python_parts(), *debian_parts(), interpreter())}
    product = next((part for part in found.values() if part["name"] == NAME), None)
    listed = [part for _, part in sorted(found.items()) if part is not product]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join([product["bom-ref"] if product else "", *sorted(found)]))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {**(product or {"name": NAME, "bom-ref": NAME}), "type": "application"}},
        "components": listed,
    }


def differences(written: Set[str], installed: Set[str]) -> int:
    """Name what is on one side only; the exit code."""
    for what, refs in (("not installed", written - installed), ("not in the bill", installed - written)):
        for ref in sorted(refs):
            sys.stderr.write(f"{what}: {ref}\n")
    return int(written != installed)


def references(bom: dict[str, Any]) -> set[str]:
    return {part["bom-ref"] for part in (bom["metadata"]["component"], *bom["components"])}


def releases(bom: dict[str, Any]) -> set[str]:
    """Distributions and packages as pip and dpkg list them, which know nothing of the interpreter."""
    parts = (bom["metadata"]["component"], *bom["components"])
    listed = (part for part in parts if part.get("purl", "").startswith(("pkg:pypi/", "pkg:deb/")))
    return {normal(f"{part['name']}=={part['version']}") for part in listed}


def normal(release: str) -> str:
    name, _, version = release.partition("==")
    return f"{re.sub('[-_.]+', '-', name).lower()}=={version}"


def python_parts() -> Iterator[Component]:
    """What this environment sees, and what the interpreter that it was made from has of its own, such as its pip."""
    for each in distributions(path=[*sys.path, *base_path()]):
        name = re.sub("[-_.]+", "-", each.metadata["Name"]).lower()
        purl = f"pkg:pypi/{quote(name)}@{quote(each.version)}"
        yield part(name, each.version, purl, license_of(each))


def base_path() -> list[str]:
    """Where the interpreter of the image looks: only itself knows, for Debian's looks elsewhere than others."""
    base = Path(sys.base_prefix, "bin", "python3")
    asked = [base, "-I", "-c", "import sys; print(*sys.path, sep='\\n')"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603 (its own)


def debian_parts() -> Iterator[Component]:
    """Installed packages, by the database of dpkg; none on another system."""
    if not DPKG_STATUS.is_file():
        return
    for stanza in DPKG_STATUS.read_text("utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
            purl = f"pkg:deb/{system_id()}/{quote(name)}@{quote(version)}?arch={quote(architecture)}"
            yield part(name, version, purl)


def interpreter() -> Component:
    version = platform.python_version()
    return part("cpython", version, f"pkg:generic/cpython@{quote(version)}", ["Python-2.0.1"])


def part(name: str, version: str, purl: str, licenses: Iterable[str] = ()) -> Component:
    made = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    stated = [{"license": {"name": each}} for each in licenses]
    return made | ({"licenses": stated} if stated else {})


def license_of(each: Distribution) -> list[str]:
    """As the distribution states it: the expression, else its classifiers, else one short line."""
    if expression := each.metadata.get("License-Expression"):
        return [expression]
    classifiers = each.metadata.get_all("Classifier") or ()
    named = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    line = (each.metadata.get("License") or "").strip()
    return named or ([line] if line and "\n" not in line and len(line) < 80 else [])


def system_id() -> str:
    lines = OS_RELEASE.read_text("utf-8").splitlines() if OS_RELEASE.is_file() else []
    return next((line[3:].strip('"') for line in lines if line.startswith("ID=")), "linux")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
