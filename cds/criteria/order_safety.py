"""Is this order safe and timely? Judged for the draft orders of an order hook (catalogue, section 6)."""

from collections.abc import Callable

from cds.answers import MET, NOT_MET, Answer, all_of, any_of, met, negated, none_met, not_met, unknown
from cds.back_problem import SPINAL_IMAGING, SPINE_CARE, onset
from cds.case import CONDITIONS, PROCEDURES, STATED, Case
from cds.catalogue import Group, Source, criterion, in_group
from cds.criteria.information import isolated_spasm, nothing_alarming
from cds.criteria.red_flag import spinal_infection
from cds.criteria.surgical_referral import nerve_root_damage, progressive_scoliosis
from cds.facts import DraftOrder
from cds.surgical_card import opens_surgical_card
from cds.treatment import treated_at_least

ADULT_YEARS = 18
SURGERY_MEMORY_DAYS = 365
LUMBAR_IMAGING = ("mri-lumbar", "ct-lumbar", "xray-lumbar")


def concerned(case: Case, *concepts: str) -> tuple[DraftOrder, ...]:
    """The draft orders of these kinds; a referral for something else than the back is none (section 8)."""
    return tuple(
        draft
        for draft in case.chart.drafts
        if not draft.concepts.isdisjoint(concepts)
        and (draft.about_back or not draft.concepts <= {"spine-surgeon-referral"})
    )


def judged(case: Case, drafts: tuple[DraftOrder, ...], why: Callable[[], Answer]) -> Answer:
    """The reason beside the orders it is about; without such an order it is `not-met`."""
    return all_of(met(*(draft.evidence for draft in drafts)), why()) if drafts else not_met("no such order")


@criterion(
    "emergency-outstanding",
    title="Emergency not settled before a routine order",
    group=Group.ORDER_SAFETY,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def emergency_outstanding(case: Case) -> Answer:
    """A spine order of routine priority while an emergency criterion is met."""
    return judged(case, outstanding_orders(case), lambda: _any_emergency(case))


def outstanding_orders(case: Case) -> tuple[DraftOrder, ...]:
    drafts = concerned(case, *SPINAL_IMAGING, *SPINE_CARE, "spinal-fusion", "spine-surgeon-referral")
    return tuple(draft for draft in drafts if not draft.urgent)


def _any_emergency(case: Case) -> Answer:
    emergencies = (entry for entry in in_group(Group.EMERGENCY) if entry.id not in case.hidden)
    found = any_of(*(entry.rule(case) for entry in emergencies))
    return found if found.status is MET else case.unless_lacking(STATED, not_met("no emergency"))


@criterion(
    "traction-caution",
    title="Traction where the spine may not bear it",
    group=Group.ORDER_SAFETY,
    sources=(Source.DECOMPRESSION_OVERVIEW,),
)
def traction_caution(case: Case) -> Answer:
    """Traction with cancer, infection, osteoporosis, a vertebral fracture or cord compression on record."""
    return judged(
        case,
        concerned(case, "spinal-traction"),
        lambda: any_of(
            case.diagnosis(
                "malignancy-active",
                "spinal-neoplasm",
                "metastasis-bone",
                "infection-active-systemic",
                "infection-spinal",
                "vertebral-fracture",
                "cord-compression-myelopathy",
                silence=NOT_MET,
            ),
            case.ever_diagnosed("osteoporosis"),
        ),
    )


@criterion(
    "surgery-for-isolated-spasm",
    title="Surgery for a spasm on its own",
    group=Group.ORDER_SAFETY,
    sources=(Source.CLEVELAND_CLINIC_SURGERY,),
)
def surgery_for_isolated_spasm(case: Case) -> Answer:
    """Spinal surgery or a surgeon's referral for a back spasm on its own."""
    drafts = concerned(case, "spinal-surgery", "spinal-fusion", "spine-surgeon-referral")
    return judged(case, drafts, lambda: isolated_spasm(case))


@criterion(
    "surgery-before-conservative",
    title="Surgery before conservative treatment",
    group=Group.ORDER_SAFETY,
    sources=(Source.DECOMPRESSION_OVERVIEW,),
)
def surgery_before_conservative(case: Case) -> Answer:
    """Spinal surgery without anything alarming, when conservative treatment was short or not tried."""
    return judged(
        case,
        concerned(case, "spinal-surgery", "spinal-fusion"),
        lambda: all_of(
            nothing_alarming(case),
            none_met(nerve_root_damage(case), progressive_scoliosis(case)),
            case.available(STATED),
            _treated_too_short(case),
        ),
    )


def _treated_too_short(case: Case) -> Answer:
    """Not known without the Conditions: what counts as treatment hangs on the onset."""
    short = negated(treated_at_least(case, case.limits.conservative_min_days))
    return case.unless_lacking(frozenset((CONDITIONS,)), short) if short.status is NOT_MET else short


@criterion(
    "fusion-without-instability",
    title="Fusion for stenosis without instability",
    group=Group.ORDER_SAFETY,
    sources=(Source.DECOMPRESSION_OVERVIEW,),
)
def fusion_without_instability(case: Case) -> Answer:
    """Spinal fusion for stenosis, with nothing on record that calls for stabilization."""
    return judged(
        case,
        concerned(case, "spinal-fusion"),
        lambda: all_of(
            case.diagnosis("spinal-stenosis", silence=NOT_MET),
            none_met(
                case.diagnosis(
                    "spinal-instability",
                    "spondylolisthesis",
                    "spinal-neoplasm",
                    "metastasis-bone",
                    "infection-active-systemic",
                    "vertebral-fracture",
                    "cord-compression-myelopathy",
                ),
                case.finding("spinal-instability"),
                spinal_infection(case),
                progressive_scoliosis(case),
            ),
            case.available(STATED),
        ),
    )


@criterion(
    "imaging-without-red-flag",
    title="Early imaging without a red flag",
    group=Group.ORDER_SAFETY,
    sources=(Source.ACP_2007, Source.ACR_LOW_BACK),
    beyond=True,
)
def imaging_without_red_flag(case: Case) -> Answer:
    """Lumbar imaging of an adult within the first weeks, with nothing alarming and no reason for a surgeon."""
    return judged(
        case,
        concerned(case, *LUMBAR_IMAGING),
        lambda: all_of(
            _recent_onset(case),
            negated(case.younger_than(ADULT_YEARS)),
            nothing_alarming(case),
            not_met("a surgical referral is open") if opens_surgical_card(case) else Answer(MET),
            _no_recent_surgery(case),
            case.available(STATED),
        ),
    )


def _recent_onset(case: Case) -> Answer:
    """The onset, where an onset[x] states it, surely lies within the early weeks."""
    begun = onset(case)
    if begun is None or not begun.stated:
        return unknown("onset not recorded", *([begun.evidence] if begun else []))
    status = case.started_at_least(begun.when, case.limits.early_imaging_days)
    if status is NOT_MET:
        return met(begun.evidence)
    return not_met("onset earlier", begun.evidence) if status is MET else unknown("onset not exact", begun.evidence)


def _no_recent_surgery(case: Case) -> Answer:
    recent = [
        t.evidence
        for t in case.chart.treatments.get("spinal-surgery", ())
        if t.start is not None and case.within(t.end or t.start, SURGERY_MEMORY_DAYS)
    ]
    return not_met("spinal surgery", *recent) if recent else case.available(frozenset((PROCEDURES,)))
