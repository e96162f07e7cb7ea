"""A value set as a site has it after an expansion: ours, with the codes that the site's terminology server added.

What is written is a ValueSet that lists every code, not the expansion itself: the families of ICD-10-CM, the exclusions
and the marks of a review stay, and the codes that were added carry a mark of their own (`expanded`). Known codes that
the source does not have are named, and stay unless somebody decides otherwise: old charts hold old codes.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime
from typing import Any, NamedTuple

from fhir_profiles import codes as c
from fhir_profiles.expansion import Found, Resource
from fhir_profiles.expansion_pages import SYSTEMS, Key, Listed

EXPANDED_FROM = f"{c.BASE}/StructureDefinition/expanded-from"
"""Extension of a ValueSet that an expansion wrote: where its codes come from."""

TOGETHER = (
    ("spinal-fusion", "spinal-surgery"),
    ("neurogenic-claudication", "spinal-stenosis"),
    ("spondylolisthesis", "spondylolysis-spondylolisthesis"),
    ("disc-herniation-with-radiculopathy", "disc-herniation"),
    ("systemic-corticosteroid", "immunosuppressant"),
    ("immunosuppression", "immunosuppression-condition"),
    ("immunosuppression-condition", "immunosuppression"),
)
"""A concept, and one that every code of it means too."""

# Products of RxNorm whose name says that they act where they are applied (catalogue: non-systemic-routes).
_SYSTEMIC = frozenset(("systemic-corticosteroid", "immunosuppressant"))
_LOCAL = re.compile(
    r"\b(ophthalmic|otic|nasal|topical|inhal\w*|rectal|vaginal|enema|intraocular|intravitreal|mouthwash|oral paste)\b",
    re.IGNORECASE,
)
_LINE = re.compile(r'"line (\d+)"')


class Provenance(NamedTuple):
    """Where an expansion comes from. source: a server's origin, or the name of a file."""

    source: str
    software: str
    at: datetime


class Change(NamedTuple):
    """What an expansion does to a concept. missing: known codes that the source does not have; dropped: whether they
    were taken out; left_out: codes that are excluded, or products that act locally."""

    concept: str
    added: tuple[Listed, ...]
    missing: tuple[Listed, ...]
    left_out: tuple[Listed, ...]
    dropped: bool = False


def with_supersets(found: Mapping[str, Found]) -> dict[str, Found]:
    """Give the codes of a part to the whole, so that the two do not contradict each other."""
    every = dict(found)
    for part, whole in TOGETHER:
        if part in found:
            theirs = found[part]
            ours = every.get(whole) or Found((), None, frozenset(), frozenset())
            codes = {code.key: code for code in (*ours.codes, *theirs.codes)}
            every[whole] = ours._replace(codes=tuple(codes.values()), versions=ours.versions | theirs.versions)
    return every


def written_by_expansion(site: Resource | None) -> bool:
    """Whether a site's own ValueSet is one of these, and not a list that somebody made."""
    return site is not None and any(each.get("url") == EXPANDED_FROM for each in site.get("extension", ()))


def lacking(shipped: Resource, site: Resource | None, known: Iterable[Key], found: Found) -> frozenset[Key]:
    """The known codes of a concept that the source does not have; of those it was not asked for, what it once added."""
    looked_for = known if found.present is not None else _added_before(shipped, site)
    there = {code.key for code in found.codes}.union(found.present or ())
    return frozenset(key for key in looked_for if key[0] in found.systems and key not in there)


def held_by_parts(whole: str, known: Mapping[str, Iterable[Key]], gone: Mapping[str, Set[Key]]) -> frozenset[Key]:
    """The codes that stay in a part of a concept, and so in the concept, whatever a source of the whole lacks.

    known: every code now, gone: those that a source lacks, both by concept.
    """
    parts = [part for part, each in TOGETHER if each == whole]
    return frozenset(key for part in parts for key in known[part] if key not in gone.get(part, ()))


def change_of(
    concept: str, shipped: Resource, known: Mapping[Key, str], found: Found, gone: Set[Key], drop: bool
) -> Change:
    """Compare. known: every code of the concept now, and its display; gone: those of them that are missing."""
    wrong = set(_keys(shipped["compose"].get("exclude", ())))
    new = [code for code in found.codes if code.key not in known]
    left_out = [code for code in new if code.key in wrong or _acts_locally(concept, code)]
    missing = tuple(Listed(*key, known.get(key, "")) for key in sorted(gone))
    return Change(concept, _sorted(set(new) - set(left_out)), missing, _sorted(left_out), drop and bool(missing))


