"""The safety file: every control is proved by tests that exist and run, and the pages are current (row 51)."""

import re
from typing import Any

import pytest

from cds.catalogue import CRITERIA
from cds.evaluation import CATALOGUE_VERSION
from fhir_profiles.transparency import load_transparency
from tests import safety
from tests.safety import LIKELIHOODS, MATRIX, SAFETY, SEVERITIES, fault, hazard_log, hazards, named_tests, risk

LOG = hazards()
TESTS = sorted({test for hazard in LOG for test in named_tests(hazard)})
FIELDS = {"id", "hazard", "cause", "effect", "initial", "residual", "owner", "controls"}


def each_hazard(test: Any) -> Any:
    return pytest.mark.parametrize("hazard", LOG, ids=[hazard["id"] for hazard in LOG])(test)


def test_there_are_enough_hazards_each_with_its_own_id():
    assert len(LOG) >= 25
    assert [hazard["id"] for hazard in LOG] == [f"H{number:02d}" for number in range(1, len(LOG) + 1)]


@each_hazard
def test_a_hazard_is_complete(hazard: dict[str, Any]):
    assert FIELDS <= set(hazard) <= FIELDS | {"remaining"}
    assert all(hazard[field] for field in FIELDS)
    assert all(control["says"] and control["tests"] for control in hazard["controls"])


@each_hazard
def test_controls_lower_the_likelihood_and_no_risk_stays_unnamed(hazard: dict[str, Any]):
    """What is still not low has to say what remains; a control of ours rarely makes a harm milder."""
    before, after = risk(hazard["initial"]), risk(hazard["residual"])
    assert after <= before
    assert LIKELIHOODS.index(hazard["residual"]["likelihood"]) < LIKELIHOODS.index(hazard["initial"]["likelihood"])
    assert after <= 3 or "remaining" in hazard


@pytest.mark.parametrize("test", TESTS)
def test_what_proves_a_control_exists_and_runs(test: str):
    assert fault(test) == ""


@pytest.mark.parametrize(
    ("code", "name", "why"),
    [
        ("def test_a(): pass", "test_a", ""),
        ("def test_a(): pass", "test_b", "there is no such test"),
        ("class TestA:\n    def test_a(self): pass", "test_a", ""),
        ("@pytest.mark.skip\ndef test_a(): pass", "test_a", "it may be skipped"),
        ("@pytest.mark.skipif(True, reason='x')\ndef test_a(): pass", "test_a", "it may be skipped"),
        ("@pytest.mark.xfail\ndef test_a(): pass", "test_a", "it may be skipped"),
        ("def test_a():\n    pytest.skip('no browser')", "test_a", "it may be skipped"),
        ("pytestmark = pytest.mark.skip\ndef test_a(): pass", "test_a", "the whole file may be skipped"),
        ("pytest.importorskip('x')\ndef test_a(): pass", "test_a", "the whole file may be skipped"),
        ("def test_a():\n    assert 'skip'", "test_a", ""),
    ],
)
def test_a_test_that_proves_nothing_is_noticed(code: str, name: str, why: str, tmp_path, monkeypatch):
    monkeypatch.setattr(safety, "ROOT", tmp_path)
    (tmp_path / "test_it.py").write_text(code, "utf-8")
    assert fault(f"test_it.py::{name}") == why
    assert fault(f"test_other.py::{name}") == "there is no such file"


def test_the_matrix_rises_with_likelihood_and_severity():
    rows = [MATRIX[likelihood] for likelihood in LIKELIHOODS]
    assert all(len(row) == len(SEVERITIES) and list(row) == sorted(row) for row in rows)
    assert all(list(column) == sorted(column) for column in zip(*rows, strict=True))


def test_the_pages_are_current():
    """`make docs` writes them."""
    assert (SAFETY / "hazard-log.md").read_text("utf-8") == hazard_log()
    case = (SAFETY / "safety-case.md").read_text("utf-8")
    assert safety.safety_case(case) == case


def test_every_page_says_that_nobody_has_signed():
    for page in ("README.md", "hazard-log.md", "safety-case.md"):
        assert re.search(r"[Nn]o clinical\s+safety\s+officer", (SAFETY / page).read_text("utf-8")), page


def test_the_readme_has_every_limit_that_the_pages_show():
    said = " ".join((SAFETY / "README.md").read_text("utf-8").split())
    for limit in load_transparency().limits:
        assert limit in said, limit


def test_the_safety_case_is_about_this_catalogue():
    said = (SAFETY / "safety-case.md").read_text("utf-8")
    assert f"catalogue {CATALOGUE_VERSION}" in said
    assert f"{len(CRITERIA)} criteria" in said


@pytest.mark.parametrize("page", ["README.md", "safety-case.md"])
def test_links_lead_somewhere(page: str):
    links = re.findall(r"\]\(([^)#\s]+)", (SAFETY / page).read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (SAFETY / link).exists()] == []
