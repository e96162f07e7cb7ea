"""An outcome as the templates show it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from cds.evaluation import CATALOGUE
from hooks.criteria_view import GROUPS
from hooks.pipeline import Site
from hooks.workbench.call import SAMPLE_ORDERS, label_of
from hooks.workbench.cards import card_view
from hooks.workbench.facts import Fact, facts_of
from hooks.workbench.form import Form
from hooks.workbench.outcome import Json, Outcome, card_changes, changes
from hooks.workbench.patient import Patient, Resource
from hooks.workbench.timeline import LEFT, RIGHT, WIDTH, picture
from hooks.workbench.wire import pretty, wire

_RESOURCES_SHOWN = 100
_EVIDENCE_SHOWN = 6
_FACTS_SHOWN = 60
_TYPE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)(?:/[^/]*)?$")


class Shelf:
    """The resources that the page can open, each once under a key of ours."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self._resources = resources
        self._keys: dict[str, str] = {}

    def key(self, reference: str) -> str:
        """ "" for what is not in the chart, or beyond what a page should hold."""
        if reference in self._keys:
            return self._keys[reference]
        if reference not in self._resources or len(self._keys) == _RESOURCES_SHOWN:
            return ""
        return self._keys.setdefault(reference, f"resource-{len(self._keys) + 1}")

    def opened(self) -> Iterator[tuple[str, str, str]]:
        """Key, reference and JSON of each."""
        for reference, key in self._keys.items():
            yield key, reference, pretty(msgspec.json.encode(self._resources[reference]))


class Cited(NamedTuple):
    """A piece of evidence. kind: its FHIR type; key: of the resource on the shelf."""

    kind: str
    label: str
    date: str
    key: str


class Row(NamedTuple):
    """A criterion in the table. status, before: "off" when it is left out, before "" when that is the same.

    is_fixed: the site leaves it out, so that the form cannot put it back.
    """

    id: str
    title: str
    status: str
    before: str
    reason: str
    evidence: list[Cited]
    more: int
    is_fixed: bool


class Told(NamedTuple):
    """A resource in the table of facts."""

    reference: str
    key: str
    labels: str
    lane: str
    date: str
    is_out: bool


def outcome_view(outcome: Outcome, patient: Patient, form: Form, site: Site, base_url: str) -> dict[str, Any]:
    """What the template of the outcome names beside the form."""
    shelf = Shelf(outcome.call.resources)
    evaluation = outcome.answered.evaluation
    criteria = outcome.evaluation["criteria"]
    facts = facts_of(evaluation.chart, evaluation.case.today, site.knowledge)
    came, went = card_changes(outcome)
    return {
        "patient": patient,
        "outcome": outcome,
        "call": outcome.call,
        "sample_orders": SAMPLE_ORDERS,
        "cards": [card_view(card) for card in outcome.response["cards"]],
        "problem": outcome.evaluation["backProblem"],
        "counts": _counts(criteria),
        "gaps": list(_gaps(outcome)),
        "changes": changes(outcome),
        "cards_came": came,
        "cards_went": went,
        "groups": _groups(outcome, form, site, shelf),
        "picture": _picture(outcome, facts),
        "frame": {"width": WIDTH, "left": LEFT, "right": RIGHT},
        "told": _told(facts, form, outcome, shelf),
        "facts_left_out": max(0, len({fact.evidence.reference for fact in facts}) - _FACTS_SHOWN),
        "at": evaluation.at.astimezone(site.settings.zone),
        "wire": wire(outcome.call, outcome.answered.body, base_url, site.settings.development),
        "shelf": shelf,
    }


def _counts(criteria: Iterable[Json]) -> dict[str, int]:
    statuses = [each["status"] for each in criteria]
    return {status: statuses.count(status) for status in ("met", "unknown", "not-met")}


