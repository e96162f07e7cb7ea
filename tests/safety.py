"""The hazard log: docs/safety/hazards.toml as pages for people (reliability.md, row 51).

`python -m tests.safety`, part of `make docs`, writes docs/safety/hazard-log.md and the figures in safety-case.md anew.
"""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAFETY = ROOT / "docs" / "safety"

LIKELIHOODS = ("very low", "low", "medium", "high", "very high")
SEVERITIES = ("minor", "significant", "considerable", "major", "catastrophic")
MATRIX = {
    "very high": (3, 4, 4, 5, 5),
    "high": (2, 3, 3, 4, 5),
    "medium": (2, 2, 3, 3, 4),
    "low": (1, 2, 2, 3, 4),
    "very low": (1, 1, 2, 2, 3),
}
"""Likelihood -> the risk for each severity, 1 to 5, in the manner of DCB0129."""

_SKIPS = re.compile(r"\b(skip|skipif|xfail|importorskip)\b")
_FIGURES = re.compile(r"(?<=<!-- figures: begin -->\n).*(?=<!-- figures: end -->)", re.DOTALL)


def hazards() -> list[dict[str, Any]]:
    return tomllib.loads((SAFETY / "hazards.toml").read_text("utf-8"))["hazard"]


def risk(judged: dict[str, str]) -> int:
    """Raises KeyError or ValueError for words that are none of the matrix."""
    return MATRIX[judged["likelihood"]][SEVERITIES.index(judged["severity"])]


def named_tests(hazard: dict[str, Any]) -> Iterator[str]:
    for control in hazard["controls"]:
        yield from control["tests"]


def fault(test: str) -> str:
    """Why a test proves nothing: it is not there, or does not run; "" when it does."""
    file, _, name = test.partition("::")
    if not (ROOT / file).is_file():
        return "there is no such file"
    module, functions = _parsed(ROOT / file)
    if name not in functions:
        return "there is no such test"
    if _SKIPS.search(module):
        return "the whole file may be skipped"
    return "it may be skipped" if _SKIPS.search(functions[name]) else ""


@cache
def _parsed(path: Path) -> tuple[str, dict[str, str]]:
    """What a test file says of all its tests (`pytestmark`, `importorskip`), and each test's own calls and marks."""
    tree = ast.parse(path.read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    nodes = [*tree.body, *(node for each in classes for node in each.body)]
    functions = {node.name: _code(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    said = (node for node in nodes if isinstance(node, ast.Assign | ast.Expr))
    return "\n".join(map(_code, said)), functions


def _code(node: ast.AST) -> str:
    """Names that are called or read; no strings, which may well speak of skipping."""
    inner = ast.walk(node)
    return " ".join(n.attr if isinstance(n, ast.Attribute) else n.id for n in inner if isinstance(n, _NAMES))


_NAMES = (ast.Attribute, ast.Name)


def hazard_log() -> str:
    return (
        "\n".join((_HEADER, *_matrix(), *_overview(), *(line for each in hazards() for line in _hazard(each)))) + "\n"
    )


def figures() -> str:
    """What the safety case counts."""
    log = hazards()
    tests = {test for each in log for test in named_tests(each)}
    residual = Counter(risk(each["residual"]) for each in log)
    by_risk = ", ".join(f"{residual[level]} of risk {level}" for level in sorted(residual, reverse=True))
    open_points = sum("remaining" in each for each in log)
    return (
        f"- {len(log)} hazards, {sum(len(each['controls']) for each in log)} controls, proved by {len(tests)} tests.\n"
        f"- Residual risk: {by_risk} (of 5).\n"
        f"- {open_points} hazards leave something open, which the log names.\n"
    )


def safety_case(page: str) -> str:
    """The page with its figures renewed."""
    return _FIGURES.sub(lambda _: figures(), page)


_HEADER = """# Hazard log

Generated from `hazards.toml` by `make docs`; a test holds that it is current, and that each test named here exists
and is not skipped. The judgements are those of the developers. **No clinical safety officer has reviewed or accepted
them.**
"""


def _matrix() -> Iterator[str]:
    yield "## Risk\n"
    yield "1, 2: acceptable. 3: to be reduced as far as reasonably practicable. 4, 5: not acceptable as it stands.\n"
    yield f"| likelihood | {' | '.join(SEVERITIES)} |"
    yield "|---" * (len(SEVERITIES) + 1) + "|"
    yield from (f"| {name} | {' | '.join(map(str, row))} |" for name, row in MATRIX.items())
    yield ""


def _overview() -> Iterator[str]:
    yield "## Overview\n"
    yield "| id | hazard | initial | residual | owner |"
    yield "|---|---|---|---|---|"
    for each in hazards():
        link = f"[{each['id']}](#{each['id'].lower()})"
        yield f"| {link} | {each['hazard']} | {risk(each['initial'])} | {risk(each['residual'])} | {each['owner']} |"
    yield ""


def _hazard(each: dict[str, Any]) -> Iterator[str]:
    yield f"## {each['id']}\n"
    yield f"**{each['hazard']}.**\n"
    yield f"- Cause: {each['cause']}."
    yield f"- Effect on the patient: {each['effect']}"
    yield f"- Initial risk: {_judged(each['initial'])}. Residual risk: {_judged(each['residual'])}."
    yield f"- Owner: {each['owner']}."
    if "remaining" in each:
        yield f"- What remains: {each['remaining']}"
    yield ""
    yield "| control | proved by |"
    yield "|---|---|"
    for control in each["controls"]:
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in control["tests"])
        yield f"| {control['says']} | {tests} |"
    yield ""


def _judged(judged: dict[str, str]) -> str:
    return f"{risk(judged)} ({judged['likelihood']}, {judged['severity']})"


if __name__ == "__main__":
    (SAFETY / "hazard-log.md").write_text(hazard_log(), "utf-8")
    case = SAFETY / "safety-case.md"
    case.write_text(safety_case(case.read_text("utf-8")), "utf-8")
