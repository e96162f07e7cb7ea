"""Emergencies (catalogue, section 6): any of them opens the one critical card."""

from cds.answers import MET, NOT_MET, Answer, all_of, any_of, either, not_met, silent, unknown
from cds.back_problem import control_loss
from cds.case import LONG_STANDING, OBSERVATIONS, RESPONSES, Case
from cds.catalogue import Group, Source, criterion
from cds.criteria import red_flag
from cds.facts import Measurement
from cds.numbers import at_most
from cds.signs import new_neurological_sign

_GRADES = frozenset((OBSERVATIONS, RESPONSES))


@criterion(
    "cauda-equina",
    title="Possible cauda equina syndrome",
    group=Group.EMERGENCY,
    sources=(Source.DRORACLE_ETIOLOGY, Source.DECOMPRESSION_OVERVIEW, Source.HEALTHGRADES_SPASM),
)
def cauda_equina(case: Case) -> Answer:
    """New saddle anesthesia, urinary retention or loss of bladder or bowel control, or the diagnosis itself.

    A long-standing one is no new emergency; control is not expected of children under four.
    """
    window = case.limits.emergency_window_days
    return any_of(
        case.new_diagnosis("cauda-equina-syndrome", within=window),
        case.new_finding("saddle-anesthesia", window),
        case.new_finding("urinary-retention", window),
        control_loss(case, "bladder-control-loss"),
        control_loss(case, "bowel-control-loss"),
    )


@criterion(
    "progressive-neurological-deficit",
    title="Progressive neurological deficit",
    group=Group.EMERGENCY,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def progressive_neurological_deficit(case: Case) -> Answer:
    """Stated, or a muscle's newest strength grade at least one below an earlier one in the emergency window."""
    return either(
        case.new_finding("progressive-neurological-deficit", case.limits.emergency_window_days),
        strength_lost(case),
    )


def strength_lost(case: Case) -> Answer:
    """Whether strength fell, muscle and side by itself; fewer than two grades of one muscle are silent."""
    sites: dict[str, list[Measurement]] = {}
    for grade in case.measured("muscle-strength-grade", case.limits.emergency_window_days):
        if grade.value is not None and grade.when is not None and not grade.comparator:
            sites.setdefault(grade.site, []).append(grade)
    compared = [_fall(case, grades) for _, grades in sorted(sites.items())]
    answers = [answer for answer in compared if not answer.silent]
    return any_of(*answers) if answers else case.unless_lacking(_GRADES, silent("strength graded once at most"))


def _fall(case: Case, grades: list[Measurement]) -> Answer:
    latest = max(grade.order for grade in grades)
    newest = min((g for g in grades if g.order == latest), key=lambda g: (g.value, g.evidence))
    earlier = [g for g in grades if g.order < latest]
    if not earlier:
        return silent("strength graded once at most")
    best = max(earlier, key=lambda g: (g.value, g.evidence))
    if best.value - newest.value >= 1:
        return Answer(MET, facts=(best.evidence, newest.evidence))
    return case.unless_lacking(_GRADES, not_met("strength stable or better", best.evidence, newest.evidence))


@criterion(
    "severe-motor-weakness",
    title="Severe motor weakness of a leg",
    group=Group.EMERGENCY,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def severe_motor_weakness(case: Case) -> Answer:
    """Newest strength grade of a leg muscle at or below the limit, or a new foot drop.

    Weakness that nobody graded, and a long-standing weakness or foot drop, leave it open.
    """
    window = case.limits.emergency_window_days
    return either(
        case.newest_per_site("muscle-strength-grade", window, at_most(case.limits.weakness_grade)),
        _open_if_old(case.new_diagnosis("foot-drop-leg-paresis", within=window)),
        _ungraded(case),
    )


def _ungraded(case: Case) -> Answer:
    """A weakness that is denied settles it; one that is not graded does not."""
    weakness = case.new_finding("leg-weakness", case.limits.emergency_window_days)
    if weakness.status is MET:
        return unknown("grade not recorded", *weakness.evidence)
    return _open_if_old(weakness)


def _open_if_old(answer: Answer) -> Answer:
    """A long-standing weakness is neither new nor denied."""
    return unknown(LONG_STANDING, *answer.evidence) if answer.phrase == LONG_STANDING else answer


@criterion(
    "limb-sensation-loss",
    title="Loss of sensation in the limbs",
    group=Group.EMERGENCY,
    sources=(Source.HEALTHGRADES_SPASM,),
)
def limb_sensation_loss(case: Case) -> Answer:
    """New loss of sensation in limbs or shoulders, not tingling."""
    return case.new_finding("limb-sensation-loss", case.limits.emergency_window_days)


@criterion(
    "balance-loss",
    title="Complete loss of balance",
    group=Group.EMERGENCY,
    sources=(Source.HEALTHGRADES_SPASM,),
)
def balance_loss(case: Case) -> Answer:
    """Sudden complete loss of balance; an abnormal gait is another criterion."""
    return case.new_finding("balance-loss", case.limits.sudden_window_days)


@criterion(
    "one-sided-deficit",
    title="Weakness or numbness of one side of the body",
    group=Group.EMERGENCY,
    sources=(Source.HEALTHGRADES_SPASM,),
)
def one_sided_deficit(case: Case) -> Answer:
    """Sudden weakness or numbness of one side; sciatica is not this."""
    return case.new_finding("one-sided-weakness-or-numbness", case.limits.sudden_window_days)


@criterion("paralysis", title="Paralysis", group=Group.EMERGENCY, sources=(Source.HEALTHGRADES_SPASM,))
def paralysis(case: Case) -> Answer:
    """Sudden paralysis."""
    return case.new_finding("paralysis", case.limits.sudden_window_days)


@criterion(
    "altered-consciousness",
    title="Altered consciousness",
    group=Group.EMERGENCY,
    sources=(Source.HEALTHGRADES_SPASM,),
)
def altered_consciousness(case: Case) -> Answer:
    """A sudden change in the level of consciousness."""
    return case.new_finding("altered-consciousness", case.limits.sudden_window_days)


@criterion(
    "possible-cord-compression",
    title="Possible spinal cord compression",
    group=Group.EMERGENCY,
    sources=(Source.NICE_NG234,),
    beyond=True,
)
def possible_cord_compression(case: Case) -> Answer:
    """Cord compression found in the emergency window, or cancer with a new neurological sign.

    Beside a spinal tumor or an active malignancy a new gait disturbance is such a sign. Without the diagnosis and
    without cancer it is not met.
    """
    window = case.limits.emergency_window_days
    return any_of(
        case.new_diagnosis("cord-compression-myelopathy", within=window, silence=NOT_MET),
        all_of(
            any_of(red_flag.cancer_history(case), red_flag.spinal_neoplasm(case)),
            any_of(
                new_neurological_sign(case),
                all_of(
                    any_of(red_flag.spinal_neoplasm(case), case.diagnosis("malignancy-active", silence=NOT_MET)),
                    case.new_finding("gait-disturbance", window),
                ),
            ),
        ),
    )
