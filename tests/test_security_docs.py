"""docs/security.md names the tests that stand for its controls: they exist, and so do the documents it leads to."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECURITY = (ROOT / "docs/security.md").read_text("utf-8")
TESTS = sorted(set(re.findall(r"`(?:pytest tests/)?(test_\w+\.py)(?:::(test_\w+))?`", SECURITY)))
LINKS = sorted(
    {(name, link) for name in ("security", "ehr-setup") for link in re.findall(
        r"\]\(([^)#\s]+)", (ROOT / f"docs/{name}.md").read_text("utf-8")
    ) if "://" not in link}
)  # fmt: skip


def test_controls_have_tests():
    rows = [row for row in SECURITY.splitlines() if row.startswith("|") and row.count("|") == 5]
    controls = [row for row in rows if not set(row) <= set("|-") and not row.startswith("| asset")]
    assert len(controls) > 25
    assert [row for row in controls if "`test_" not in row.split("|")[4]] == []


@pytest.mark.parametrize(("file", "test"), TESTS)
def test_a_test_that_is_named_exists(file: str, test: str):
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    assert not test or test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("document", "link"), LINKS)
def test_links_lead_somewhere(document: str, link: str):
    assert (ROOT / "docs" / link).exists(), f"docs/{document}.md leads to {link}"
