"""Our value sets as FHIR resources, those of a site included, and their expansions.

A concept's set is the file of the knowledge folder, unless the site changed it: then it says what the service of that
site goes by. A few more hold what the profiles bind.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from fhir_profiles import codes as c
from fhir_profiles.conformance.resource import UNREVIEWED, Edition, Resource, described
from fhir_profiles.read_answers import ANSWERED
from fhir_profiles.read_findings import READ
from fhir_profiles.terminology import FOLDER, Knowledge
from fhir_profiles.units import canonical_unit
from fhir_profiles.value_sets import Code

Line = dict[str, Any]
Key = tuple[str, str]

_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_V2_YES_NO = "http://terminology.hl7.org/CodeSystem/v2-0136"
_LOINC_TERMS = (
    "This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief Institute, Inc. and "
    "the LOINC Committee and is available at no cost under the license at http://loinc.org/license."
)
_TERMS_OF_PARTS = "Each code is under the terms of the value set that it comes from."
_UCUM_TERMS = "UCUM: copyright Regenstrief Institute, Inc. and the UCUM Organization, available at no cost."
_SNOMED_TERMS = (
    "SNOMED CT: copyright SNOMED International. The codes belong to the SNOMED CT Global Patient Set (2020-09), used "
    "under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)."
)


def _answers(system: str) -> dict[str, Any]:
    said = [
        (code, said) for codes, said in ((c.YES, "Yes"), (c.NO, "No")) for at, code in sorted(codes) if at == system
    ]
    return {"system": system, "concept": [{"code": code, "display": display} for code, display in said]}


def _imports(concepts: Iterable[str]) -> list[dict[str, Any]]:
    """One include for each set: those of one include would be intersected."""
    return [{"valueSet": [c.VALUE_SET + concept]} for concept in concepts]


def _codes(system: str, codes: Iterable[str]) -> dict[str, Any]:
    return {"system": system, "concept": [{"code": code} for code in sorted(codes)]}


class _Bound(NamedTuple):
    """A value set that a profile binds. include: of its definition; terms: under which its codes are used."""

    id: str
    title: str
    about: str
    include: list[dict[str, Any]]
    terms: str = ""


_BOUND = (
    _Bound(
        "finding-code",
        "Findings: present or absent",
        "Every code that means a finding which a record states as present or absent.",
        _imports(BOOLEAN_FINDINGS),
        _TERMS_OF_PARTS,
    ),
    _Bound(
        "measured-finding-code",
        "Findings: numbers",
        "Every code that means a finding which is a number.",
        _imports(NUMERIC_FINDINGS),
        _TERMS_OF_PARTS,
    ),
    _Bound(
        "finding-answer",
        "Answers: yes or no",
        "How a coded answer says yes or no; the service understands SNOMED CT answers too.",
        [_answers(_V2_YES_NO), _answers(c.LOINC)],
        _LOINC_TERMS,
    ),
    _Bound(
        "finding-unit",
        "Units of findings",
        "The unit in which each finding that is a number is compared.",
        [_codes(c.UCUM, {canonical_unit(finding) for finding in NUMERIC_FINDINGS})],
        _UCUM_TERMS,
    ),
    _Bound(
        "finding-status",
        "Status of Observations that are read",
        "An Observation of another status says nothing.",
        [_codes("http://hl7.org/fhir/observation-status", READ)],
    ),
    _Bound(
        "intake-status",
        "Status of responses that are read",
        "A response of another status says nothing.",
        [_codes("http://hl7.org/fhir/questionnaire-answers-status", ANSWERED)],
    ),
)


def value_sets(knowledge: Knowledge, edition: Edition) -> list[Resource]:
    """All value sets of a service that goes by this knowledge; `edition` is stated where a site changed one."""
    return [*_of_concepts(knowledge, edition), *_of_profiles(knowledge, edition)]


def _of_concepts(knowledge: Knowledge, edition: Edition) -> Iterator[Resource]:
    for concept, info in sorted(knowledge.value_sets.items()):
        shipped = msgspec.json.decode((FOLDER / "value-sets" / f"{concept}.json").read_bytes())
        imported = {code.key for name in info.imports for code in knowledge.value_sets[name].codes}
        listed = [code for code in info.codes if code.key not in imported]
        untouched = {code.key for code in listed} == _lines(shipped).keys() - imported
        if untouched and all(code.origin != "site" for code in listed):
            yield shipped
        else:
            yield _changed(shipped, info.codes, {item.code for item in info.exclusions}, edition)


def _changed(shipped: Resource, codes: Sequence[Code], excluded: set[str], edition: Edition) -> Resource:
    """The set as a site has it, code by code; what we know of a code of ours stays beside it."""
    known = _lines(shipped)
    compose = {"include": _grouped((code.system, _line(code, known)) for code in codes)}
    kept = [
        group | {"concept": [line for line in group["concept"] if line["code"] in excluded]}
        for group in shipped["compose"].get("exclude", ())
    ]
    if kept := [group for group in kept if group["concept"]]:
        compose["exclude"] = kept
    about = f"{shipped['description']} Changed by the site."
    return shipped | {"version": edition.version, "description": about, "compose": compose}


def _lines(value_set: Resource) -> dict[Key, Line]:
    groups = value_set["compose"]["include"]
    return {(group["system"], line["code"]): line for group in groups for line in group.get("concept", ())}


def _line(code: Code, known: Mapping[Key, Line]) -> Line:
    if code.origin != "site" and code.key in known:
        return known[code.key]
    marks = [name for name, holds in (("descendants", code.prefix), ("expanded", code.origin == "expanded")) if holds]
    parts = [{"url": name, "valueBoolean": True} for name in marks]
    reviewed = {"extension": [{"url": c.REVIEWED_CODE, "extension": parts}]} if parts else {}
    return {"code": code.code} | ({"display": code.display} if code.display else {}) | reviewed


def _grouped(lines: Iterable[tuple[str, Line]]) -> list[dict[str, Any]]:
    ordered = sorted(lines, key=lambda each: each[0])
    return [
        {"system": system, "concept": [line for _, line in group]}
        for system, group in groupby(ordered, key=lambda each: each[0])
    ]


def _of_profiles(knowledge: Knowledge, edition: Edition) -> Iterator[Resource]:
    for bound in (*_BOUND, _suggested(knowledge)):
        head = described("ValueSet", bound.id, bound.title, f"{bound.about} {UNREVIEWED}", edition)
        yield head | ({"copyright": bound.terms} if bound.terms else {}) | {"compose": {"include": bound.include}}


def _suggested(knowledge: Knowledge) -> _Bound:
    return _Bound(
        "suggested-order",
        "Suggested orders",
        "The one code of each order that a card may suggest.",
        _grouped((o.system, {"code": o.code, "display": o.display}) for o in knowledge.suggested_orders.values()),
        f"{_SNOMED_TERMS} {_LOINC_TERMS}",
    )


def contains(value_set: Resource, known: Mapping[str, Resource]) -> list[Line]:
    """The codes that a value set lists, each once, in its order. known: value sets by URL.

    Raises KeyError for an import that is not known.
    """
    found: dict[Key, Line] = {}
    for group in value_set["compose"]["include"]:
        for line in group.get("concept", ()):
            found.setdefault((group["system"], line["code"]), {"system": group["system"], **line})
        for url in group.get("valueSet", ()):
            for line in contains(known[url], known):
                found.setdefault((line["system"], line["code"]), line)
    return list(found.values())


def expanded(
    value_set: Resource, lines: Sequence[Line], text: str = "", offset: int = 0, count: int | None = None
) -> Resource:
    """The value set with its expansion in place of its definition (FHIR R4, ValueSet $expand).

    lines: what it contains; text: only codes in whose code or display it is. An expansion whose codes stand for
    everything below them says that it is not closed: what is listed is all that a service without a hierarchy can list.
    """
    sought = text.casefold()
    matching = [
        line for line in lines if sought in line["code"].casefold() or sought in line.get("display", "").casefold()
    ]
    page = matching[offset : None if count is None else offset + count]
    stated = [{"name": "filter", "valueString": text}] if text else []
    stated += [{"name": "offset", "valueInteger": offset}] if offset else []
    stated += [{"name": "count", "valueInteger": count}] if count is not None else []
    expansion = {
        **({"extension": [{"url": _UNCLOSED, "valueBoolean": True}]} if any(map(_has_more_below, lines)) else {}),
        "identifier": _identifier(value_set, sought),
        "timestamp": value_set["date"],
        "total": len(matching),
        "offset": offset,
        **({"parameter": stated} if stated else {}),
        **({"contains": page} if page else {}),
    }
    return {name: member for name, member in value_set.items() if name != "compose"} | {"expansion": expansion}


def _identifier(value_set: Resource, sought: str) -> str:
    """The same for all pages of one expansion, another for another content."""
    parts = (value_set["url"], value_set["version"], *([sought] if sought else []))
    return uuid5(UUID(int=0), "|".join(parts)).urn


def _has_more_below(line: Line) -> bool:
    parts = (part for extension in line.get("extension", ()) for part in extension.get("extension", ()))
    return any(part["url"] == "descendants" for part in parts)
