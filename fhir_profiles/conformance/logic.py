"""What decides about cards, as a Library: the modules of `cds` themselves, so that it is no second truth.

They need Python and its standard library, nothing else: no FHIR, no clock, no network. So whoever has the Library can
run what a condition of a PlanDefinition says.
"""

from base64 import b64encode
from collections.abc import Collection, Iterator
from hashlib import sha1
from importlib.resources import files
from importlib.resources.abc import Traversable

import cds
from cds.catalogue import Criterion
from cds.limits import BY_KEY, THRESHOLDS, Limits, Threshold
from fhir_profiles.conformance.resource import UNREVIEWED, Edition, Resource, canonical, described

LOGIC = "criteria-logic"
LANGUAGE = "text/x-python"
SITE = "cds_site"
_ABOUT = (
    "The criteria and what decides about cards, as the service runs them: each content is a Python module, its title "
    f"says where in a folder. {SITE}.py has the thresholds in force, and makes a case of a chart. Conditions of the "
    "PlanDefinitions are expressions over such a `case` and `hook`, the name of the CDS Hooks hook. "
)
_SITE = """\"\"\"What holds here: thresholds other than the usual, and criteria that are left out.\"\"\"

from datetime import datetime

import cds.evaluation
import cds.triage
from cds.case import Case
from cds.facts import Chart
from cds.limits import Limits

LIMITS = Limits({limits})
LEFT_OUT = frozenset({left_out})


def case(chart: Chart, at: datetime) -> Case:
    \"\"\"at: with the time zone of the site, by whose days windows are counted.\"\"\"
    return Case(chart, at, LIMITS, LEFT_OUT)
"""
_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "logic-library"}


def library(edition: Edition, limits: Limits, left_out: Collection[str] = ()) -> Resource:
    """limits: those in force; left_out: criteria that the site left out."""
    modules = {**dict(_modules(files(cds), "cds")), f"{SITE}.py": _site(limits, left_out)}
    return described("Library", LOGIC, "The logic of the cards", _ABOUT + UNREVIEWED, edition) | {
        "type": {"coding": [_TYPE]},
        "parameter": [_parameter(threshold, limits) for threshold in THRESHOLDS],
        "content": [_content(*module) for module in sorted(modules.items())],
    }


def _parameter(threshold: Threshold, limits: Limits) -> dict[str, str | int]:
    said = f"{threshold.unit}; here {getattr(limits, threshold.key):g}"
    return {"name": threshold.key, "use": "in", "min": 0, "max": "1", "documentation": said, "type": "decimal"}


def _site(limits: Limits, left_out: Collection[str]) -> bytes:
    stated = {key: getattr(limits, key) for key in BY_KEY}
    other = (f"{key}={value!r}" for key, value in stated.items() if value != BY_KEY[key].default)
    return _SITE.format(limits=", ".join(other), left_out=sorted(left_out)).encode()


def _modules(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _modules(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()


def _content(title: str, source: bytes) -> dict[str, str | int]:
    """The hash is SHA-1, as FHIR has it."""
    return {
        "contentType": LANGUAGE,
        "data": b64encode(source).decode(),
        "size": len(source),
        "hash": b64encode(sha1(source, usedforsecurity=False).digest()).decode(),
        "title": title,
    }


def when_met(entry: Criterion) -> str:
    """Whether a criterion is met."""
    return f"{entry.rule.__module__}.{entry.rule.__name__}(case).met"


def when_shown(group: str) -> str:
    """Whether a card of that group appears."""
    return f"any(section.group == {group!r} for section in cds.triage.triage(case, hook))"


def condition(name: str, words: str, expression: str) -> dict[str, object]:
    """Of an action: in words, and as the Library decides it."""
    stated = {"name": name, "description": words, "language": LANGUAGE, "expression": expression}
    return {"kind": "applicability", "expression": stated | {"reference": canonical("Library", LOGIC)}}
