"""The codes of every concept: the shipped value sets, changed by what a site's folder says.

A site adds codes with `<concept>.csv`, or replaces a whole value set with `<concept>.json` (or any file name,
when the ValueSet inside carries our url). docs/knowledge.md shows both.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cds.concepts import ALL_CONCEPTS, BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.value_sets import (
    Code,
    Exclusion,
    ValueSetInfo,
    canonical_system,
    decode_value_set,
    parse_value_set,
    refuse_repeated,
)

FINDINGS = frozenset((*BOOLEAN_FINDINGS, *NUMERIC_FINDINGS))

# No dependable standard code is known for these (docs/knowledge.md); every other concept needs one.
OWN_CODE_ONLY = frozenset(
    {
        "conservative-treatment-tried",
        "conservative-treatment-weeks",
        "muscle-strength-grade",
        "progressive-neurological-deficit",
        "radicular-pain-worsening",
        "scoliosis-progression",
        "significant-relief",
    }
)
CSV_COLUMNS = ("system", "code", "display", "include_descendants", "note")
_SHIPPED_SYSTEMS = frozenset({c.FINDING, *c.SYSTEM_NAMES.values()})


def read_value_sets(shipped: Mapping[str, bytes], site: Mapping[str, bytes]) -> dict[str, ValueSetInfo]:
    """Return the value set of every concept, site codes included.

    Both arguments map file names to contents. Raises KnowledgeError for a file that is not readable,
    not expected or contradictory, and for a concept without codes.
    """
    sets = {info.concept: info for info in (_shipped(*file) for file in sorted(shipped.items()))}
    missing = sorted(ALL_CONCEPTS - set(sets))
    if missing:
        raise KnowledgeError(f"value-sets/{missing[0]}.json is missing; every concept of cds/concepts.py needs one")
    sets |= _replacements(site, sets)
    for name, content in sorted(site.items()):
        if name.endswith(".csv"):
            concept = _site_concept(name, name.removesuffix(".csv"))
            sets[concept] = _with_codes(sets[concept], _csv_codes(f"site folder, {name}", content))
    return {concept: _checked(_resolved(concept, sets)) for concept in sorted(sets)}


def _shipped(name: str, content: bytes) -> ValueSetInfo:
    place, concept = f"value-sets/{name}", name.removesuffix(".json")
    source = decode_value_set(place, content)
    if concept not in ALL_CONCEPTS:
        raise KnowledgeError(f"{place}: no criterion uses {concept!r}; remove the file or declare the concept")
    if (source.id, source.url) != (concept, c.VALUE_SET + concept):
        raise KnowledgeError(f"{place}: id and url should be {concept!r} and {c.VALUE_SET + concept!r}")
    info = parse_value_set(place, concept, source, "standard")
    for code in info.codes:
        if code.system not in _SHIPPED_SYSTEMS:
            raise KnowledgeError(f"{place}: system {code.system!r} is unknown; use one of {sorted(_SHIPPED_SYSTEMS)}")
    if concept in FINDINGS and (c.FINDING, concept) not in {code.key for code in info.codes}:
        raise KnowledgeError(f"{place}: the finding's own code is missing; include {concept!r} of {c.FINDING}")
    return info


def _replacements(site: Mapping[str, bytes], shipped: Mapping[str, ValueSetInfo]) -> dict[str, ValueSetInfo]:
    """Return the value sets that a site puts in place of ours; a finding always keeps its own code."""
    sets: dict[str, ValueSetInfo] = {}
    for name, content in sorted(site.items()):
        if not name.endswith(".json"):
            continue
        place = f"site folder, {name}"
        source = decode_value_set(place, content)
        ours = source.url.startswith(c.VALUE_SET)
        concept = _site_concept(name, source.url.removeprefix(c.VALUE_SET) if ours else name.removesuffix(".json"))
        if concept in sets:
            raise KnowledgeError(f"{place}: another file of the folder replaces {concept!r} too; keep one")
        info = _as_known(parse_value_set(place, concept, source, "site"), shipped[concept])
        own = [Code(c.FINDING, concept, info.title, False, "own")] if concept in FINDINGS else []
        sets[concept] = _with_codes(info, own)
    return sets


def _as_known(info: ValueSetInfo, shipped: ValueSetInfo) -> ValueSetInfo:
    """A code that our list has is not the site's own because the site lists it again."""
    ours = {code.key for code in shipped.codes if code.origin == "standard"}
    codes = (code._replace(origin="standard") if code.key in ours else code for code in info.codes)
    return replace(info, codes=tuple(codes))


