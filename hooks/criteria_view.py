"""What is shown of a criterion, to people and to machines: one document for both (reliability.md, rows 9, 30 and 31).

The rule in words, the thresholds in force, the value sets, sources, limits, examples and the thirteen source
attributes of ONC HTI-1 (45 CFR 170.315(b)(11)(iv)(A)).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from cds.catalogue import SOURCE_TITLES, Criterion, Group, Source
from cds.evaluation import CATALOGUE, CATALOGUE_VERSION
from cds.explain import uses
from cds.limits import BY_KEY, THRESHOLDS
from fhir_profiles.codes import FINDING, SNOMED, SYSTEM_TITLES
from fhir_profiles.transparency import Transparency, load_transparency
from fhir_profiles.value_sets import Code, ValueSetInfo
from fhir_profiles.worked import Example, Worked, worked_examples
from hooks.pipeline import Site
from hooks.respond import evidence_json, inert, instant
from hooks.states import ON, States

GROUPS = {
    Group.EMERGENCY: ("Emergency", "Any of them opens the one critical card."),
    Group.RED_FLAG: ("Red flags", "One warning card; for information where only weak flags are met."),
    Group.SURGICAL_REFERRAL: (
        "Surgical referral",
        "One card for information; a warning with damage of a nerve root or a very short walking distance.",
    ),
    Group.PROMPT_REVIEW: ("Prompt review", "On the information card: something has lasted longer than expected."),
    Group.CONTRIBUTING: ("Contributing", "On the information card: what can keep a spasm going."),
    Group.CONSERVATIVE: ("Conservative", "On the information card: first measures."),
    Group.ORDER_SAFETY: ("Order safety", "When an order is selected or signed: one card for each finding."),
}
"""What people call a group, and what becomes of its criteria."""


_NOTICE = re.compile(r"(?<=\.) (?=(?:SNOMED CT:|This material contains content from LOINC|ICD-10-CM:|RxNorm:))")
"""Where the notice of one code system ends and that of the next begins."""


class View:
    """The criteria of one site. released: the release of the service, "unknown" when it is not installed."""

    def __init__(self, site: Site, released: str) -> None:
        self._site = site
        self._released = released
        self._about: Transparency = load_transparency()

    def is_overdue(self, at: datetime) -> bool:
        """Whether the criteria are past their review date."""
        return self._about.review.is_overdue(at.astimezone(self._site.settings.zone).date())

    def catalogue(self, overdue: bool, states: States) -> dict[str, Any]:
        """All criteria, in short; `criterion` has the rest. states: in force for everybody."""
        return {
            "versions": self._versions(),
            "review": self._review(overdue),
            "criteria": [self._brief(entry, states) for entry in CATALOGUE],
            "thresholds": [self._threshold(threshold.key) for threshold in THRESHOLDS],
            "sources": [self._source(source) for source in Source],
            "limits": list(self._about.limits),
        }

    def criterion(self, entry: Criterion, overdue: bool, states: States) -> dict[str, Any]:
        """Everything about one criterion."""
        used, worked = uses(entry.id), self._worked()[entry.id]
        infos = [self._site.knowledge.value_sets[concept] for concept in used.concepts]
        return self._brief(entry, states) | {
            "versions": self._versions(),
            "review": self._review(overdue),
            "asksGroups": [str(group) for group in used.groups],
            "thresholds": [self._threshold(key) for key in used.thresholds],
            "valueSets": [_value_set(info) for info in infos],
            "notices": list(dict.fromkeys(notice for info in infos for notice in _notices(info))),
            "sources": [self._source(source) for source in entry.sources],
            "examples": _examples(worked),
            "limits": [*self._about.limits_of(entry.id), *self._about.limits],
        }

    def _versions(self) -> dict[str, str]:
        return {
            "release": self._released,
            "catalogue": CATALOGUE_VERSION,
            "knowledge": self._site.knowledge.version,
            "revised": self._about.revised.isoformat(),
        }

    def _review(self, overdue: bool) -> dict[str, Any]:
        review = self._about.review
        return {"on": review.on.isoformat(), "by": review.by, "due": review.due.isoformat(), "overdue": overdue}

    def _state(self, id_: str, states: States) -> str:
        """`disabled` where the site left the criterion out of every answer."""
        return "disabled" if id_ in self._site.settings.disabled else states.get(id_, ON)

    def _brief(self, entry: Criterion, states: States) -> dict[str, Any]:
        return {
            "id": entry.id,
            "title": entry.title,
            "group": str(entry.group),
            "state": self._state(entry.id, states),
            "rule": entry.in_words,
            "sources": [{"key": str(source), "title": SOURCE_TITLES[source]} for source in entry.sources],
            "beyond": entry.beyond,
            "sourceAttributes": self._about.attributes(entry.id),
        }

    def _threshold(self, key: str) -> dict[str, Any]:
        known, value = BY_KEY[key], getattr(self._site.settings.limits, key)
        return {"key": key, "value": value, "default": known.default, "unit": known.unit, "from": known.source}

    def _source(self, source: Source) -> dict[str, str]:
        document = self._about.sources[source]
        said = {"key": str(source), "title": SOURCE_TITLES[source], "citation": document.citation}
        return said | {"version": document.version, "remark": document.remark}

    def _worked(self) -> Mapping[str, Worked]:
        settings = self._site.settings
        return _worked(self._site.knowledge, settings.limits, settings.zone)


@lru_cache(maxsize=8)
def _worked(*site: Any) -> Mapping[str, Worked]:
    """Judged when somebody looks for the first time: a service that nobody looks into starts no slower."""
    return worked_examples(*site)


def _value_set(info: ValueSetInfo) -> dict[str, Any]:
    return {
        "concept": info.concept,
        "title": info.title,
        "url": info.url,
        "counts": {SYSTEM_TITLES.get(system, system): count for system, count in info.counts.items()},
        "codes": [_code(code) for code in sorted(info.codes, key=_by_system)],
    }


def _notices(info: ValueSetInfo) -> list[str]:
    """What has to be said of each code system, one by one, so that it is said once for all value sets."""
    return _NOTICE.split(info.copyright) if info.copyright else []


def _by_system(code: Code) -> tuple[bool, str, str]:
    return code.system != FINDING, code.system, code.code


def _code(code: Code) -> dict[str, Any]:
    """A code with its term, where the term may be shown: of SNOMED CT only the free subset's may."""
    said: dict[str, Any] = {"system": code.system, "code": code.code, "origin": code.origin}
    if code.prefix:
        said["descendants"] = True
    if code.display:
        return said | {"display": inert(code.display)}
    return said | ({"license": "SNOMED CT Affiliate License"} if code.system == SNOMED else {})


def _examples(worked: Worked) -> dict[str, Any]:
    return dict(_shown(worked))


def _shown(worked: Worked) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, example in (("met", worked.met), ("notMet", worked.not_met)):
        if example is not None:
            yield name, _example(example)


def _example(example: Example) -> dict[str, Any]:
    answer = example.answer
    return {
        "chart": example.chart,
        "title": example.title,
        "story": example.story,
        "at": instant(example.at),
        "status": answer.status,
        "reason": inert(answer.reason),
        "evidence": [evidence_json(fact) for fact in answer.evidence],
    }
