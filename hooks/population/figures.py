"""The committee report's figures of a run, counted in its tables; the same whichever engine filled them."""

# ruff: noqa: S608 (the SQL is put together from our own names and quoted paths)

from collections import Counter
from datetime import date
from pathlib import Path

import duckdb

from cds.answers import MET
from cds.catalogue import Group
from cds.evaluation import CATALOGUE
from cds.triage import NOT_ASSESSED, ORDER_HOOKS
from hooks.population.charts import View
from hooks.population.judging import DISABLED
from hooks.population.tables import table
from hooks.report.figures import CHARTS, INDICATORS, ORDERS, UNANSWERED, Figures


def count(connection: duckdb.DuckDBPyConnection, folder: Path, view: View, day: date) -> Figures:
    """Each chart as one call on that day, unanswered. Raises PopulationError where the tables are not there."""
    charts, criteria = table(folder, "charts"), table(folder, "criteria")
    kind = ORDERS if view.hook in ORDER_HOOKS else CHARTS
    ask = connection.execute
    total, patients, unreadable, foreign = ask(
        "SELECT count(*), count(DISTINCT patient), count_if(unreadable > 0), count_if(foreign_resources > 0) "
        f"FROM {charts}"
    ).fetchone()
    figures = Figures(patients=patients, unreadable=unreadable, foreign=foreign)
    figures.calls[kind, day] = total
    figures.missing.update(dict.fromkeys(view.missing, total))
    figures.loudest = Counter({(kind, loudest): number for loudest, number in ask(_loudest(charts)).fetchall()})
    for group, indicator, number in ask(
        f"SELECT card.group, card.indicator, count(*) FROM (SELECT unnest(cards) AS card FROM {charts}) "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        figures.cards[kind, group, indicator, day] = number
        figures.outcomes[group, UNANSWERED] += number
    figures.told.update({(id_, UNANSWERED): number for id_, number in ask(_told(charts)).fetchall()})
    asked = {each.id for each in CATALOGUE if (each.group == Group.ORDER_SAFETY) == (kind == ORDERS)}
    again = {(id_, state): number for id_, state, number in ask(_met_again(charts, criteria)).fetchall()}
    for id_, state, status, number in ask(
        "SELECT criterion, state, status, count(*) "
        f"FROM {criteria} WHERE state <> '{DISABLED}' GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        if id_ in asked:
            figures.answers[id_, state, status, day] = number
            figures.patients_met[id_, state] += number - again.get((id_, state), 0) if status == MET else 0
    return figures


def back_problems(connection: duckdb.DuckDBPyConnection, folder: Path) -> tuple[int, int]:
    """Charts with a back problem, and of these those where it is current."""
    return connection.execute(
        f"SELECT count_if(back_problem), count_if(current) FROM {table(folder, 'charts')}"
    ).fetchone()


def _met_again(charts: str, criteria: str) -> str:
    """Charts with a criterion met, beyond the first of each patient.

    Only the names of the few with several charts are compared: those of all would take much memory.
    """
    repeated = f"SELECT patient FROM {charts} GROUP BY patient HAVING count(*) > 1"
    return (
        f"SELECT criterion, state, count(*) - count(DISTINCT patient) FROM {criteria} "
        f"WHERE status = '{MET}' AND patient IN ({repeated}) GROUP BY ALL"
    )


def _loudest(charts: str) -> str:
    """Charts by the indicator of their most urgent card, "" without a card."""
    urgent = "".join(f"WHEN list_contains(shown, '{each}') THEN '{each}' " for each in INDICATORS)
    shown = "list_transform(cards, lambda card: card.indicator)"
    return (
        f"SELECT CASE {urgent}ELSE '' END AS loudest, count(*) FROM (SELECT {shown} AS shown FROM {charts}) "
        "GROUP BY ALL ORDER BY ALL"
    )


def _told(charts: str) -> str:
    """Cards by the criteria that they say are met."""
    return (
        "SELECT id, count(*) FROM (SELECT unnest(card.criteria) AS id FROM ("
        f"SELECT unnest(cards) AS card FROM {charts}) WHERE card.group <> '{NOT_ASSESSED}') GROUP BY ALL ORDER BY ALL"
    )
