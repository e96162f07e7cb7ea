"""What a code means: the value sets as one fast table, and the other knowledge the service hands out.

Loaded once at start-up and never changed. A reader asks `concepts` about the codings of a CodeableConcept;
everything after that speaks of concepts only.
"""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cds.concepts import BOOLEAN_FINDINGS, MEASUREMENTS
from fhir_profiles import codes as c
from fhir_profiles.concept_lists import read_value_sets
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.value_sets import Code, ValueSetInfo

CATALOGUE_VERSION = "2.6.0"
FOLDER = Path(__file__).parent / "knowledge"

# Orders of which an Observation under the same code shows that they were done (catalogue, section 8).
_TESTS = ("mri-lumbar", "mri-whole-spine", "esr-order", "crp-order", "blood-count-order")
# Hundreds of codes that charts carry as Conditions: Observations of it are asked for by our own code only, so
# that the query stays below the 8,000 octets that every server accepts (RFC 9110, 4.1).
_OWN_CODE_IN_SEARCH = frozenset({"cancer-history"})
# Systems of diagnoses and medicines; no Observation has them as its code.
_NOT_OBSERVED = frozenset({c.ICD10CM, c.RXNORM})

_NOTHING: frozenset[str] = frozenset()


class Meaning(NamedTuple):
    """What one coding means, and which concepts it forbids to the codings beside it.

    alone: what it means when none beside it means anything.
    """

    concepts: tuple[str, ...]
    vetoes: tuple[str, ...]
    alone: frozenset[str]


class SuggestedOrder(NamedTuple):
    """The one code used for a suggested order, and why this one."""

    system: str
    code: str
    display: str
    why: str


class _Table(NamedTuple):
    """The codes of one system. Every meaning is complete: it includes those of shorter prefixes."""

    exact: dict[str, Meaning]
    prefixes: dict[str, Meaning]
    lengths: tuple[int, ...]  # of the prefixes, longest first


@dataclass(frozen=True, eq=False)
class Knowledge:
    """All knowledge of one process; `version` changes whenever any of it does, site codes included."""

    version: str
    value_sets: Mapping[str, ValueSetInfo]
    questionnaire: dict[str, Any]
    code_system: dict[str, Any]
    suggested_orders: Mapping[str, SuggestedOrder]
    _tables: Mapping[str, _Table] = field(repr=False)

    def meaning(self, system: str | None, code: str | None) -> Meaning | None:
        """Return what a coding means, or None; ICD-10-CM codes mean what a listed family of theirs means."""
        table = self._tables.get(system)
        if table is None:
            return None
        exact, prefixes, lengths = table
        found = exact.get(code)
        if found is None and lengths and code:
            for length in lengths:
                found = prefixes.get(code[:length])
                if found is not None:
                    break
        return found

    def concepts(self, codings: Iterable[tuple[str | None, str | None]]) -> frozenset[str]:
        """Return the concepts that the codings of one CodeableConcept mean together.

        A coding that vetoes a concept takes it away from all of them (catalogue, section 2 rule 6).
        """
        meaning = self.meaning
        found = [known for system, code in codings if (known := meaning(system, code)) is not None]
        if len(found) < 2:
            return found[0].alone if found else _NOTHING
        meant = {concept for known in found for concept in known.concepts}
        return frozenset(meant.difference(*(known.vetoes for known in found)))

    def observation_codes(self, expanded: bool = True) -> list[str]:
        """Return the bare codes to search Observations for: findings, measurements, tests, assertions.

        expanded: those too that a site's terminology server brought.
        """
        listed = (
            code
            for concept in (*BOOLEAN_FINDINGS, *MEASUREMENTS, *_TESTS)
            for code in self.value_sets[concept].codes
            if code.origin in ("own", "site") or _is_asked_for(concept, code, expanded)
        )
        return sorted({*c.ASSERTION_CODES, *(code.code for code in listed if code.system not in _NOT_OBSERVED)})


def load_knowledge(site_dir: Path | None = None, *, folder: Path = FOLDER) -> Knowledge:
    """Read and check all knowledge; `site_dir` is the site's folder of code lists.

    Raises KnowledgeError, naming the file and the remedy, so that the service never starts on half a list.
    """
    shipped = _read(folder, ".csv", ".json", inner="value-sets")
    lists = _read(folder / "value-sets", ".json")
    site = _read(site_dir, ".csv", ".json") if site_dir else {}
    value_sets = read_value_sets(lists, site)
    return Knowledge(
        version=f"{CATALOGUE_VERSION}+{_digest({'': shipped, 'value-sets/': lists, 'site/': site})}",
        value_sets=value_sets,
        questionnaire=_resource(shipped, "questionnaire-red-flags.json", c.QUESTIONNAIRE),
        code_system=_resource(shipped, "code-system-finding.json", c.FINDING),
        suggested_orders=_suggested_orders(shipped),
        _tables=_tables(value_sets.values()),
    )