def _site_concept(name: str, concept: str) -> str:
    if concept not in ALL_CONCEPTS:
        raise KnowledgeError(f"site folder, {name}: {concept!r} is not a concept; docs/knowledge.md lists them")
    return concept


def _csv_codes(place: str, content: bytes) -> list[Code]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        columns, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise KnowledgeError(f"{place}: not a CSV file in UTF-8: {error}") from error
    unknown = [column for column in columns if column not in CSV_COLUMNS]
    if unknown or not {"system", "code"} <= set(columns):
        problem = f"column {unknown[0]!r} is unknown" if unknown else "columns 'system' and 'code' are needed"
        raise KnowledgeError(f"{place}: {problem}; the columns are {', '.join(CSV_COLUMNS)}")
    codes = [_csv_code(f"{place}, row {number}", row) for number, row in enumerate(rows, start=2)]
    refuse_repeated(place, codes)
    return codes


def _csv_code(place: str, row: Mapping[str | None, str | None]) -> Code:
    system, code = (row["system"] or "").strip(), (row["code"] or "").strip()
    system = c.SYSTEM_NAMES.get(system, canonical_system(system))
    descendants = row.get("include_descendants") or "no"
    if None in row:
        raise KnowledgeError(f"{place}: more cells than columns; put quotes around a cell that holds a comma")
    if not code:
        raise KnowledgeError(f"{place}: the code is empty")
    if ":" not in system:
        raise KnowledgeError(f"{place}: system {system!r} is neither a URI nor one of {', '.join(c.SYSTEM_NAMES)}")
    if descendants not in ("yes", "no"):
        raise KnowledgeError(f"{place}: include_descendants is {descendants!r}; it should be yes or no")
    if descendants == "yes" and system != c.ICD10CM:
        raise KnowledgeError(f"{place}: only ICD-10-CM codes can include their descendants; list the codes instead")
    return Code(system, code, row.get("display") or "", descendants == "yes", "site")


def _with_codes(info: ValueSetInfo, added: Iterable[Code]) -> ValueSetInfo:
    """Add codes; one that is there already takes the place of the old one."""
    merged = {code.key: code for code in (*info.codes, *added)}
    return replace(info, codes=tuple(merged.values()))


def _resolved(concept: str, sets: Mapping[str, ValueSetInfo], path: tuple[str, ...] = ()) -> ValueSetInfo:
    """Take over the codes of the imported value sets, but not their own finding codes."""
    if concept in path:
        raise KnowledgeError(f"value set {concept!r} includes itself, by way of {' -> '.join(path)}; break the circle")
    info = sets[concept]
    for imported in info.imports:
        theirs = _resolved(imported, sets, (*path, concept)).codes
        info = _with_codes(info, [code for code in theirs if code.origin != "own"])
    return info


def _checked(info: ValueSetInfo) -> ValueSetInfo:
    """Return the value set with its counts; raises KnowledgeError if it is empty or contradicts itself."""
    if info.concept not in OWN_CODE_ONLY and all(code.origin == "own" for code in info.codes):
        raise KnowledgeError(f"value set {info.concept!r} has no codes: the criteria that use it would never be met")
    clash = next(((code, item) for item in info.exclusions for code in info.codes if _overlap(code, item)), None)
    if clash:
        code, item = clash
        raise KnowledgeError(
            f"value set {info.concept!r} includes {code.code!r} and excludes {item.code!r} ({item.reason}); "
            "a site that wants the code replaces the whole value set"
        )
    return replace(info, counts=Counter(code.system for code in info.codes))


def _overlap(code: Code, item: Exclusion) -> bool:
    """Say whether one coding could be both: ICD-10-CM prefixes reach further than the codes themselves."""
    if code.system != item.system:
        return False
    under_code = code.prefix and item.code.startswith(code.code)
    under_item = item.vetoes and code.system == c.ICD10CM and code.code.startswith(item.code)
    return code.code == item.code or under_code or under_item
