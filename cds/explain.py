"""What a criterion rests on, read off its own code: thresholds, concepts, patient data; for people who review it."""

from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import cds.criteria  # noqa: F401  (enters the criteria into the catalogue)
from cds.cards import OUTLINES
from cds.case import Case
from cds.catalogue import CRITERIA, Criterion, Group, in_group
from cds.concepts import ALL_CONCEPTS
from cds.limits import BY_KEY
from cds.offers import NAMES
from cds.surgical_card import EARLY
from cds.triage import (
    DECIDED_BY,
    EMERGENCY,
    INFORMATION,
    NOT_ASKED,
    NOT_ASSESSED,
    ORDER_SAFETY,
    RED_FLAG,
    SURGICAL_REFERRAL,
)

_GROUPS_ON = {
    EMERGENCY: (Group.EMERGENCY,),
    RED_FLAG: (Group.RED_FLAG,),
    SURGICAL_REFERRAL: (Group.SURGICAL_REFERRAL,),
    INFORMATION: (Group.PROMPT_REVIEW, Group.CONTRIBUTING, Group.CONSERVATIVE),
    NOT_ASSESSED: (Group.EMERGENCY, Group.RED_FLAG),
    ORDER_SAFETY: (Group.ORDER_SAFETY,),
}

PATIENT_DATA = {"age": "birth-date", "sex": "sex"}
"""What rules call what they know of the patient -> which element of the record that is."""


class Uses(NamedTuple):
    """What a rule refers to, itself or through what it asks.

    Keys of thresholds, ids of concepts, elements of the patient, and the groups whose criteria it asks.
    """

    thresholds: tuple[str, ...]
    concepts: tuple[str, ...]
    patient: tuple[str, ...]
    groups: tuple[Group, ...]


@cache
def uses(id_: str) -> Uses:
    """What the criterion refers to; raises KeyError for an id that is none."""
    rule = CRITERIA[id_].rule.__wrapped__
    mentioned = set(_mentions(rule, set()))
    return Uses(
        thresholds=tuple(key for key in BY_KEY if key in mentioned),
        concepts=tuple(sorted(mentioned & ALL_CONCEPTS)),
        patient=tuple(sorted({element for name, element in PATIENT_DATA.items() if name in mentioned})),
        groups=tuple(group for group in Group if in_group in mentioned and group.name in mentioned),
    )


@cache
def reaches(id_: str) -> frozenset[str]:
    """The concepts and patient elements that can change the criterion, through the groups that it asks too."""
    used = uses(id_)
    asked = (entry.id for entry in in_group(*used.groups) if entry.id != id_)
    return frozenset({*used.concepts, *used.patient}).union(*map(reaches, asked))


def opening(card: str) -> str:
    """When a card of that group appears, in words."""
    return " ".join((DECIDED_BY[card].__doc__ or "").split())


def shown_on(card: str) -> tuple[Criterion, ...]:
    """The criteria that a card of that group can be about."""
    entries = in_group(*_GROUPS_ON[card])
    if card == NOT_ASSESSED:
        return tuple(entry for entry in entries if entry.id not in NOT_ASKED)
    early = tuple(CRITERIA[id_] for id_ in EARLY) if card == INFORMATION else ()
    return (*early, *entries)


@cache
def offered_on(card: str) -> tuple[str, ...]:
    """The kinds of orders that a card of that group can suggest."""
    mentioned = set(_mentions(OUTLINES[card], set()))
    return tuple(kind for kind in NAMES if kind in mentioned)


def _mentions(function: Callable, seen: set[CodeType]) -> Iterator[Any]:
    """Names and strings in a function's code and in the code of what it calls within `cds`; `in_group` as itself."""
    function = getattr(function, "__wrapped__", function)
    for code in _codes(function.__code__):
        if code in seen:
            continue
        seen.add(code)
        for constant in code.co_consts:
            yield from _strings(constant)
        for name in code.co_names:
            yield name
            yield from _follow(function.__globals__.get(name, getattr(Case, name, None)), seen)


def _follow(target: Any, seen: set[CodeType]) -> Iterator[Any]:
    if target is in_group:
        yield target
        return
    target = getattr(target, "__wrapped__", target)
    if isinstance(target, FunctionType) and target.__module__.startswith("cds."):
        yield from _mentions(target, seen)
    yield from _strings(target)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code with that of its lambdas and comprehensions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from (item for item in value if isinstance(item, str))
