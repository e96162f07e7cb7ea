"""The repository itself: who may import whom, what may never be committed, what installs."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cds", "fhir_profiles", "hooks")
LOCKS = ("requirements.lock", "requirements-dev.lock")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# What each package may import beside the standard library and itself, and the dependency that brings it.
OF_THE_RECORD = {"fhir": "fhir.resources", "fhir_core": "fhir.resources", "msgspec": "msgspec"}
OF_THE_CONVERSATION = OF_THE_RECORD | {
    "alembic": "alembic",
    "authlib": "authlib",
    "cryptography": "pyjwt",  # with its extra `crypto`
    "flask": "flask",
    "granian": "granian",
    "httpx": "httpx",
    "jinja2": "jinja2",
    "joserfc": "authlib",  # its keys
    "jsonschema": "jsonschema",
    "jwt": "pyjwt",
    "markdown_it": "markdown-it-py",
    "markupsafe": "jinja2",  # which is made of it
    "prometheus_client": "prometheus-client",
    "rich": "rich",
    "sqlalchemy": "sqlalchemy",
    "werkzeug": "flask",
}
OPTIONAL = {"duckdb": "duckdb", "opentelemetry": "opentelemetry-sdk", "pyspark": "pyspark"}
"""What only those need who ask for it: an extra of the project brings it."""
ALLOWED = {
    "cds": {"cds"},
    "fhir_profiles": {"fhir_profiles", "cds"} | OF_THE_RECORD.keys(),
    "hooks": {*PACKAGES} | OF_THE_CONVERSATION.keys() | OPTIONAL.keys(),
}

CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}

# Written in pieces, so that this file does not contain what it looks for.
FORBIDDEN = {
    "a path of someone's machine": r"(?<![\w.$/-])/(?:work|root|home|Users|tmp)/(?=\w)",
    "the code system of CPT, which is not free": r"ama-assn\.org/go/" + "cpt",
    "the host of a package index": r"(?:pypi|python" + r"hosted|npm" + r"js)\.(?:org|com)",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE " + "KEY",
}


def imports(package: str) -> Iterator[tuple[Path, str]]:
    """Every top-level module that a package's files import, wherever in the file."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(), filename=str(file))):
            if isinstance(node, ast.Import):
                yield from ((file, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = package if node.level else (node.module or "")
                yield file, module.partition(".")[0]


def tracked_files() -> list[Path]:
    """What git would commit; without git (a source archive), every file outside hidden folders."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    except (FileNotFoundError, subprocess.CalledProcessError):
        visible = (path for path in ROOT.rglob("*") if path.is_file())
        return [path for path in visible if not any(p.startswith(".") for p in path.relative_to(ROOT).parts)]


def pinned(lock: str) -> dict[str, list[str]]:
    """The packages of a lock file: `name==version` to its hashes."""
    pins: dict[str, list[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+==[^\s;]+)", line):
            pins[match[1]] = hashes = []
        elif match := re.fullmatch(r"\s+--hash=sha256:([0-9a-f]{64})(?: \\)?", line):
            hashes.append(match[1])
        else:
            assert line.startswith("#"), f"{lock}: not a pin, a hash or a comment: {line}"
    return pins


def names(requirements: Iterable[str]) -> set[str]:
    """Package names as lock files spell them."""
    return {re.split(r"[<>=~!\[ ;]", text)[0].lower().replace(".", "-").replace("_", "-") for text in requirements}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    """The medicine knows nothing of FHIR, and the record nothing of HTTP."""
    allowed = ALLOWED[package] | sys.stdlib_module_names
    found = [(file.relative_to(ROOT), name) for file, name in imports(package)]
    assert found
    assert [f"{file} imports {name}" for file, name in found if name not in allowed] == []


def test_every_third_party_import_is_a_declared_dependency() -> None:
    used = {name for package in PACKAGES for _, name in imports(package)}
    always = names(OF_THE_CONVERSATION[name] for name in used & OF_THE_CONVERSATION.keys())
    assert always <= names(PYPROJECT["project"]["dependencies"])
    extras = [each for extra in PYPROJECT["project"]["optional-dependencies"].values() for each in extra]
    assert names(OPTIONAL[name] for name in used & OPTIONAL.keys()) <= names(extras)


def test_the_medicine_does_no_io() -> None:
    outside = {"io", "logging", "os", "pathlib", "random", "socket", "subprocess", "sys", "time", "urllib"}
    assert [f"{file.name} imports {name}" for file, name in imports("cds") if name in outside] == []


@pytest.mark.parametrize("package", ["cds", "fhir_profiles"])
def test_nobody_inside_asks_the_clock(package: str) -> None:
    """The evaluation instant comes in as an argument: same input, same answer, on any day."""
    asked = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in CLOCKS
    ]
    assert asked == []


def test_nothing_forbidden_is_in_a_file() -> None:
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {what}" for what, like in FORBIDDEN.items() if re.search(like, text)]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    pins = pinned(lock)
    assert pins
    assert [pin for pin, hashes in pins.items() if not hashes] == []


def test_lock_files_hold_what_pyproject_asks_for() -> None:
    run, development = ({pin.partition("==")[0] for pin in pinned(lock)} for lock in LOCKS)
    assert names(PYPROJECT["project"]["dependencies"]) <= run
    assert names(PYPROJECT["dependency-groups"]["test"]) <= development


def test_tests_run_on_the_versions_that_ship() -> None:
    run, development = (pinned(lock) for lock in LOCKS)
    assert run.items() <= development.items()


def test_the_wheel_has_the_three_packages_and_the_command() -> None:
    assert PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
    assert PYPROJECT["project"]["scripts"] == {"backpain-cds": "hooks.cli:main"}


def test_version_is_the_same_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    assert f'image.version="{version}"' in (ROOT / "Dockerfile").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{version}]" in changelog
