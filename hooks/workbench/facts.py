"""The facts of a chart that mean something here, one row a name, for the timeline and its table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cds.facts import Chart, Evidence, Measurement, When
from fhir_profiles.terminology import Knowledge
from fhir_profiles.units import canonical_unit

PROBLEMS, FINDINGS, NUMBERS = "Problems", "Findings", "Labs and scores"
MEDICINES, TREATMENT, ORDERS = "Medicines", "Treatment", "Orders and reports"
LANES = (PROBLEMS, FINDINGS, NUMBERS, MEDICINES, TREATMENT, ORDERS)

_UNITS = {"Cel": "°C", "10*9/L": "×10⁹/L", "deg": "°", "wk": "weeks", "{score}": ""}
"""UCUM units that people write in another way."""


class Fact(NamedTuple):
    """One resource's part in a row. first, last: day ordinals (None: undated); they differ for what lasts."""

    lane: str
    row: str
    first: int | None
    last: int | None
    value: str
    evidence: Evidence


def facts_of(chart: Chart, today: int, knowledge: Knowledge) -> list[Fact]:
    """Each (row, resource) once; findings that were stated as absent are left to the table of criteria."""
    found: dict[tuple[str, str, str], Fact] = {}
    for fact in _facts(chart, today, knowledge):
        found.setdefault((fact.lane, fact.row, fact.evidence.reference), fact)
    return list(found.values())


def _facts(chart: Chart, today: int, knowledge: Knowledge) -> Iterator[Fact]:
    for each in _flat(chart.diagnoses):
        yield _lasting(PROBLEMS, each.start, today if each.active else None, each.evidence)
    for each in _flat(chart.statements):
        if each.present:
            yield _lasting(FINDINGS, each.when, None, each.evidence)
    for concept, measured in chart.measurements.items():
        for each in measured:
            yield _measured(concept, each, knowledge)
    for each in _flat(chart.medicines):
        if each.counted:
            yield _lasting(MEDICINES, each.start, today if each.active else None, each.evidence)
    for each in _flat(chart.treatments):
        if each.counted:
            yield _lasting(TREATMENT, each.start, each.end and each.end.last, each.evidence)
    for each in _flat(chart.orders):
        yield _lasting(ORDERS, each.placed, None, each.evidence)
    numbers = {each.evidence.reference for each in _flat(chart.measurements)}
    for each in _flat(chart.reports):
        if each.done and each.evidence.reference not in numbers:
            yield _lasting(ORDERS, each.when, None, each.evidence)


def _flat(by_concept: Mapping[str, Sequence[Any]]) -> Iterable[Any]:
    return (each for facts in by_concept.values() for each in facts)


def _lasting(lane: str, start: When | None, end: int | None, evidence: Evidence) -> Fact:
    first = start.last if start else None
    last = first if first is None or end is None else max(first, end)
    return Fact(lane, evidence.display or evidence.reference, first, last, "", evidence)


def _measured(concept: str, measured: Measurement, knowledge: Knowledge) -> Fact:
    day = measured.when.last if measured.when else None
    return Fact(NUMBERS, knowledge.value_sets[concept].title, day, day, _value(concept, measured), measured.evidence)


def _value(concept: str, measured: Measurement) -> str:
    if measured.value is None:
        return "?"
    unit = canonical_unit(concept)
    return f"{measured.comparator}{measured.value:.4g} {_UNITS.get(unit, unit)}".strip()
