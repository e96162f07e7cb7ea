"""Numbers in one unit per concept, so that limits can be compared (catalogue, section 2 rule 9).

The table is `knowledge/units.csv`: canonical = value x factor + offset. A unit that is not in it is not
guessed: the number is then no evidence.
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parent / "knowledge" / "units.csv"

# Far below what any limit distinguishes, far above the error of binary fractions: 100.4 [degF] is 38 Cel.
_DECIMALS = 6


class _Scale(NamedTuple):
    factor: float
    offset: float


def to_canonical(concept: str, value: float, code: str | None, unit: str | None) -> float | None:
    """Return a Quantity's value in the concept's canonical unit, or None if its unit is not understood.

    The UCUM code decides; the unit's text only where there is no code and the text is one of the accepted
    units letter for letter. Scores and grades are understood without a unit.
    """
    scale = _units()[concept][1].get(code or unit or "")
    if scale is None:
        return None
    return round(value * scale.factor + scale.offset, _DECIMALS)


def canonical_unit(concept: str) -> str:
    """Return the UCUM unit in which the concept is compared; the catalogue's limits are in it."""
    return _units()[concept][0]


def measured_concepts() -> frozenset[str]:
    """Return the concepts that have a unit."""
    return frozenset(_units())


@cache
def _units() -> dict[str, tuple[str, dict[str, _Scale]]]:
    """Return canonical unit and accepted units of each concept."""
    table: dict[str, tuple[str, dict[str, _Scale]]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            _, accepted = table.setdefault(row["concept"], (row["canonical"], {}))
            accepted[row["accepted"]] = _Scale(float(row["factor"]), float(row["offset"]))
    return table
