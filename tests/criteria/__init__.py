"""Worked examples of the criteria catalogue: situations in plain words, and what the catalogue says of each.

They are derived from the catalogue's text, not from the code, so that they can hold the code against it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.records import Judged, judge


class Row(NamedTuple):
    """One situation. expected: mostly a status; given: what else `judge` takes (missing=, born=, a threshold ...)."""

    expected: Any
    resources: tuple[Mapping[str, Any], ...]
    given: Mapping[str, Any]

    def judged(self) -> Judged:
        return judge(*self.resources, **self.given)


def row(expected: Any, *resources: Mapping[str, Any], **given: Any) -> Row:
    return Row(expected, resources, given)


Examples = Mapping[str, Mapping[str, Row]]


def each(examples: Examples, heading: str = "") -> list[Any]:
    """(criterion, row) for pytest, with ids "criterion: situation"."""
    return [
        pytest.param(criterion, example, id=f"{heading}{criterion}: {situation}")
        for criterion, rows in examples.items()
        for situation, example in rows.items()
    ]
