"""Two runs over the same charts, before and after: whose cards differ, and what stands behind it."""

# ruff: noqa: S608 (the SQL is put together from our own names and quoted paths)

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from cds.explain import uses
from hooks.population.manifest import Basis, differences
from hooks.population.tables import copy, table

FILE = "changes"
_THRESHOLDS, _STATES = "thresholds.", "states."


class Turned(NamedTuple):
    """Charts in which a criterion went from one status (or state) to another; why: the differences that it rests on."""

    criterion: str
    before: str
    after: str
    charts: int
    with_other_cards: int
    why: tuple[str, ...]


class Comparison(NamedTuple):
    """compared: charts on both sides; changed: those with other cards. only_before, only_after: on one side, or twice.

    gained, lost: cards by (group, indicator). basis: what the sides rest on that differs -> (before, after).
    """

    compared: int
    changed: int
    only_before: int
    only_after: int
    gained: Mapping[tuple[str, str], int]
    lost: Mapping[tuple[str, str], int]
    turned: tuple[Turned, ...]
    basis: Mapping[str, tuple[Any, Any]]


def compare(
    connection: duckdb.DuckDBPyConnection, before: Path, after: Path, bases: tuple[Basis, Basis], output: Path
) -> Comparison:
    """Writes changes.parquet and changes.ndjson to `output`, a row for each chart whose cards differ.

    before, after: folders of tables. Raises PopulationError where they are not there.
    """
    _prepare(connection, before, after)
    for ending, options in (("parquet", "FORMAT parquet"), ("ndjson", "FORMAT json")):
        made = output / f"{FILE}.unfinished"
        copy(connection, "SELECT * FROM changes ORDER BY patient", made, options)
        made.replace(output / f"{FILE}.{ending}")
    ask = connection.execute
    compared, changed = ask("SELECT count(*), count_if(changed) FROM compared").fetchone()
    known = [ask(f"SELECT count(*) FROM {table(folder, 'charts')}").fetchone()[0] for folder in (before, after)]
    basis = differences(*bases)
    return Comparison(
        compared,
        changed,
        *(number - compared for number in known),
        _cards(connection, "after_cards", "before_cards"),
        _cards(connection, "before_cards", "after_cards"),
        tuple(_turned(connection, basis)),
        basis,
    )


def _prepare(connection: duckdb.DuckDBPyConnection, before: Path, after: Path) -> None:
    """Views on both sides. Charts are compared by patient, so that a patient with several on one side is left out."""
    for side, folder in (("before", before), ("after", after)):
        connection.execute(
            f"CREATE VIEW {side}_charts AS SELECT patient, any_value(cards) AS cards "
            f"FROM {table(folder, 'charts')} GROUP BY patient HAVING count(*) = 1"
        )
        connection.execute(f"CREATE VIEW {side}_criteria AS SELECT * FROM {table(folder, 'criteria')}")
    connection.execute(_COMPARED)
    connection.execute(_TURNED)
    connection.execute(_CHANGES)


_COMPARED = """
    CREATE TABLE compared AS
    SELECT patient, before.cards AS before_cards, after.cards AS after_cards,
           before.cards IS DISTINCT FROM after.cards AS changed
    FROM before_charts AS before JOIN after_charts AS after USING (patient)"""

_TURNED = """
    CREATE TABLE turned AS
    SELECT patient, criterion, before.status AS before_status, after.status AS after_status,
           before.state AS before_state, after.state AS after_state
    FROM before_criteria AS before FULL JOIN after_criteria AS after USING (patient, criterion)
         SEMI JOIN compared USING (patient)
    WHERE before.status IS DISTINCT FROM after.status
          OR (before.state IS DISTINCT FROM after.state AND (before.shown OR after.shown))"""

_CHANGES = """
    CREATE VIEW changes AS
    SELECT patient, before_cards, after_cards,
           coalesce(list(struct_pack(criterion, before_status, after_status, before_state, after_state)
                    ORDER BY criterion) FILTER (criterion IS NOT NULL), []) AS criteria
    FROM compared LEFT JOIN turned USING (patient) WHERE changed GROUP BY ALL"""


def _cards(connection: duckdb.DuckDBPyConnection, these: str, those: str) -> dict[tuple[str, str], int]:
    """Cards that one side has of a kind that the other side has not."""
    kind = 'struct_pack("group" := card.group, indicator := card.indicator)'
    kinds = f"list_distinct(list_transform({{}}, lambda card: {kind}))"
    rows = connection.execute(
        "SELECT card.group, card.indicator, count(*) FROM ("
        f"SELECT unnest({kinds.format(these)}) AS card, {kinds.format(those)} AS others FROM compared WHERE changed) "
        "WHERE NOT list_contains(others, card) GROUP BY ALL ORDER BY ALL"
    )
    return {(group, indicator): number for group, indicator, number in rows.fetchall()}


def _turned(connection: duckdb.DuckDBPyConnection, basis: Mapping[str, Any]) -> Iterator[Turned]:
    rows = connection.execute(
        """SELECT criterion, before_status || coalesce(' (' || nullif(before_state, 'on') || ')', ''),
                  after_status || coalesce(' (' || nullif(after_state, 'on') || ')', ''),
                  count(*), count_if(changed)
           FROM turned JOIN compared USING (patient) GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"""
    )
    for criterion, before, after, charts, changed in rows.fetchall():
        yield Turned(criterion, before or "not there", after or "not there", charts, changed, _why(criterion, basis))


def _why(criterion: str, basis: Mapping[str, tuple[Any, Any]]) -> tuple[str, ...]:
    """The differences that this criterion can feel: its thresholds and state, and what all criteria rest on."""
    try:
        own = {_THRESHOLDS + key for key in uses(criterion).thresholds} | {_STATES + criterion}
    except KeyError:  # of another release
        own = set()
    own |= {"disabled"} if any(criterion in (names or ()) for names in basis.get("disabled", ())) else set()
    single = (_THRESHOLDS, _STATES, "disabled", "ids")
    general = [name for name in basis if not name.startswith(single)]
    return (*(name.removeprefix(_THRESHOLDS) for name in basis if name in own), *general)