def value_set(
    shipped: Resource, site: Resource | None, change: Change, found: Found, provenance: Provenance
) -> Resource:
    """Our value set with the codes of this and of earlier expansions; the site's own CSV files are not in it."""
    gone = {code.key for code in change.missing} if change.dropped else set()
    lines = {**_lines(shipped), **_added_before(shipped, site)}
    lines |= {code.key: _line(code) for code in change.added}
    compose = {"include": _grouped({key: line for key, line in lines.items() if key not in gone})}
    compose["include"] += [group for group in shipped["compose"]["include"] if "valueSet" in group]
    if "exclude" in shipped["compose"]:
        compose["exclude"] = shipped["compose"]["exclude"]
    day = provenance.at.date().isoformat()
    said = f"Expanded from {provenance.source} on {day}; the codes that this added await review."
    changed = {
        "version": f"{shipped['version']}-expanded-{day}",
        "date": day,
        "publisher": "the site",
        "description": f"{shipped['description']} {said}",
        "compose": compose,
    }
    head = {name: shipped[name] for name in ("resourceType", "id")}
    return head | {"extension": [_stated(provenance, found)]} | shipped | changed


def text(resource: Resource) -> str:
    """JSON with one code on one line, as our own value sets have it."""
    lines: list[str] = []

    def held(line: Resource) -> str:
        lines.append(json.dumps(line, ensure_ascii=False))
        return f"line {len(lines) - 1}"

    compose = {
        name: [{**group, "concept": [held(line) for line in group["concept"]]} if "concept" in group else group
               for group in groups]
        for name, groups in resource["compose"].items()
    }  # fmt: skip
    layout = json.dumps(resource | {"compose": compose}, indent=2, ensure_ascii=False)
    return _LINE.sub(lambda place: lines[int(place[1])], layout) + "\n"


def _stated(provenance: Provenance, found: Found) -> Resource:
    parts: list[Resource] = [
        {"url": "source", "valueString": provenance.source},
        {"url": "software", "valueString": provenance.software},
        {"url": "at", "valueDateTime": provenance.at.isoformat().replace("+00:00", "Z")},
    ]
    parts += [{"url": "codeSystem", "valueUri": version} for version in sorted(found.versions)]
    return {"url": EXPANDED_FROM, "extension": [part for part in parts if list(part.values())[1]]}


def _acts_locally(concept: str, code: Listed) -> bool:
    return concept in _SYSTEMIC and code.system == c.RXNORM and _LOCAL.search(code.display) is not None


def _added_before(shipped: Resource, site: Resource | None) -> dict[Key, Resource]:
    """The lines that earlier expansions added, without what ships by now."""
    if site is None:
        return {}
    not_added = {*_lines(shipped), *_keys(shipped["compose"].get("exclude", ()))}
    return {key: line for key, line in _lines(site).items() if key[0] in SYSTEMS and key not in not_added}


def _line(code: Listed) -> Resource:
    display = {"display": code.display} if code.display else {}
    mark = [{"url": c.REVIEWED_CODE, "extension": [{"url": "expanded", "valueBoolean": True}]}]
    return {"code": code.code, **display, "extension": mark}


def _lines(source: Resource) -> dict[Key, Resource]:
    groups = source["compose"]["include"]
    return {(group["system"], line["code"]): line for group in groups for line in group.get("concept", ())}


def _keys(groups: Iterable[Mapping[str, Any]]) -> Iterator[Key]:
    return ((group["system"], line["code"]) for group in groups for line in group["concept"])


def _grouped(lines: Mapping[Key, Resource]) -> list[Resource]:
    """One include a system, in the order in which they first come."""
    groups: dict[str, list[Resource]] = {}
    for (system, _), line in lines.items():
        groups.setdefault(system, []).append(line)
    return [{"system": system, "concept": listed} for system, listed in groups.items()]


def _sorted(codes: Iterable[Listed]) -> tuple[Listed, ...]:
    return tuple(sorted(codes))
