"""How a draft order for MRI or CT stands to the criteria, for clients that record such a rating (docs/orders.md)."""

from collections.abc import Sequence

from cds import card_red_flag
from cds.answers import MET, NOT_MET
from cds.card_emergency import PERHAPS_STROKE
from cds.case import STATED, Case
from cds.catalogue import Group, met_in
from cds.criteria.order_safety import LUMBAR_IMAGING
from cds.evaluation import Evaluation
from cds.facts import DraftOrder
from cds.surgical_card import EARLY, opens_surgical_card, surgical_reasons

APPROPRIATE, NOT_APPROPRIATE, NO_CRITERIA_APPLY = "appropriate", "not-appropriate", "no-criteria-apply"
UNDETERMINED = "undetermined"
ADVANCED_IMAGING = ("mri-lumbar", "mri-whole-spine", "ct-lumbar")
TOO_EARLY = "imaging-without-red-flag"


def is_advanced_imaging(draft: DraftOrder) -> bool:
    """Whether it is rated: the programs that ask for ratings do not ask about X-rays."""
    return not draft.concepts.isdisjoint(ADVANCED_IMAGING)


def rating(evaluation: Evaluation, draft: DraftOrder) -> tuple[str, str]:
    """The rating of an imaging order, and the id of the criterion it rests on ("" for none).

    Appropriate with a finding for which our cards suggest imaging or a surgeon's view; not appropriate early and
    without one; no criteria apply where all was looked at and none speaks. Undetermined, where data are missing, the
    criterion does not speak here, or the patient has died.
    """
    if evaluation.chart.patient.deceased:
        return UNDETERMINED, ""
    reasons = _reasons(evaluation.case)
    if reasons:
        return APPROPRIATE, reasons[0]
    early = evaluation.answers[TOO_EARLY].status
    if TOO_EARLY in evaluation.case.hidden or evaluation.case.available(STATED).status is not MET:
        return UNDETERMINED, ""
    if draft.concepts.isdisjoint(LUMBAR_IMAGING) or early is NOT_MET:
        return NO_CRITERIA_APPLY, ""
    return (NOT_APPROPRIATE, TOO_EARLY) if early is MET else (UNDETERMINED, "")


def _reasons(case: Case) -> list[str]:
    """Met criteria that make imaging of the spine sensible, by the rules of the cards, the deciding one first.

    `imaging-without-red-flag` is not met beside any of them, so that a rating never contradicts its card.
    """
    emergencies = [id_ for id_ in met_in(case, Group.EMERGENCY) if id_ not in PERHAPS_STROKE]
    flags = met_in(case, Group.RED_FLAG)
    strong = [id_ for id_ in flags if not case.answers[id_].weak] if card_red_flag.wishes(case, flags) else []
    return [*emergencies, *strong, *_surgical(case)]


def _surgical(case: Case) -> Sequence[str]:
    """Those of an open surgical-referral card; first those that open it whatever the onset."""
    if not opens_surgical_card(case):
        return ()
    return sorted(surgical_reasons(case), key=lambda id_: (id_ in EARLY, id_ != "neural-compression"))
