"""One FHIR ValueSet as the list of codes of one concept.

A shipped set is a file in `knowledge/value-sets/`, one code a line, with its source beside it; the codes that
look right and are wrong stand under `compose.exclude` with the reason. docs/knowledge.md shows the form.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from cds.concepts import ALL_CONCEPTS
from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError

Origin = Literal["standard", "own", "site", "expanded"]
"""Where a code comes from: our lists, our own code system, the site, or the site's terminology server."""


class Code(NamedTuple):
    """A code that means the concept. `prefix`: every ICD-10-CM code that begins with it means it too."""

    system: str
    code: str
    display: str
    prefix: bool
    origin: Origin

    @property
    def key(self) -> tuple[str, str]:
        """What makes it that code: system and code."""
        return self.system, self.code


class Exclusion(NamedTuple):
    """A code that looks right and is wrong; one that `vetoes` takes the concept from its neighbors too."""

    system: str
    code: str
    display: str
    reason: str
    vetoes: bool


@dataclass(frozen=True, slots=True)
class ValueSetInfo:
    """The codes of one concept. `imports` names the concepts whose codes it takes over."""

    concept: str
    url: str
    title: str
    codes: tuple[Code, ...]
    exclusions: tuple[Exclusion, ...] = ()
    imports: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)  # system -> number of codes
    copyright: str = ""  # what has to be said where the codes are shown


class _Part(msgspec.Struct, rename="camel"):
    url: str
    value_string: str = ""
    value_boolean: bool = False


class _Extension(msgspec.Struct):
    url: str
    extension: list[_Part] = []


class _Concept(msgspec.Struct):
    code: str
    display: str = ""
    extension: list[_Extension] = []

    def review(self, name: str) -> str | bool:
        """Return what our own extension says under a name; empty or false where it says nothing."""
        parts = (part for e in self.extension if e.url == c.REVIEWED_CODE for part in e.extension)
        return next((part.value_string or part.value_boolean for part in parts if part.url == name), "")


class _Include(msgspec.Struct, rename="camel"):
    system: str = ""
    concept: list[_Concept] = []
    value_set: list[str] = []
    filter: list[dict] = []


class _Compose(msgspec.Struct):
    include: list[_Include]
    exclude: list[_Include] = []


class _Contains(msgspec.Struct):
    system: str = ""
    code: str = ""
    display: str = ""
    abstract: bool = False
    contains: list["_Contains"] = []


class _Expansion(msgspec.Struct):
    contains: list[_Contains] = []


class FhirValueSet(msgspec.Struct, rename="camel"):
    """The part of a ValueSet that is read."""

    resource_type: Literal["ValueSet"]
    id: str = ""
    url: str = ""
    title: str = ""
    copyright: str = ""
    compose: _Compose | None = None
    expansion: _Expansion | None = None


def parse_value_set(place: str, concept: str, source: FhirValueSet, origin: Origin) -> ValueSetInfo:
    """Return a ValueSet's codes: those of its expansion if it carries one, else those it lists.

    `place` names the file in messages. Raises KnowledgeError for what cannot be expanded or is listed twice.
    """
    compose = source.compose or _Compose(include=[])
    if source.expansion is not None:
        found, imports = [*_expanded(source.expansion.contains, origin)], []
    else:
        found = [code for group in compose.include for code in _listed(place, group, origin)]
        imports = [_imported(place, url) for group in compose.include for url in group.value_set]
    refuse_repeated(place, found)
    return ValueSetInfo(
        concept=concept,
        url=c.VALUE_SET + concept,
        title=source.title or concept,
        codes=tuple(found),
        exclusions=tuple(item for group in compose.exclude for item in _excluded(group)),
        imports=tuple(imports),
        copyright=source.copyright,
    )


def decode_value_set(place: str, content: bytes) -> FhirValueSet:
    """Return the ValueSet in a file; raises KnowledgeError if it is none."""
    try:
        return msgspec.json.decode(content, type=FhirValueSet)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{place}: not a FHIR R4 ValueSet in JSON: {error}") from error


def refuse_repeated(place: str, codes: Iterable[Code]) -> None:
    """Raise KnowledgeError if a code is listed twice."""
    for (system, code), number in Counter(item.key for item in codes).items():
        if number > 1:
            raise KnowledgeError(f"{place}: code {code!r} of {system} is listed twice; keep one line")


def canonical_system(uri: str) -> str:
    """Return the URI under which the service knows a code system."""
    return c.SYSTEM_ALIASES.get(uri, uri)


def _listed(place: str, group: _Include, origin: Origin) -> Iterator[Code]:
    if group.filter or not (group.concept or group.value_set):
        raise KnowledgeError(f"{place}: an include without a list of codes cannot be expanded here; list the codes")
    if (group.concept and group.value_set) or len(group.value_set) > 1:
        raise KnowledgeError(f"{place}: an include may list codes or name one value set, not both; split it")
    for concept in group.concept:
        prefix = group.system == c.ICD10CM and concept.review("descendants") is True
        marked = "expanded" if concept.review("expanded") is True else origin
        kind = "own" if group.system == c.FINDING else marked
        yield Code(canonical_system(group.system), concept.code, concept.display, prefix, kind)


def _expanded(contains: list[_Contains], origin: Origin) -> Iterator[Code]:
    for entry in contains:
        if entry.code and not entry.abstract:
            yield Code(canonical_system(entry.system), entry.code, entry.display, False, origin)
        yield from _expanded(entry.contains, origin)


def _excluded(group: _Include) -> Iterator[Exclusion]:
    for item in group.concept:
        reason, vetoes = str(item.review("reason")), item.review("vetoes") is True
        yield Exclusion(canonical_system(group.system), item.code, item.display, reason, vetoes)


def _imported(place: str, url: str) -> str:
    concept = url.removeprefix(c.VALUE_SET)
    if concept not in ALL_CONCEPTS:
        raise KnowledgeError(f"{place}: value set {url!r} is unknown; name one of ours or list the codes")
    return concept
