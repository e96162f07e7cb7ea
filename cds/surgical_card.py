"""When the surgical-referral card opens (catalogue, section 6)."""

from cds.answers import MET
from cds.back_problem import onset
from cds.case import Case, once
from cds.catalogue import Group, met_in
from cds.criteria.information import isolated_spasm
from cds.criteria.surgical_referral import cord_compression
from cds.numbers import at_least

EARLY = ("significant-radicular-pain", "neural-compression")
"""Early after the onset these alone wait on the information card: surgery is a last resort."""


@once
def surgical_reasons(case: Case) -> tuple[str, ...]:
    """Ids of the surgical-referral criteria that are met, but those that are hidden."""
    return met_in(case, Group.SURGICAL_REFERRAL)


@once
def opens_surgical_card(case: Case) -> bool:
    """Whether a met criterion opens it; not for a spasm on its own."""
    reasons = surgical_reasons(case)
    if not reasons or isolated_spasm(case).met:
        return False
    return any(reason not in EARLY for reason in reasons) or _not_early(case) or _by_cord_compression(case, reasons)


def _by_cord_compression(case: Case, reasons: tuple[str, ...]) -> bool:
    return "neural-compression" in reasons and cord_compression(case).met


def _not_early(case: Case) -> bool:
    limits = case.limits
    begun = onset(case)
    waited = begun is not None and case.started_at_least(begun.when, limits.surgery_wait_days) is MET
    return waited or case.newest("pain-score", limits.symptom_window_days, at_least(limits.pain_severe)).met
