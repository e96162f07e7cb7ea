"""An expansion of a value set as a terminology server sends it, or exports it: read strictly, page by page.

Whatever leaves it open whether it is whole is an error: half a list is a concept that is silently not found.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.value_sets import canonical_system

SYSTEMS = (c.SNOMED, c.RXNORM)
"""The code systems whose marked codes are expanded; a family of ICD-10-CM is matched by prefix."""

MAX_CODES = 100_000
"""Of one answer: more would be a root of half the code system."""

_FORMS = {c.SNOMED: re.compile(r"[1-9][0-9]{5,17}"), c.RXNORM: re.compile(r"[1-9][0-9]{0,8}")}
_LONGEST_DISPLAY = 1000
_INCOMPLETE = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"
_VERSIONS = frozenset(("version", "used-codesystem"))

Key = tuple[str, str]


class Listed(NamedTuple):
    """A code of an expansion."""

    system: str
    code: str
    display: str = ""

    @property
    def key(self) -> Key:
        return self.system, self.code


class Answer(NamedTuple):
    """A whole expansion. versions: of the code systems, as canonical URLs; passed_over: codes of other systems."""

    codes: tuple[Listed, ...]
    versions: tuple[str, ...] = ()
    passed_over: int = 0


class Page(NamedTuple):
    """A part of an expansion. entries: everything in it, by which `offset` counts; passed_over: codes of systems that
    are not expanded; total: of all parts, None when not said."""

    codes: list[Listed]
    entries: int
    total: int | None
    versions: tuple[str, ...]
    passed_over: int


class _Extension(msgspec.Struct):
    url: str = ""


class _Parameter(msgspec.Struct, rename="camel"):
    name: str = ""
    value_uri: str = ""
    value_string: str = ""
    value_boolean: bool = False


class _Contains(msgspec.Struct):
    system: str = ""
    code: str = ""
    display: str = ""
    abstract: bool = False
    contains: list["_Contains"] = []


class _Expansion(msgspec.Struct):
    total: int | None = None
    parameter: list[_Parameter] = []
    extension: list[_Extension] = []
    contains: list[_Contains] = []


class _Expanded(msgspec.Struct, rename="camel", tag_field="resourceType", tag="ValueSet"):
    expansion: _Expansion


def read_page(body: bytes) -> Page:
    """One answer to `$expand`. Raises KnowledgeError for anything but an expansion that is whole."""
    try:
        expansion = msgspec.json.decode(body, type=_Expanded).expansion
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KnowledgeError(f"no FHIR R4 ValueSet with an expansion: {error}") from None
    if any(each.url == _INCOMPLETE for each in expansion.extension) or any(
        each.name == "limitedExpansion" and each.value_boolean for each in expansion.parameter
    ):
        raise KnowledgeError("the expansion says of itself that it is not complete, because it would be too costly")
    versions = tuple(each.value_uri or each.value_string for each in expansion.parameter if each.name in _VERSIONS)
    entries = list(_flat(expansion.contains))
    listed = [each for each in entries if each.code and not each.abstract]
    codes = [_checked(each) for each in listed if canonical_system(each.system) in SYSTEMS]
    return Page(codes, len(entries), expansion.total, versions, len(listed) - len(codes))


def _flat(contains: Iterable[_Contains]) -> Iterator[_Contains]:
    for entry in contains:
        yield entry
        yield from _flat(entry.contains)


def _checked(entry: _Contains) -> Listed:
    system = canonical_system(entry.system)
    if not _FORMS[system].fullmatch(entry.code):
        raise KnowledgeError(f"a code is not in the form of {c.SYSTEM_TITLES[system]}")
    if len(entry.display) > _LONGEST_DISPLAY:
        raise KnowledgeError(f"the display of {entry.code} is longer than {_LONGEST_DISPLAY} characters")
    return Listed(system, entry.code, entry.display)
