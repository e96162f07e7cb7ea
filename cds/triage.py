"""Which cards appear, and which criteria each shows (catalogue, sections 3 and 6)."""

from typing import NamedTuple

from cds.answers import MET, UNKNOWN, Answer
from cds.back_problem import back_problem, is_current
from cds.case import CONDITIONS, SUPPLEMENTARY, Case
from cds.catalogue import CRITERIA, Group, in_group, met_in
from cds.numbers import at_most
from cds.surgical_card import EARLY, opens_surgical_card, surgical_reasons

EMERGENCY = "emergency"
RED_FLAG = "red-flag"
SURGICAL_REFERRAL = "surgical-referral"
INFORMATION = "information"
NOT_ASSESSED = "not-assessed"
ORDER_SAFETY = "order-safety"

ORDER_HOOKS = frozenset(("order-select", "order-sign"))
NOT_ASKED = frozenset(("raised-inflammatory-markers", "pain-over-4-weeks", "child-back-pain", "child-spinal-infection"))
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


def triage(case: Case, hook: str) -> list[Section]:
    """The cards of a hook call, most urgent first; none for a patient who has died or where all criteria are hidden.

    Whether there is a back problem may be unknown, for want of a search: then an emergency that is met is shown all
    the same.
    """
    if case.chart.patient.deceased or len(case.hidden) == len(CRITERIA):
        return []
    if hook in ORDER_HOOKS:
        return _order_sections(case)
    problem = back_problem(case).status
    if problem is MET:
        found = *_emergency(case), *_red_flags(case), *_surgical(case), *_information(case)
        return [*found, *_not_assessed(case)]
    if problem is UNKNOWN:
        return [*_emergency(case), *_scoliosis(case), *_back_pain_not_checked(case)]
    return _scoliosis(case)


def _order_sections(case: Case) -> list[Section]:
    """A card for each criterion that a draft order meets, whether there is a back problem or not."""
    return [Section(ORDER_SAFETY, ORDER_INDICATORS[id_], (id_,)) for id_ in met_in(case, Group.ORDER_SAFETY)]


def _emergency(case: Case) -> list[Section]:
    """Any that is met, beside a back problem or while it is unknown whether there is one."""
    ids = met_in(case, Group.EMERGENCY)
    return [Section(EMERGENCY, "critical", ids)] if ids else []


def _red_flags(case: Case) -> list[Section]:
    """Any that is met, while the back problem is current or when evidence is new; info when all are weak."""
    ids = met_in(case, Group.RED_FLAG)
    if not ids or not _timely(case, ids):
        return []
    weak = all(case.answers[id_].weak for id_ in ids)
    return [Section(RED_FLAG, "info" if weak else "warning", ids)]


def _surgical(case: Case) -> list[Section]:
    """Any that is met and no longer early, while the back problem is current or when evidence is new.

    A warning for nerve root damage and for a short walking distance; never for a spasm on its own. New evidence of
    progressive scoliosis opens it without a back problem too.
    """
    ids = surgical_reasons(case)
    if not opens_surgical_card(case) or not _timely(case, ids):
        return []
    return [Section(SURGICAL_REFERRAL, _surgical_indicator(case), ids)]


def _surgical_indicator(case: Case) -> str:
    limits = case.limits
    short = case.newest("walking-distance", limits.symptom_window_days, at_most(limits.claudication_severe_m))
    return "warning" if short.met or "nerve-root-damage" in surgical_reasons(case) else "info"


def _information(case: Case) -> list[Section]:
    """Prompt review, contributing causes, conservative care, and compression that is early for a surgeon."""
    early = () if opens_surgical_card(case) else surgical_reasons(case)
    ids = (
        *(id_ for id_ in early if id_ in EARLY),
        *met_in(case, Group.PROMPT_REVIEW, Group.CONTRIBUTING, Group.CONSERVATIVE),
    )
    return [Section(INFORMATION, "info", ids)] if ids and _timely(case, ids) else []


def _not_assessed(case: Case) -> list[Section]:
    """What is open, while the back problem is current; always when a search could not be had."""
    ids = _open(case)
    shown = case.chart.missing - SUPPLEMENTARY or (ids and is_current(case))
    return [Section(NOT_ASSESSED, "info", ids)] if shown else []


def _back_pain_not_checked(case: Case) -> list[Section]:
    """Without the Conditions the absence of a back problem is not known."""
    return [Section(NOT_ASSESSED, "info", _open(case))] if CONDITIONS in case.chart.missing else []


def _open(case: Case) -> tuple[str, ...]:
    asked = [entry for entry in in_group(Group.EMERGENCY, Group.RED_FLAG) if entry.id not in NOT_ASKED]
    return tuple([entry.id for entry in asked if entry.id not in case.hidden and entry.rule(case).status is UNKNOWN])


def _scoliosis(case: Case) -> list[Section]:
    """Progressive scoliosis is the one thing to say without a back problem, when something about it is new."""
    ids = tuple(id_ for id_ in surgical_reasons(case) if id_ == "progressive-scoliosis")
    return [Section(SURGICAL_REFERRAL, _surgical_indicator(case), ids)] if ids and _new_evidence(case, ids) else []


def _timely(case: Case, ids: tuple[str, ...]) -> bool:
    return is_current(case) or _new_evidence(case, ids)


def _new_evidence(case: Case, ids: tuple[str, ...]) -> bool:
    """Whether a criterion rests on something recent or undated (section 3, current)."""
    return any(_is_new(case, case.answers[id_]) for id_ in ids)


def _is_new(case: Case, answer: Answer) -> bool:
    window = case.limits.symptom_window_days
    return any(fact.renews and (fact.latest is None or case.today - fact.latest <= window) for fact in answer.evidence)


DECIDED_BY = {
    EMERGENCY: _emergency,
    RED_FLAG: _red_flags,
    SURGICAL_REFERRAL: _surgical,
    INFORMATION: _information,
    NOT_ASSESSED: _not_assessed,
    ORDER_SAFETY: _order_sections,
}
"""Group of a card -> what decides whether it appears; the docstring says it in words."""
