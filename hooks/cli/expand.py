"""`backpain-cds expand`: the codes below those that our lists mark, from the site's own terminology server.

What it writes is a proposal, a whole new folder beside the one in use; `--accept` puts it there.
"""

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from cds.concepts import ALL_CONCEPTS
from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.expansion import Found, Resource, ask_for, ask_url, roots, stated
from fhir_profiles.expansion_pages import SYSTEMS, Answer, Key, read_page
from fhir_profiles.site_value_sets import (
    Change,
    Provenance,
    change_of,
    held_by_parts,
    lacking,
    text,
    value_set,
    with_supersets,
    written_by_expansion,
)
from fhir_profiles.terminology import FOLDER, Knowledge
from fhir_profiles.value_sets import FhirValueSet, decode_value_set
from hooks.cli import expand_folder
from hooks.cli.expand_report import report, report_json
from hooks.cli.inputs import read_document
from hooks.cli.instants import read_instant
from hooks.cli.site import knowledge_of, settings_of
from hooks.cli.terminal import Terminal, Unusable
from hooks.cli.terminology_server import TerminologyServer, token_of
from hooks.settings import Settings


class Gathered(NamedTuple):
    """What was found of each concept, and why of others nothing was."""

    found: dict[str, Found]
    failed: dict[str, str]
    provenance: Provenance


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Ask, compare, write the proposal and show it; or accept one. 1: some concept could not be expanded."""
    settings = settings_of(args.config)
    at = _instant(args, settings, terminal)
    into = expand_folder.proposal_folder(args.into, settings.concepts_dir)
    if args.accept:
        terminal.remark(expand_folder.accept(into, settings.concepts_dir, at))
        return 0
    expand_folder.check_free(into)
    knowledge = knowledge_of(settings)
    gathered = _gathered(args, at, knowledge, terminal)
    site = expand_folder.value_sets_of(settings.concepts_dir)
    changes, files, by_hand = _changes(gathered, site, knowledge, args.drop_missing)
    written = expand_folder.write(into, settings.concepts_dir, files, changes, gathered.provenance) if files else None
    shown = report_json if args.json else report
    shown(terminal, changes, gathered.failed, by_hand, written, args.all)
    return 1 if gathered.failed else 0


def _instant(args: argparse.Namespace, settings: Settings, terminal: Terminal) -> datetime:
    at = read_instant(args.at, settings.zone) if args.at else terminal.clock()
    return at.astimezone(UTC).replace(microsecond=0)


def _gathered(args: argparse.Namespace, at: datetime, knowledge: Knowledge, terminal: Terminal) -> Gathered:
    if bool(args.tx) == bool(args.from_files):
        raise Unusable("expand takes --tx URL, or --from FILE with an expansion that was exported")
    if args.from_files:
        if args.concept or args.value_set or args.get:
            raise Unusable("--concept, --value-set and --get go with --tx: a file says itself which concept it is of")
        names = ", ".join(Path(name).name for name in args.from_files)
        return Gathered(_exported(args.from_files), {}, Provenance(names, "", at))
    ca_file = Path(args.ca_file) if args.ca_file else None
    with TerminologyServer(args.tx, token_of(args.token_env), ca_file, args.page) as server:
        provenance = Provenance(server.base.origin, server.software(), at)
        found, failed = _asked(args, server, knowledge, terminal)
    return Gathered(found, failed, provenance)


def _asked(
    args: argparse.Namespace, server: TerminologyServer, knowledge: Knowledge, terminal: Terminal
) -> tuple[dict[str, Found], dict[str, str]]:
    urls = dict(_named_value_sets(args.value_set))
    found, failed = {}, {}
    for concept in _concepts(args.concept, urls):
        terminal.remark(f"asking for {concept} ...", "dim")
        try:
            if concept in urls:
                found[concept] = ask_url(urls[concept], server.expand)
            else:
                known = _known(knowledge, concept)
                found[concept] = ask_for(_source(concept), known, server.expand, args.get)
        except KnowledgeError as error:
            failed[concept] = str(error)
    return found, failed


def _named_value_sets(stated_ones: list[str]) -> Iterator[tuple[str, str]]:
    for each in stated_ones:
        concept, _, url = each.partition("=")
        if concept not in ALL_CONCEPTS or ":" not in url:
            raise Unusable(
                "--value-set takes CONCEPT=URL, such as nsaid=https://tx.example.org/fhir/ValueSet/our-nsaids"
            )
        yield concept, url


def _concepts(wanted: list[str], urls: Mapping[str, str]) -> list[str]:
    """What is asked for: the concepts named, else all that have something to expand."""
    able = [concept for concept in sorted(ALL_CONCEPTS) if any(roots(_source(concept), system) for system in SYSTEMS)]
    for concept in wanted:
        if concept not in able and concept not in urls:
            raise Unusable(f"--concept: {concept} has nothing to expand; these have: {', '.join(able)}")
    chosen = {*wanted, *urls} if wanted or urls else set(able)
    return sorted(chosen)


def _source(concept: str) -> FhirValueSet:
    return decode_value_set(concept, _shipped(concept))


def _shipped(concept: str) -> bytes:
    return (FOLDER / "value-sets" / f"{concept}.json").read_bytes()


def _known(knowledge: Knowledge, concept: str) -> dict[Key, str]:
    codes = knowledge.value_sets[concept].codes
    return {code.key: code.display for code in codes if code.system in SYSTEMS}


def _exported(paths: list[str]) -> dict[str, Found]:
    """Expansions in files; several of one concept, say one for each code system, count together."""
    answers: dict[str, list[Answer]] = {}
    for path in paths:
        body = read_document(path)
        try:
            url = decode_value_set(path, body).url
            page = read_page(body)
        except KnowledgeError as error:
            raise Unusable(f"--from {path}: {error}") from None
        concept = url.removeprefix(c.VALUE_SET) if url.startswith(c.VALUE_SET) else Path(path).name.partition(".")[0]
        if concept not in ALL_CONCEPTS:
            raise Unusable(
                f"--from {path}: it says of no concept of ours that it is its expansion; name it CONCEPT.json"
            )
        if not page.codes:
            raise Unusable(f"--from {path}: its expansion has no code of SNOMED CT or RxNorm")
        if page.total is not None and page.total > len(page.codes) + page.passed_over:
            raise Unusable(f"--from {path}: it holds a part of {page.total} codes only; export all of them")
        answers.setdefault(concept, []).append(Answer(tuple(page.codes), page.versions, page.passed_over))
    return {concept: stated(_together(some)) for concept, some in answers.items()}


def _together(answers: list[Answer]) -> Answer:
    codes = {code.key: code for answer in answers for code in answer.codes}
    versions = sorted({version for answer in answers for version in answer.versions})
    return Answer(tuple(codes.values()), tuple(versions), sum(answer.passed_over for answer in answers))


def _changes(
    gathered: Gathered, site: Mapping[str, tuple[str, Resource]], knowledge: Knowledge, drop: bool
) -> tuple[list[Change], dict[str, str], list[str]]:
    """Each change, the files that they make, and the concepts whose list the site has made itself."""
    every = sorted(with_supersets(gathered.found).items())
    by_hand = [concept for concept, _ in every if concept in site and not written_by_expansion(site[concept][1])]
    able = {concept: found for concept, found in every if concept not in by_hand}
    known = {concept: _known(knowledge, concept) for concept in ALL_CONCEPTS}
    missing = _missing(able, site, known)
    changes, files = [], {}
    for concept, found in able.items():
        name, ours = site.get(concept, (f"{concept}.json", None))
        shipped = _resource(concept)
        change = change_of(concept, shipped, known[concept], found, missing[concept], drop)
        changes.append(change)
        if ours is not None or change.added or change.dropped:
            files[name] = text(value_set(shipped, ours, change, found, gathered.provenance))
    return changes, files, by_hand


def _missing(
    able: Mapping[str, Found], site: Mapping[str, tuple[str, Resource]], known: Mapping[str, Mapping[Key, str]]
) -> dict[str, frozenset[Key]]:
    """The known codes of each concept that no source has, neither for it nor for a part of it."""
    gone = {
        concept: lacking(_resource(concept), site[concept][1] if concept in site else None, known[concept], found)
        for concept, found in able.items()
    }
    return {concept: codes - held_by_parts(concept, known, gone) for concept, codes in gone.items()}


def _resource(concept: str) -> Resource:
    return msgspec.json.decode(_shipped(concept))