def _gaps(outcome: Outcome) -> Iterator[str]:
    """What a reader of the cards should know was not looked at."""
    chart = outcome.answered.evaluation.chart
    if chart.missing:
        yield f"Not available: {', '.join(sorted(chart.missing))}."
    if chart.unreadable:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(chart.unreadable.items()))
        yield f"Could not be read and left out: {counts}."
    if chart.foreign:
        yield f"Named another patient and left out: {chart.foreign}."


def _picture(outcome: Outcome, facts: list[Fact]) -> Any:
    evaluation = outcome.answered.evaluation
    met = (each for each in outcome.evaluation["criteria"] if each["status"] == "met")
    weighing = {fact["reference"] for each in met for fact in each["evidence"]}
    onset = evaluation.back_problem.onset if evaluation.back_problem else None
    return picture(facts, weighing, evaluation.case.today, onset.when.last if onset else None)


# --- the table of criteria --------------------------------------------------------------------------------


def _groups(outcome: Outcome, form: Form, site: Site, shelf: Shelf) -> list[tuple[str, list[Row]]]:
    answered = {each["id"]: each for each in outcome.evaluation["criteria"]}
    changed = {each.id: each.before for each in changes(outcome)}
    off = form.disabled | site.settings.disabled
    rows = {
        entry.id: _off(entry.id, entry.title, changed, site)
        if entry.id in off
        else _row(answered[entry.id], changed, shelf)
        for entry in CATALOGUE
    }
    of_group = {
        title: [rows[each.id] for each in CATALOGUE if each.group is group] for group, (title, _) in GROUPS.items()
    }
    return list(of_group.items())


def _off(id_: str, title: str, changed: Mapping[str, str], site: Site) -> Row:
    fixed = id_ in site.settings.disabled
    reason = "left out by the site's configuration" if fixed else "left out here"
    return Row(id_, title, "off", changed.get(id_, ""), reason, [], 0, fixed)


def _row(entry: Json, changed: Mapping[str, str], shelf: Shelf) -> Row:
    evidence = entry["evidence"]
    cited = list(_cited(evidence, shelf))
    more = max(0, len(cited) - _EVIDENCE_SHOWN)
    return Row(
        entry["id"],
        entry["title"],
        entry["status"],
        changed.get(entry["id"], ""),
        entry["reason"],
        cited[:_EVIDENCE_SHOWN],
        more,
        False,
    )


def _cited(evidence: Iterable[Json], shelf: Shelf) -> Iterator[Cited]:
    """Each resource once, with all that it says."""
    by_reference: dict[str, list[Json]] = {}
    for fact in evidence:
        by_reference.setdefault(fact["reference"], []).append(fact)
    for reference, facts in by_reference.items():
        kind = _TYPE.search(reference)
        label = "; ".join(dict.fromkeys(fact.get("display", reference) for fact in facts))
        yield Cited(kind[1] if kind else "evidence", label, facts[0].get("date", ""), shelf.key(reference))


# --- the table of facts -----------------------------------------------------------------------------------


def _told(facts: Iterable[Fact], form: Form, outcome: Outcome, shelf: Shelf) -> list[Told]:
    """A row a resource, the newest first, then what was left out, so that it can be put back."""
    by_reference: dict[str, list[Fact]] = {}
    for fact in facts:
        by_reference.setdefault(fact.evidence.reference, []).append(fact)
    newest_first = sorted(by_reference.items(), key=lambda each: -(each[1][0].first or 0))
    told = [_resource(reference, found, shelf) for reference, found in newest_first[:_FACTS_SHOWN]]
    gone = [(each, outcome.call.resources[each]) for each in sorted(form.without) if each in outcome.call.resources]
    return [*[Told(name, shelf.key(name), label_of(found), "", "", True) for name, found in gone], *told]


def _resource(reference: str, facts: list[Fact], shelf: Shelf) -> Told:
    labels = list(dict.fromkeys(f"{fact.row} {fact.value}".strip() for fact in facts))
    more = [f"and {len(labels) - 4} more"] if len(labels) > 5 else []
    shown = labels[:4] if more else labels
    return Told(
        reference, shelf.key(reference), "; ".join([*shown, *more]), facts[0].lane, facts[0].evidence.date, False
    )
