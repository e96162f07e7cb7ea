"""Which cards appear, and which criteria each shows (catalogue, sections 3 and 6)."""

from typing import NamedTuple

from cds.answers import MET, NOT_MET, UNKNOWN, Answer
from cds.back_problem import back_problem, is_current
from cds.case import CONDITIONS, Case
from cds.catalogue import Group, in_group
from cds.numbers import at_most
from cds.surgical_card import EARLY, opens_surgical_card, surgical_reasons

EMERGENCY = "emergency"
RED_FLAG = "red-flag"
SURGICAL_REFERRAL = "surgical-referral"
INFORMATION = "information"
NOT_ASSESSED = "not-assessed"
ORDER_SAFETY = "order-safety"

ORDER_HOOKS = frozenset(("order-select", "order-sign"))
NOT_ASKED = frozenset(
    ("raised-inflammatory-markers", "pain-over-4-weeks", "child-back-pain", "child-spinal-infection")
)
"""Open criteria that the not-assessed card leaves out."""

ORDER_INDICATORS = {
    "emergency-outstanding": "critical",
    "traction-caution": "warning",
    "surgery-for-isolated-spasm": "warning",
    "surgery-before-conservative": "info",
    "fusion-without-instability": "info",
    "imaging-without-red-flag": "info",
}


class Section(NamedTuple):
    """One card to be: its group, its indicator and the ids of its criteria in catalogue order."""

    group: str
    indicator: str
    criteria: tuple[str, ...]


def triage(case: Case, hook: str, disabled: frozenset[str] = frozenset()) -> list[Section]:
    """The cards of a hook call, most urgent first; a patient who has died gets none."""
    if case.chart.patient.deceased:
        return []
    if hook in ORDER_HOOKS:
        return _order_sections(case, disabled)
    problem = back_problem(case).status
    if problem is NOT_MET:
        return _scoliosis(case, disabled)
    sections = _emergency(case, disabled)
    if problem is MET:
        sections += [*_red_flags(case, disabled), *_surgical(case, disabled), *_information(case, disabled)]
    return [*sections, *_not_assessed(case, disabled, problem)]


def _order_sections(case: Case, disabled: frozenset[str]) -> list[Section]:
    return [
        Section(ORDER_SAFETY, ORDER_INDICATORS[id_], (id_,))
        for id_ in _met(case, disabled, Group.ORDER_SAFETY)
    ]


def _emergency(case: Case, disabled: frozenset[str]) -> list[Section]:
    ids = _met(case, disabled, Group.EMERGENCY)
    return [Section(EMERGENCY, "critical", ids)] if ids else []


def _red_flags(case: Case, disabled: frozenset[str]) -> list[Section]:
    ids = _met(case, disabled, Group.RED_FLAG)
    if not ids or not _timely(case, ids):
        return []
    weak = all(case.answers[id_].weak for id_ in ids)
    return [Section(RED_FLAG, "info" if weak else "warning", ids)]


def _surgical(case: Case, disabled: frozenset[str]) -> list[Section]:
    ids = tuple(id_ for id_ in surgical_reasons(case) if id_ not in disabled)
    if not ids or not opens_surgical_card(case, disabled) or not _timely(case, ids):
        return []
    return [Section(SURGICAL_REFERRAL, _surgical_indicator(case, ids), ids)]


def _surgical_indicator(case: Case, ids: tuple[str, ...]) -> str:
    limits = case.limits
    short = case.newest("walking-distance", limits.symptom_window_days, at_most(limits.claudication_severe_m))
    return "warning" if "nerve-root-damage" in ids or short.met else "info"


def _information(case: Case, disabled: frozenset[str]) -> list[Section]:
    """Prompt review, contributing causes, conservative care, and compression that is early for a surgeon."""
    early = () if opens_surgical_card(case, disabled) else surgical_reasons(case)
    ids = (
        *(id_ for id_ in early if id_ in EARLY and id_ not in disabled),
        *_met(case, disabled, Group.PROMPT_REVIEW, Group.CONTRIBUTING, Group.CONSERVATIVE),
    )
    return [Section(INFORMATION, "info", ids)] if ids and _timely(case, ids) else []


def _not_assessed(case: Case, disabled: frozenset[str], problem: str) -> list[Section]:
    """What is open, while the back problem is current; always when a search could not be had."""
    missing = bool(case.chart.missing)
    if problem is UNKNOWN and CONDITIONS not in case.chart.missing:
        return []
    ids = tuple(
        entry.id
        for entry in in_group(Group.EMERGENCY, Group.RED_FLAG)
        if entry.id not in disabled and entry.id not in NOT_ASKED and entry.rule(case).status is UNKNOWN
    )
    return [Section(NOT_ASSESSED, "info", ids)] if missing or (ids and is_current(case)) else []


def _scoliosis(case: Case, disabled: frozenset[str]) -> list[Section]:
    """Progressive scoliosis is the one thing to say without a back problem, when something about it is new."""
    ids = tuple(
        id_ for id_ in surgical_reasons(case) if id_ == "progressive-scoliosis" and id_ not in disabled
    )
    return [Section(SURGICAL_REFERRAL, "info", ids)] if ids and _new_evidence(case, ids) else []


def _met(case: Case, disabled: frozenset[str], *groups: Group) -> tuple[str, ...]:
    return tuple(entry.id for entry in in_group(*groups) if entry.id not in disabled and entry.rule(case).met)


def _timely(case: Case, ids: tuple[str, ...]) -> bool:
    return is_current(case) or _new_evidence(case, ids)


def _new_evidence(case: Case, ids: tuple[str, ...]) -> bool:
    """Whether a criterion rests on something recent or undated (section 3, current)."""
    return any(_is_new(case, case.answers[id_]) for id_ in ids)


def _is_new(case: Case, answer: Answer) -> bool:
    window = case.limits.symptom_window_days
    return any(
        fact.renews and (fact.latest is None or case.today - fact.latest <= window)
        for fact in answer.evidence
    )
