"""The critical card (catalogue, section 6, emergency)."""

from cds.answers import any_of
from cds.case import Case
from cds.criteria.red_flag import cancer_history, spinal_neoplasm
from cds.emergency_start import first_day
from cds.findings import diagnosed, telling
from cds.numbers import at_most
from cds.outline import STAT, URGENT, Outline, Wish
from cds.signs import REDUCED_POWER
from cds.triage import Section
from cds.wording import most_telling, summarized

TELLING = ("cauda-equina", "possible-cord-compression", "paralysis", "progressive-neurological-deficit")
LEADS = {
    "cauda-equina": "Possible cauda equina syndrome",
    "possible-cord-compression": "Possible spinal cord compression",
}
PERHAPS_STROKE = frozenset(("one-sided-deficit", "altered-consciousness"))
"""By themselves no reason for an MRI of the spine."""
EMERGENCY_SERVICES = "Consider calling the emergency services, and think of stroke."
CLOSE_IT = "If this was dealt with before, consider closing it on the problem list."
"""For a Condition, which stands until somebody does."""
WHOLE_SPINE = frozenset(("paralysis", "balance-loss", "possible-cord-compression"))


def outline(case: Case, section: Section) -> Outline:
    ids = most_telling(section.criteria, TELLING)
    return Outline(
        summary=summarized(LEADS.get(ids[0], "Possible emergency"), telling(case, ids)),
        notes=tuple(_notes(case, section.criteria)),
        urges=(EMERGENCY_SERVICES,) if not PERHAPS_STROKE.isdisjoint(section.criteria) else (),
        options=(CLOSE_IT,) if diagnosed(case, section.criteria) else (),
        wishes=tuple(wishes(case, section.criteria)),
        since=first_day(case, section.criteria),
    )


def wishes(case: Case, ids: tuple[str, ...]) -> list[Wish]:
    """The emergency department for all; an MRI of the spine unless it looks like a stroke only."""
    if PERHAPS_STROKE.issuperset(ids):
        return [Wish("emergency-department-referral", URGENT, purpose="possible stroke")]
    has_cancer = any_of(cancer_history(case), spinal_neoplasm(case)).met
    whole = has_cancer or not WHOLE_SPINE.isdisjoint(ids)
    return [Wish("emergency-department-referral", URGENT), Wish("mri-whole-spine" if whole else "mri-lumbar", STAT)]


def leg_weakness_recorded(case: Case) -> bool:
    """Leg weakness in any form: as a finding, as a reduced grade, as a foot drop."""
    return any_of(
        case.finding("leg-weakness"),
        case.newest_per_site("muscle-strength-grade", case.limits.symptom_window_days, at_most(REDUCED_POWER)),
        case.diagnosis("foot-drop-leg-paresis"),
    ).met


def _notes(case: Case, ids: tuple[str, ...]) -> list[str]:
    notes = []
    if "cauda-equina" in ids:
        if leg_weakness_recorded(case):
            notes.append("Leg weakness is recorded too; together they weigh more.")
        notes.append(
            "Worth examining now: perianal sensation, anal tone and the post-void residual. "
            "When the bladder does not empty, other causes are an enlarged prostate and medicines."
        )
    if not PERHAPS_STROKE.isdisjoint(ids):
        notes.append("A sudden one-sided deficit or a change of consciousness may be a stroke rather than the back.")
    return notes
