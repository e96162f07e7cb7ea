"""From the differential of a profile to its snapshot: each element of the base as the profile leaves it.

Done when a profile changes, not at run time: the base definitions of FHIR are no part of the service. It covers what
the profiles here need: constraining an element, going into a data type, and slices.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

Element = dict[str, Any]


class Base(NamedTuple):
    """A definition of FHIR itself: its canonical URL and its snapshot."""

    url: str
    element: Sequence[Element]


def snapshot(differential: Sequence[Element], base: Base, types: Mapping[str, Base]) -> list[Element]:
    """The elements of the base with the differential applied, in the order of the base.

    types: data types by name, for differentials that go into one. Raises KeyError for an element that is neither in the
    base nor in a type, and for a type that is not at hand.
    """
    elements = deepcopy(list(base.element))
    for change in differential:
        index = _place(elements, change["id"], types)
        elements[index] = _constrained(elements[index], change)
    return elements


def _place(elements: list[Element], id_: str, types: Mapping[str, Base]) -> int:
    """Where the element stands; it is made first where the base knows only its type or what it is a slice of."""
    found = _index(elements, id_)
    if found is None:
        parent, _, last = id_.rpartition(".")
        if ":" in last:
            return _slice(elements, id_)
        _open(elements, _place(elements, parent, types), types)
        found = _index(elements, id_)
    if found is None:
        raise KeyError(f"{id_} is no element of the base")
    return found


def _index(elements: Sequence[Element], id_: str) -> int | None:
    return next((index for index, element in enumerate(elements) if element["id"] == id_), None)


def _slice(elements: list[Element], id_: str) -> int:
    """A slice begins as what it is a slice of, behind the slices before it."""
    of, _, name = id_.rpartition(":")
    index = _index(elements, of)
    if index is None:
        raise KeyError(f"{of} is no element of the base")
    end = index + 1
    while end < len(elements) and elements[end]["id"].startswith((f"{of}.", f"{of}:")):
        end += 1
    made = {key: value for key, value in deepcopy(elements[index]).items() if key != "slicing"}
    elements.insert(end, made | {"id": id_, "sliceName": name, "min": 0})
    return end


def _open(elements: list[Element], index: int, types: Mapping[str, Base]) -> None:
    """Put the children of an element's data type behind it."""
    parent = elements[index]
    (kind,) = (each["code"] for each in parent["type"])
    inner = deepcopy(list(types[kind].element[1:]))
    for child in inner:
        child["id"] = parent["id"] + child["id"].removeprefix(kind)
        child["path"] = parent["path"] + child["path"].removeprefix(kind)
    elements[index + 1 : index + 1] = inner


def _constrained(element: Element, change: Element) -> Element:
    """The element with what the profile says of it; its rules come on top of those of the base."""
    rules = [*element.get("constraint", ()), *change.get("constraint", ())]
    return element | change | ({"constraint": rules} if rules else {})
