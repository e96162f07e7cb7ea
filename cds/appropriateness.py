"""How a draft imaging order stands to the criteria, for clients that record such a rating (docs/orders.md)."""

from cds.answers import MET, NOT_MET
from cds.back_problem import SPINAL_IMAGING
from cds.case import STATED
from cds.catalogue import Group, in_group
from cds.criteria.order_safety import LUMBAR_IMAGING
from cds.evaluation import Evaluation
from cds.facts import DraftOrder

APPROPRIATE, NOT_APPROPRIATE, NO_CRITERIA_APPLY = "appropriate", "not-appropriate", "no-criteria-apply"
UNDETERMINED = "undetermined"
REASONS = (Group.EMERGENCY, Group.RED_FLAG, Group.SURGICAL_REFERRAL)
EARLY = "imaging-without-red-flag"


def is_spinal_imaging(draft: DraftOrder) -> bool:
    return not draft.concepts.isdisjoint(SPINAL_IMAGING)


def rating(evaluation: Evaluation, draft: DraftOrder) -> tuple[str, str]:
    """The rating of an imaging order, and the id of the criterion it rests on ("" for none).

    Appropriate with a finding that imaging helps to settle; not appropriate early and without one; no criteria apply
    where all was looked at and none speaks. Undetermined, where data are missing or the criterion does not speak here.
    """
    reasons = _reasons(evaluation)
    if reasons:
        return APPROPRIATE, reasons[0]
    early = evaluation.answers[EARLY].status
    if EARLY in evaluation.case.hidden or evaluation.case.available(STATED).status is not MET:
        return UNDETERMINED, ""
    if draft.concepts.isdisjoint(LUMBAR_IMAGING) or early is NOT_MET:
        return NO_CRITERIA_APPLY, ""
    return (NOT_APPROPRIATE, EARLY) if early is MET else (UNDETERMINED, "")


def _reasons(evaluation: Evaluation) -> list[str]:
    """Met criteria that make imaging sensible; a weak red flag on its own does not."""
    met = [
        entry.id
        for entry in in_group(*REASONS)
        if evaluation.answers[entry.id].met and entry.id not in evaluation.case.hidden
    ]
    return met if any(not evaluation.answers[id_].weak for id_ in met) else []
