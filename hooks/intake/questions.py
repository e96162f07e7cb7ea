"""What the form asks of one patient: emergency signs always, the rest where a criterion waits for it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from cds.case import NEVER_EXPIRES
from cds.catalogue import CRITERIA, Group
from cds.evaluation import Evaluation
from cds.explain import uses
from cds.facts import Chart, Measurement, Statement
from fhir_profiles.intake_answers import questions, unit_of

EMERGENCY = "group-emergency"
CLINICIAN = "group-clinician"
YES, NO, NOT_KNOWN = "yes", "no", "unknown"
_ASKED_FOR = (Group.EMERGENCY, Group.RED_FLAG, Group.SURGICAL_REFERRAL)
_OPENS = "child-back-pain"  # its rule asks whether there is a back problem, and nothing else that a form could
_LOWEST = "http://hl7.org/fhir/StructureDefinition/minValue"
_HIGHEST = "http://hl7.org/fhir/StructureDefinition/maxValue"
_UNITS = {"m": "meters", "wk": "weeks", "deg": "degrees"}
_SMALLEST = -1e9

Json = dict[str, Any]


class Limits(NamedTuple):
    """What a number may be. unit: as people say it, "" for a score."""

    low: float | None
    high: float | None
    unit: str


class Question(NamedTuple):
    """One question on the page.

    kind: boolean, integer or decimal; remark: what the record says already; value: what is filled in, "" for nothing;
    problem: what is wrong with that; depends: questions that a yes brings.
    """

    link: str
    text: str
    kind: str
    limits: Limits
    remark: str = ""
    value: str = ""
    problem: str = ""
    depends: tuple["Question", ...] = ()


class Part(NamedTuple):
    link: str
    title: str
    questions: tuple[Question, ...]


def criteria_asked(app_context: str, evaluation: Evaluation) -> tuple[str, ...]:
    """The criteria that the form was opened for; when it was for none, those that are open for this patient."""
    named = tuple(dict.fromkeys(each for each in app_context[:2000].split(",") if each in CRITERIA))
    if named:
        return named
    hidden = evaluation.case.hidden
    return tuple(
        id_
        for id_, answer in evaluation.answers.items()
        if answer.status == "unknown" and CRITERIA[id_].group in _ASKED_FOR and id_ not in hidden
    )


def wanted(form: Json, criteria: Iterable[str], has_back_problem: bool) -> list[str]:
    """The linkIds of the questions to ask, in the form's order; a question that depends on another brings that."""
    emergency = [item["linkId"] for item in _group(form, EMERGENCY)["item"]]
    asked = set(emergency).union(*(_read_by(id_) for id_ in criteria))
    asked |= set() if has_back_problem else {"back-pain"}
    items = list(questions(form["item"]))
    for item in items:
        if item["linkId"] in asked:
            asked.update(condition["question"] for condition in item.get("enableWhen", ()))
    return [item["linkId"] for item in items if item["linkId"] in asked]


def parts(
    form: Json,
    links: Iterable[str],
    remarks: Mapping[str, str],
    values: Mapping[str, str],
    problems: Mapping[str, str],
) -> list[Part]:
    """The page. links: as `wanted` gives them; the rest by linkId."""
    chosen = frozenset(links)

    def question(item: Json, group: Json) -> Question:
        link = item["linkId"]
        below = [each for each in group["item"] if _parent(each) == link and each["linkId"] in chosen]
        return Question(
            link,
            item["text"],
            item["type"],
            limits_of(item),
            remarks.get(link, ""),
            values.get(link, ""),
            problems.get(link, ""),
            tuple(question(each, group) for each in below),
        )

    made = []
    for group in form["item"]:
        on_top = [item for item in group["item"] if item["linkId"] in chosen and not _parent(item)]
        made.append(Part(group["linkId"], group["text"], tuple(question(item, group) for item in on_top)))
    return [part for part in made if part.questions]


def limits_of(item: Json) -> Limits:
    found: dict[str, float] = {}
    for extension in item.get("extension", ()):
        for key, value in extension.items():
            if key in ("valueInteger", "valueDecimal"):
                found[extension["url"]] = value
    unit = unit_of(item)["code"]
    return Limits(found.get(_LOWEST), found.get(_HIGHEST), _UNITS.get(unit, ""))


def is_enabled(item: Json, yes: Iterable[str]) -> bool:
    """Whether its question was there to be answered. yes: the linkIds answered so."""
    return not _parent(item) or _parent(item) in yes


def recorded(form: Json, chart: Chart, at: datetime) -> tuple[dict[str, str], dict[str, str]]:
    """What the record says already, as a remark and as a value to begin with.

    Only what lasts (a history of cancer) is filled in: an old "no" to a sign that may be new today, or the pain of last
    week, would be sent as today's by whoever does not look.
    """
    remarks, values = {}, {}
    for item in questions(form["item"]):
        link = item["linkId"]
        newest = _newest(chart.statements.get(link, ()))
        measured = _newest(chart.measurements.get(link, ()))
        if newest is not None:
            remarks[link] = f"In the record{_on(newest)}: {YES if newest.present else NO}"
            if link in NEVER_EXPIRES:
                values[link] = YES if newest.present else NO
        elif measured is not None and measured.value is not None:
            unit = limits_of(item).unit
            remarks[link] = f"In the record{_on(measured)}: {measured.value:g} {unit}".rstrip()
    return remarks, values


def _newest(facts: Iterable[Any]) -> Any:
    return max(facts, key=lambda fact: fact.when.moment if fact.when else _SMALLEST, default=None)


def _on(fact: Statement | Measurement) -> str:
    return f" on {fact.when.text[:10]}" if fact.when else ""


@cache
def _read_by(id_: str) -> frozenset[str]:
    """The findings that a criterion reads, without those that only say whether there is a back problem."""
    read, openers = frozenset(uses(id_).concepts), frozenset(uses(_OPENS).concepts)
    return read - openers if openers <= read else read


def _parent(item: Json) -> str:
    return next((condition["question"] for condition in item.get("enableWhen", ())), "")


def _group(form: Json, link: str) -> Json:
    return next(group for group in form["item"] if group["linkId"] == link)
