"""What a terminology server is asked, so that marked codes bring those below them.

A value set marks SNOMED CT codes whose descendants mean the concept too, and RxNorm ingredients whose products do
(`descendants`, docs/knowledge.md). The service knows no hierarchy; a site's terminology server does. SNOMED CT is asked
by `is-a`; RxNorm has no hierarchy in FHIR, so its relations are walked: ingredient, component, drug, pack.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.expansion_pages import SYSTEMS, Answer, Key, Listed
from fhir_profiles.value_sets import FhirValueSet, canonical_system

AT_ONCE = 100
"""Codes that one question names, so that no server refuses it for its length."""

Resource = dict[str, Any]


class Found(NamedTuple):
    """What is known of a concept after asking. present: which codes the source has at all, of the systems it was
    asked about; None: it was not asked."""

    codes: tuple[Listed, ...]
    present: frozenset[Key] | None
    systems: frozenset[str]
    versions: frozenset[str]
    passed_over: int = 0


Ask = Callable[[Resource | str], Answer]
"""Expands a ValueSet, or one that the server knows by its URL. Raises KnowledgeError saying why it could not."""


def roots(source: FhirValueSet, system: str) -> list[str]:
    """The codes of a value set whose descendants, or whose products, mean the concept too."""
    included = source.compose.include if source.compose else ()
    return [
        item.code
        for group in included
        if canonical_system(group.system) == system
        for item in group.concept
        if item.review("descendants") is True
    ]


def excluded(source: FhirValueSet, system: str) -> list[str]:
    """The codes that look right and are wrong."""
    groups = source.compose.exclude if source.compose else ()
    return [item.code for group in groups if canonical_system(group.system) == system for item in group.concept]


def ask_for(source: FhirValueSet, known: Iterable[Key], ask: Ask, by_url: bool = False) -> Found:
    """Expand what a value set marks, and look whether the codes that are `known` for it are in the code systems still.

    by_url: with SNOMED CT's own value sets, root by root, for a server that takes no ValueSet of others.
    """
    systems = [system for system in SYSTEMS if roots(source, system)]
    below = [_below(source, system, ask, by_url) for system in systems]
    had = [] if by_url else [_present(known, system, ask) for system in systems]
    codes = {key: code for gathered in below for key, code in gathered.codes.items()}
    present = None if by_url else frozenset((*codes, *(key for gathered in had for key in gathered.codes)))
    versions = frozenset(version for gathered in (*below, *had) for version in gathered.versions)
    passed_over = sum(gathered.passed_over for gathered in below)
    return Found(tuple(codes.values()), present, frozenset(systems), versions, passed_over)


def ask_url(url: str, ask: Ask) -> Found:
    """Expand a value set that the server has for the concept."""
    return stated(ask(url))


def stated(answer: Answer) -> Found:
    """An expansion that somebody made of the concept: what it leaves out is missing from it."""
    present = frozenset(code.key for code in answer.codes)
    systems = frozenset(code.system for code in answer.codes)
    return Found(answer.codes, present, systems, frozenset(answer.versions), answer.passed_over)


class _Gathered:
    """Everything that the answers to several questions bring, each code once."""

    def __init__(self, ask: Ask) -> None:
        self.codes: dict[Key, Listed] = {}
        self.versions: set[str] = set()
        self.passed_over = 0
        self._ask = ask

    def __call__(self, question: Resource | str) -> list[str]:
        """Ask; returns the codes of this answer."""
        answer = self._ask(question)
        self.codes |= {code.key: code for code in answer.codes}
        self.versions.update(answer.versions)
        self.passed_over += answer.passed_over
        return [code.code for code in answer.codes]

    def of_each(self, codes: Sequence[str], include: Callable[[list[str]], Resource | list[Resource]]) -> list[str]:
        """Ask for many codes, so many at a time; returns what came, each once and in order."""
        return sorted({code for some in _batches(codes) for code in self(_value_set(include(some)))})


def _below(source: FhirValueSet, system: str, ask: Ask, by_url: bool) -> _Gathered:
    """Everything below the marked codes of a system."""
    marked, gathered = roots(source, system), _Gathered(ask)
    if by_url:
        _by_url(system, marked, gathered)
    elif system == c.SNOMED:
        gathered(_descendants(marked, excluded(source, system)))
    else:
        _products(marked, gathered)
    if not gathered.codes:
        raise KnowledgeError(f"nothing is below its {len(marked)} marked codes of {c.SYSTEM_TITLES[system]}")
    return gathered


def _present(known: Iterable[Key], system: str, ask: Ask) -> _Gathered:
    """Which of our codes the server has, as active ones."""
    gathered = _Gathered(ask)
    ours = sorted(code for name, code in known if name == system)
    gathered.of_each(ours, lambda some: {"system": system, "concept": [{"code": code} for code in some]})
    return gathered


def _descendants(marked: Collection[str], wrong: Collection[str]) -> Resource:
    """A wrong code takes away what is below it too."""
    return _value_set(_is_a(marked), _is_a(wrong))


def _products(ingredients: Sequence[str], gather: _Gathered) -> None:
    """The drugs that have an ingredient, and the packs that hold one of these; what lies on the way does not count."""
    on_the_way = _Gathered(gather._ask)
    components = on_the_way.of_each(ingredients, _related("has_ingredient"))
    drugs = gather.of_each(components, _related("consists_of"))
    gather.of_each(drugs, _related("contains"))
    gather.versions |= on_the_way.versions


def _by_url(system: str, marked: Collection[str], gather: _Gathered) -> None:
    if system != c.SNOMED:
        raise KnowledgeError(f"{c.SYSTEM_TITLES[system]} has no value sets by URL; name one of your server's own")
    for root in marked:
        gather(f"{c.SNOMED}?fhir_vs=isa/{root}")


def _value_set(include: list[Resource] | Resource, exclude: list[Resource] | None = None) -> Resource:
    compose = {"include": include if isinstance(include, list) else [include]}
    compose |= {"exclude": exclude} if exclude else {}
    return {"resourceType": "ValueSet", "status": "draft", "compose": compose}


def _is_a(codes: Collection[str]) -> list[Resource]:
    return [_filtered(c.SNOMED, "concept", "is-a", code) for code in codes]


def _related(relation: str) -> Callable[[list[str]], list[Resource]]:
    return lambda codes: [_filtered(c.RXNORM, relation, "=", f"CUI:{code}") for code in codes]


def _filtered(system: str, name: str, op: str, value: str) -> Resource:
    return {"system": system, "filter": [{"property": name, "op": op, "value": value}]}


def _batches(codes: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(codes)
    while some := list(islice(rest, AT_ONCE)):
        yield some
