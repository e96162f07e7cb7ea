"""What decides about cards, as a Library: the modules of `cds` themselves, so that it is no second truth.

They need Python and its standard library, nothing else: no FHIR, no clock, no network. So whoever has the Library can
run what a condition of a PlanDefinition says.
"""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from importlib.resources import files
from importlib.resources.abc import Traversable

import cds
from cds.catalogue import Criterion
from cds.limits import THRESHOLDS, Limits
from fhir_profiles.conformance.resource import UNREVIEWED, Edition, Resource, canonical, described

LOGIC = "criteria-logic"
LANGUAGE = "text/x-python"
_ABOUT = (
    "The criteria and what decides about cards, as the service runs them: each content is a module of the Python "
    "package cds, its title says where in a folder. Conditions of the PlanDefinitions are expressions over `case`, a "
    "cds.case.Case, and `hook`, the name of the CDS Hooks hook. The parameters are the thresholds of "
    "cds.limits.Limits. "
)
_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "logic-library"}


def library(edition: Edition, limits: Limits) -> Resource:
    """limits: those in force."""
    return described("Library", LOGIC, "The logic of the cards", _ABOUT + UNREVIEWED, edition) | {
        "type": {"coding": [_TYPE]},
        "parameter": [
            {
                "name": threshold.key,
                "use": "in",
                "min": 0,
                "max": "1",
                "documentation": f"{threshold.unit}; here {getattr(limits, threshold.key):g}",
                "type": "decimal",
            }
            for threshold in THRESHOLDS
        ],
        "content": [_content(*module) for module in sorted(_modules(files(cds), "cds"))],
    }


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
