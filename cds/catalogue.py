"""The register of criteria: what each is called, its group, sources and rule (catalogue, sections 1 and 6)."""

from collections.abc import Callable
from enum import StrEnum
from functools import cache, wraps
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cds.answers import Answer
    from cds.case import Case


class Group(StrEnum):
    """Group of a criterion, in the order of the catalogue."""

    EMERGENCY = "emergency"
    RED_FLAG = "red-flag"
    SURGICAL_REFERRAL = "surgical-referral"
    PROMPT_REVIEW = "prompt-review"
    CONTRIBUTING = "contributing"
    CONSERVATIVE = "conservative"
    ORDER_SAFETY = "order-safety"


class Source(StrEnum):
    """Key of a source document; what each is stands in SOURCE_TITLES."""

    CLEVELAND_CLINIC_SURGERY = "cleveland-clinic-surgery"
    HEALTHGRADES_SPASM = "healthgrades-spasm"
    DECOMPRESSION_OVERVIEW = "decompression-overview"
    LASER_SPINE_RELIEF = "laser-spine-relief"
    DRORACLE_ETIOLOGY = "droracle-etiology"
    ACP_2007 = "acp-2007"
    ACP_2017 = "acp-2017"
    ACR_LOW_BACK = "acr-low-back"
    NICE_NG234 = "nice-ng234"


SOURCE_TITLES = {
    Source.CLEVELAND_CLINIC_SURGERY: "Cleveland Clinic: when surgery for back pain is done (reviewed 2014)",
    Source.HEALTHGRADES_SPASM: "Healthgrades: back spasm, when to seek care (reviewed 2016)",
    Source.DECOMPRESSION_OVERVIEW: "Overview of surgical and non-surgical back decompression",
    Source.LASER_SPINE_RELIEF: "Laser Spine Institute: back spasm relief",
    Source.DRORACLE_ETIOLOGY: "Dr.Oracle: causes of back spasm and red flags (2025)",
    Source.ACP_2007: "ACP/APS low back pain guideline, Ann Intern Med 2007;147:478",
    Source.ACP_2017: "ACP low back pain guideline, Ann Intern Med 2017;166:514",
    Source.ACR_LOW_BACK: "ACR Appropriateness Criteria Low Back Pain (2021)",
    Source.NICE_NG234: "NICE NG234, spinal metastases and metastatic spinal cord compression (2023)",
}


class Criterion(NamedTuple):
    """One row of the catalogue. `rule` answers it for a case; its docstring says it in words."""

    id: str
    title: str
    group: Group
    sources: tuple[Source, ...]
    rule: "Callable[[Case], Answer]"
    beyond: bool  # goes further than the five source documents

    @property
    def in_words(self) -> str:
        return " ".join((self.rule.__doc__ or "").split())


CRITERIA: dict[str, Criterion] = {}


def criterion(
    id_: str, *, title: str, group: Group, sources: tuple[Source, ...], beyond: bool = False
) -> "Callable[[Callable[[Case], Answer]], Callable[[Case], Answer]]":
    """Enter a rule into the catalogue under its id; the case answers each rule once."""

    def enter(rule: "Callable[[Case], Answer]") -> "Callable[[Case], Answer]":
        @wraps(rule)
        def asked(case: "Case") -> "Answer":
            answer = case.answers.get(id_)
            if answer is None:
                answer = case.answers[id_] = rule(case)
            return answer

        CRITERIA[id_] = Criterion(id_, title, group, sources, asked, beyond)
        return asked

    return enter


@cache
def in_group(*groups: Group) -> tuple[Criterion, ...]:
    """The criteria of the groups, in the order of the catalogue."""
    return tuple(entry for group in groups for entry in CRITERIA.values() if entry.group is group)


def met_in(case: "Case", *groups: Group) -> tuple[str, ...]:
    """Ids of those criteria of the groups that are met and that cards may be about."""
    return tuple([entry.id for entry in in_group(*groups) if entry.id not in case.hidden and entry.rule(case).met])
