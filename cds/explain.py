"""What a criterion rests on, read off its own code: thresholds and concepts, for people who review it."""

from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import cds.criteria  # noqa: F401  (enters the criteria into the catalogue)
from cds.case import Case
from cds.catalogue import CRITERIA
from cds.concepts import ALL_CONCEPTS
from cds.limits import BY_KEY


class Uses(NamedTuple):
    """Keys of the thresholds and ids of the concepts that a rule refers to, itself or through what it asks."""

    thresholds: tuple[str, ...]
    concepts: tuple[str, ...]


@cache
def uses(id_: str) -> Uses:
    """What the criterion refers to; raises KeyError for an id that is none."""
    rule = CRITERIA[id_].rule.__wrapped__
    mentioned = set(_mentions(rule, set()))
    thresholds = tuple(key for key in BY_KEY if key in mentioned)
    return Uses(thresholds, tuple(sorted(mentioned & ALL_CONCEPTS)))


def _mentions(function: Callable, seen: set[CodeType]) -> Iterator[str]:
    """Names and strings in a function's code and in the code of what it calls within `cds`."""
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


def _follow(target: Any, seen: set[CodeType]) -> Iterator[str]:
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