def _is_asked_for(concept: str, code: Code, expanded: bool) -> bool:
    return concept not in _OWN_CODE_IN_SEARCH and (expanded or code.origin != "expanded")


def _read(folder: Path, *suffixes: str, inner: str = "") -> dict[str, bytes]:
    """Return a folder's files by name; `inner` is a folder expected in it.

    Hidden entries are passed over: a mounted volume has some of its own. Anything else unexpected is an
    error, for a list that is silently not read is a concept that is silently not found.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != inner]
        for entry in sorted(entries):
            if entry.suffix not in suffixes:
                raise KnowledgeError(f"{folder}: {entry.name} is not expected; files end in {' or '.join(suffixes)}")
        return {entry.name: entry.read_bytes() for entry in entries}
    except OSError as error:
        raise KnowledgeError(f"{folder}: cannot be read: {error.strerror}") from error


def _digest(folders: Mapping[str, Mapping[str, bytes]]) -> str:
    """Return a fingerprint of all content; layout, file order and the order of keys do not matter."""
    total = hashlib.sha256()
    for folder, files in sorted(folders.items()):
        for name, content in sorted(files.items()):
            total.update(f"{folder}{name}\0".encode() + _canonical(name, content) + b"\0")
    return total.hexdigest()[:12]


def _canonical(name: str, content: bytes) -> bytes:
    if name.endswith(".json"):
        return msgspec.json.encode(_json(name, content), order="sorted")
    return b"\n".join(sorted(content.splitlines()))


def _json(name: str, content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise KnowledgeError(f"{name}: not JSON: {error}") from error


def _resource(files: Mapping[str, bytes], name: str, url: str) -> dict[str, Any]:
    if name not in files:
        raise KnowledgeError(f"{name} is missing from the knowledge folder")
    resource = _json(name, files[name])
    if resource.get("url") != url:
        raise KnowledgeError(f"{name}: url is {resource.get('url')!r}; it should be {url!r}")
    return resource


def _suggested_orders(files: Mapping[str, bytes]) -> dict[str, SuggestedOrder]:
    name = "suggested-orders.csv"
    if name not in files:
        raise KnowledgeError(f"{name} is missing from the knowledge folder")
    rows = csv.DictReader(io.StringIO(files[name].decode()))
    return {
        row["suggestion"]: SuggestedOrder(c.SYSTEM_NAMES[row["system"]], row["code"], row["display"], row["why"])
        for row in rows
    }


def _tables(value_sets: Iterable[ValueSetInfo]) -> dict[str, _Table]:
    """Return one table per code system, under each of the system's names."""
    listed, prefixes, vetoes = _Sets(), _Sets(), _Sets()
    for info in value_sets:
        for code in info.codes:
            (prefixes if code.prefix else listed)[code.system][code.code].add(info.concept)
        for item in info.exclusions:
            if item.vetoes:
                vetoes[item.system][item.code].add(info.concept)
    systems = {*listed, *prefixes, *vetoes}
    tables = {system: _table(system, listed[system], prefixes[system], vetoes[system]) for system in systems}
    return tables | {alias: tables[name] for alias, name in c.SYSTEM_ALIASES.items() if name in tables}


class _Sets(defaultdict[str, dict[str, set[str]]]):
    """system -> code -> concepts"""

    def __init__(self) -> None:
        super().__init__(lambda: defaultdict(set))


def _table(
    system: str,
    listed: Mapping[str, set[str]],
    prefixes: Mapping[str, set[str]],
    vetoes: Mapping[str, set[str]],
) -> _Table:
    """Work out the full meaning of each listed code and each prefix, so that a look-up needs one hit only."""
    forbidding = vetoes if system == c.ICD10CM else {}

    def inherited(code: str) -> tuple[set[str], set[str]]:
        starts = [code[:length] for length in range(1, len(code) + 1)]
        return _union(prefixes, starts), _union(forbidding, starts)

    def meaning(code: str) -> Meaning:
        concepts, forbidden = inherited(code)
        return _meaning(concepts | listed.get(code, set()), forbidden | vetoes.get(code, set()))

    starts = {*prefixes, *forbidding}
    return _Table(
        exact={code: meaning(code) for code in {*listed, *starts, *vetoes}},
        prefixes={start: _meaning(*inherited(start)) for start in starts},
        lengths=tuple(sorted({len(start) for start in starts}, reverse=True)),
    )


def _union(sets: Mapping[str, set[str]], names: Iterable[str]) -> set[str]:
    return set().union(*(sets.get(name, ()) for name in names))


def _meaning(concepts: set[str], vetoes: set[str]) -> Meaning:
    return Meaning(tuple(sorted(concepts)), tuple(sorted(vetoes)), frozenset(concepts - vetoes))
