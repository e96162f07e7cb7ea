"""What is worth knowing beside: prompt review, contributing causes, conservative care (catalogue, section 6)."""

from operator import attrgetter

from cds.answers import MET, NOT_MET, Answer, all_of, any_of, met, none_met, not_met, unknown
from cds.case import CONDITIONS, PROCEDURES, SERVICE_REQUESTS, STATED, Case, once
from cds.catalogue import Group, Source, criterion, in_group
from cds.facts import Diagnosis, Evidence, When
from cds.numbers import lowered
from cds.signs import back_spasm, radicular_pain
from cds.treatment import ordered

COMPRESSION_TREATMENTS = ("spinal-surgery", "epidural-injection", "physical-therapy", "spinal-traction")
STRUCTURAL_CAUSES = (
    "disc-herniation",
    "spinal-stenosis",
    "degenerative-spine",
    "spinal-instability",
    "spondylolysis-spondylolisthesis",
    "spinal-neoplasm",
    "metastasis-bone",
    "infection-spinal",
    "vertebral-fracture",
    "cord-compression-myelopathy",
    "cauda-equina-syndrome",
)


@criterion(
    "persistent-after-compression-treatment",
    title="Herniation or stenosis that persists after treatment",
    group=Group.PROMPT_REVIEW,
    sources=(Source.HEALTHGRADES_SPASM,),
)
def persistent_after_compression_treatment(case: Case) -> Answer:
    """Disc herniation or stenosis that was treated, and has recurred or outlasted the first treatment for weeks."""
    diagnoses = sorted(case.active("disc-herniation", "spinal-stenosis"), key=attrgetter("evidence"))
    if not diagnoses:
        return case.unless_lacking(frozenset((CONDITIONS,)), not_met("none recorded"))
    treatments = _compression_treatments(case)
    return any_of(*(_persisting(case, diagnosis, treatments) for diagnosis in diagnoses))


def _compression_treatments(case: Case) -> list[tuple[When, Evidence]]:
    done = [(t.start, t.evidence) for t in case.treatments(*COMPRESSION_TREATMENTS) if t.start is not None]
    return sorted({*done, *ordered(case, *COMPRESSION_TREATMENTS)})


def _persisting(case: Case, diagnosis: Diagnosis, treatments: list[tuple[When, Evidence]]) -> Answer:
    """The first treatment that began on or after the start of the diagnosis (any, when it is undated)."""
    since = diagnosis.start.first if diagnosis.start else 0
    after = [(when, evidence) for when, evidence in treatments if when.last >= since]
    if not after:
        return case.unless_lacking(frozenset((PROCEDURES, SERVICE_REQUESTS)), unknown("treatment not recorded"))
    when, evidence = min(after, key=lambda treatment: (treatment[0].last, treatment[1]))
    long_enough = case.started_at_least(when, case.limits.compression_persist_days)
    if diagnosis.recurring or long_enough is MET:
        return met(diagnosis.evidence, evidence)
    if long_enough is NOT_MET:
        return case.unless_lacking(
            frozenset((CONDITIONS, PROCEDURES, SERVICE_REQUESTS)),
            not_met("treated too recently to tell", evidence),
        )
    return unknown("start of treatment not exact", evidence)


@criterion(
    "persistent-spasm",
    title="Back spasm that persists",
    group=Group.PROMPT_REVIEW,
    sources=(Source.HEALTHGRADES_SPASM,),
)
def persistent_spasm(case: Case) -> Answer:
    """An active back spasm diagnosed weeks ago; one known only from a finding has no start."""
    spasms = sorted(case.active("back-spasm"), key=attrgetter("evidence"))
    if not spasms:
        spasm = back_spasm(case)
        return unknown("start of the spasm not recorded", *spasm.evidence) if spasm.met else spasm
    days = case.limits.spasm_persist_days + 1
    return any_of(*(_begun(case, spasm, days) for spasm in spasms))


def _begun(case: Case, diagnosis: Diagnosis, days: int) -> Answer:
    status = case.started_at_least(diagnosis.start, days)
    if status is NOT_MET:
        return case.unless_lacking(frozenset((CONDITIONS,)), not_met(f"less than {days} days", diagnosis.evidence))
    return met(diagnosis.evidence) if status is MET else unknown("start not exact", diagnosis.evidence)


@criterion("low-potassium", title="Low potassium", group=Group.CONTRIBUTING, sources=(Source.HEALTHGRADES_SPASM,))
def low_potassium(case: Case) -> Answer:
    """Back spasm with a lowered newest potassium, or hypokalemia diagnosed lately."""
    limits = case.limits
    return all_of(
        back_spasm(case),
        any_of(
            case.newest("potassium", limits.lab_window_days, lowered(limits.potassium_mmol_l)),
            case.diagnosis("hypokalemia", within=limits.lab_window_days),
        ),
    )


@criterion("low-calcium", title="Low calcium", group=Group.CONTRIBUTING, sources=(Source.HEALTHGRADES_SPASM,))
def low_calcium(case: Case) -> Answer:
    """Back spasm with a lowered newest total calcium, or hypocalcemia diagnosed lately."""
    limits = case.limits
    return all_of(
        back_spasm(case),
        any_of(
            case.newest("calcium-total", limits.lab_window_days, lowered(limits.calcium_mg_dl)),
            case.diagnosis("hypocalcemia", within=limits.lab_window_days),
        ),
    )


@criterion("dehydration", title="Dehydration", group=Group.CONTRIBUTING, sources=(Source.HEALTHGRADES_SPASM,))
def dehydration(case: Case) -> Answer:
    """Back spasm with dehydration diagnosed lately; none recorded is not met."""
    return all_of(back_spasm(case), case.diagnosis("dehydration", within=case.limits.lab_window_days, silence=NOT_MET))


@criterion(
    "isolated-spasm",
    title="Back spasm on its own",
    group=Group.CONSERVATIVE,
    sources=(Source.CLEVELAND_CLINIC_SURGERY,),
)
def isolated_spasm(case: Case) -> Answer:
    """Back spasm with no emergency, no strong red flag, no reason for surgery and no structural cause on record."""
    return all_of(
        back_spasm(case),
        nothing_alarming(case),
        _nothing_surgical(case),
        _nothing_structural(case),
        case.available(STATED),
    )


@once
def nothing_alarming(case: Case) -> Answer:
    """No emergency and no red flag but weak ones is met; what is unknown does not block (rule 11)."""
    emergencies = (entry.rule(case) for entry in in_group(Group.EMERGENCY))
    flags = (entry.rule(case) for entry in in_group(Group.RED_FLAG))
    return none_met(*emergencies, *(flag for flag in flags if not flag.weak))


def _nothing_surgical(case: Case) -> Answer:
    reasons = [entry for entry in in_group(Group.SURGICAL_REFERRAL) if entry.id != "failed-conservative-treatment"]
    return none_met(*(entry.rule(case) for entry in reasons))


def _nothing_structural(case: Case) -> Answer:
    return none_met(case.diagnosis(*STRUCTURAL_CAUSES), case.finding("spinal-instability"), radicular_pain(case))
