"""What somebody filled in, checked against the form."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fhir_profiles.intake_answers import Answers, Given, Said, questions
from hooks.intake.questions import EMERGENCY, NO, NOT_KNOWN, YES, Limits, is_enabled, limits_of

PREFIX = "answer."
_CHOICES: Mapping[str, Given] = {YES: True, NO: False, NOT_KNOWN: Said.NOT_KNOWN}
LONGEST = 20
"""Characters of a value that can be right."""
CALL_AT_ONCE = frozenset(
    ("one-sided-weakness-or-numbness", "altered-consciousness", "paralysis", "balance-loss", "limb-sensation-loss")
)
"""Signs for which nobody should set out alone."""

Json = dict[str, Any]


class Filled(NamedTuple):
    """answers: by linkId, those that can be used; values: as they stood on the page; problems: what is wrong."""

    answers: Answers
    values: Mapping[str, str]
    problems: Mapping[str, str]


def read_answers(form: Json, links: Iterable[str], posted: Mapping[str, str]) -> Filled:
    """links: of the questions that the page had; anything else that is posted is passed over."""
    chosen = frozenset(links)
    items = [item for item in questions(form["item"]) if item["linkId"] in chosen]
    values = {item["linkId"]: posted.get(PREFIX + item["linkId"], "").strip() for item in items}
    yes = [link for link, value in values.items() if value == YES]
    answers: dict[str, Given] = {}
    problems: dict[str, str] = {}
    for item in items:
        link = item["linkId"]
        if not values[link] or not is_enabled(item, yes):
            continue
        given, problem = _read(item, values[link])
        if problem:
            problems[link] = problem
        else:
            answers[link] = given
    return Filled(answers, values, problems)


def urgent(form: Json, answers: Answers) -> list[str]:
    """The emergency signs that were answered with yes, in the form's order."""
    signs = next(group for group in form["item"] if group["linkId"] == EMERGENCY)["item"]
    return [item["linkId"] for item in signs if answers.get(item["linkId"]) is True]


def _read(item: Json, value: str) -> tuple[Given, str]:
    if item["type"] == "boolean" or value == NOT_KNOWN:
        given = _CHOICES.get(value)
        return (given, "") if given is not None else (False, "Choose yes, no or don’t know.")
    return _number(value, item["type"], limits_of(item))


def _number(value: str, kind: str, limits: Limits) -> tuple[Given, str]:
    """A comma is a decimal point too: half the world writes it so."""
    try:
        if len(value) > LONGEST or not value.isascii() or "_" in value:
            raise ValueError
        number = int(value) if kind == "integer" else float(value.replace(",", "."))
    except ValueError:
        return 0, f"Enter a {'whole ' if kind == 'integer' else ''}number{_range(limits)}."
    if not (number >= (limits.low or 0) and number <= (limits.high if limits.high is not None else 100_000)):
        return 0, f"Enter a number{_range(limits)}."
    return number, ""


def _range(limits: Limits) -> str:
    unit = f", in {limits.unit}" if limits.unit else ""
    return f" from {limits.low or 0:g} to {limits.high:g}{unit}" if limits.high is not None else unit
