"""Two invented records for each criterion: one that meets it and one that does not (reliability.md, row 45).

They are read as any record is, so that a code that fell out of a value set, or a rule that fell silent, is found out
before a patient depends on it. Their day is `AT`, their time zone UTC, and they are judged by the default thresholds:
what a site sets may well say something else of them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cds.evaluation import Evaluation, evaluate
from cds.limits import Limits
from fhir_profiles.reading import read_chart
from fhir_profiles.record import gather_bundle
from fhir_profiles.terminology import Knowledge

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

_ZONE = ZoneInfo("UTC")


class Vignette(NamedTuple):
    """hook: whose criterion it is; met, not_met: FHIR Bundles, the whole record of one patient each."""

    hook: str
    met: bytes
    not_met: bytes


@cache
def vignettes() -> Mapping[str, Vignette]:
    """Criterion id -> its vignette."""
    groups = (each for each in files(__package__).iterdir() if each.name.endswith(".json"))
    return {id_: _vignette(told) for group in groups for id_, told in json.loads(group.read_text("utf-8")).items()}


def judge(bundle: bytes, hook: str, knowledge: Knowledge) -> Evaluation:
    """What a vignette's record says."""
    chart = read_chart(gather_bundle(bundle, hook, AT, _ZONE), AT, _ZONE, knowledge)
    return evaluate(chart, AT, _ZONE, Limits())


def _vignette(told: Mapping[str, Any]) -> Vignette:
    return Vignette(told["hook"], _bundle(told["met"]), _bundle(told["notMet"]))


def _bundle(resources: list[Mapping[str, Any]]) -> bytes:
    entries = [{"resource": each} for each in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
