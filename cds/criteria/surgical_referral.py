"""Reasons to think of a spine surgeon (catalogue, section 6)."""

from cds.answers import (
    NOT_MET,
    Answer,
    all_of,
    any_of,
    either,
    met,
    negated,
    none_met,
    not_met,
    only_positive,
    or_unknown,
    settled,
    silent,
)
from cds.case import OBSERVATIONS, RESPONSES, Case
from cds.catalogue import Group, Source, criterion
from cds.criteria.red_flag import persisting, radicular_severity
from cds.numbers import at_least, at_most, below, newest
from cds.signs import FULL_POWER, INSTABILITY_DIAGNOSES, REDUCED_POWER, back_spasm, neurological_sign, radicular_pain

COBB_YEARS = 5
"""How far back Cobb angles are compared."""


@criterion(
    "failed-conservative-treatment",
    title="Conservative treatment has not helped",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.DECOMPRESSION_OVERVIEW, Source.LASER_SPINE_RELIEF),
)
def failed_conservative_treatment(case: Case) -> Answer:
    """Onset and conservative treatment both months ago, and no significant relief."""
    return persisting(case, case.limits.conservative_min_days, case.limits.conservative_min_days)


@criterion(
    "significant-radicular-pain",
    title="Moderate to severe radicular pain",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.DECOMPRESSION_OVERVIEW, Source.CLEVELAND_CLINIC_SURGERY),
)
def significant_radicular_pain(case: Case) -> Answer:
    """Radicular pain, and a newest score or a severity that is at least moderate."""
    limits = case.limits
    return all_of(
        radicular_pain(case),
        any_of(
            case.newest("pain-score", limits.symptom_window_days, at_least(limits.pain_moderate)),
            radicular_severity(case, "moderate", "severe"),
        ),
    )


@criterion(
    "nerve-root-damage",
    title="Signs of nerve root damage",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.DECOMPRESSION_OVERVIEW,),
)
def nerve_root_damage(case: Case) -> Answer:
    """Reduced strength of a leg muscle, foot drop, or radicular pain with weakness or loss of feeling.

    Full strength throughout, or both weakness and sensory change denied, with nothing positive, is not met.
    """
    window = case.limits.symptom_window_days
    weak = case.newest_per_site("muscle-strength-grade", window, at_most(REDUCED_POWER))
    below_full = case.newest_per_site("muscle-strength-grade", window, below(FULL_POWER))
    weakness, sensory = case.finding("leg-weakness"), case.finding("leg-sensory-change")
    numb = case.finding("limb-sensation-loss")
    positive = any_of(
        only_positive(weak),
        case.diagnosis("foot-drop-leg-paresis"),
        only_positive(all_of(radicular_pain(case), any_of(weakness, sensory, numb))),
    )
    nothing_positive = none_met(weakness, sensory, numb)
    return settled(
        positive,
        all_of(negated(below_full), nothing_positive),
        all_of(negated(weakness), negated(sensory), nothing_positive),
    )


@criterion(
    "neurogenic-claudication",
    title="Walking cut short by leg or back symptoms",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.DECOMPRESSION_OVERVIEW,),
)
def neurogenic_claudication(case: Case) -> Answer:
    """Stenosis diagnosed with claudication, or a short walking distance beside stenosis or radicular pain.

    A short distance without them may come from vessels, heart, lungs or joints, and stays unknown.
    """
    limits = case.limits
    return any_of(
        case.diagnosis("neurogenic-claudication"),
        all_of(
            case.newest("walking-distance", limits.symptom_window_days, at_most(limits.claudication_limit_m)),
            or_unknown(
                any_of(case.diagnosis("spinal-stenosis"), radicular_pain(case)),
                "no stenosis or radicular pain on record",
            ),
        ),
    )


@criterion(
    "progressive-scoliosis",
    title="Progressive scoliosis",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.DECOMPRESSION_OVERVIEW,),
)
def progressive_scoliosis(case: Case) -> Answer:
    """Scoliosis whose Cobb angle has risen within five years, or which is said to progress."""
    return all_of(
        case.diagnosis("scoliosis", silence=NOT_MET),
        either(case.finding("scoliosis-progression"), _cobb_risen(case)),
    )


def _cobb_risen(case: Case) -> Answer:
    """Newest Cobb angle against the earliest of the span; fewer than two are silent."""
    needed = frozenset((OBSERVATIONS, RESPONSES))
    angles = [
        m
        for m in case.measured("cobb-angle", case.days_of_years(COBB_YEARS))
        if m.when and m.value is not None and not m.comparator
    ]
    latest = newest(angles)
    earlier = [m for m in angles if m.order < latest[0].order] if latest else []
    if not earlier:
        return case.unless_lacking(needed, silent("Cobb angle not measured twice"))
    first = min(earlier, key=lambda m: (m.order, m.value, m.evidence))
    now = max(latest, key=lambda m: (m.value, m.evidence))
    if now.value - first.value >= case.limits.cobb_progress_degrees:
        return met(first.evidence, now.evidence)
    return case.unless_lacking(needed, not_met("Cobb angle has not risen", first.evidence, now.evidence))


@criterion(
    "neural-compression",
    title="Compression of nerve or cord",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.CLEVELAND_CLINIC_SURGERY,),
)
def neural_compression(case: Case) -> Answer:
    """Cord compression, or disc herniation or stenosis with radicular pain, a neurological sign or claudication."""
    return any_of(
        cord_compression(case),
        all_of(
            case.diagnosis("disc-herniation", "spinal-stenosis", silence=NOT_MET),
            any_of(radicular_pain(case), neurological_sign(case), neurogenic_claudication(case)),
        ),
    )


def cord_compression(case: Case) -> Answer:
    """Active cord compression or myelopathy, whatever its start."""
    return case.diagnosis("cord-compression-myelopathy", silence=NOT_MET)


@criterion(
    "mechanical-instability",
    title="Mechanical pain with instability",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.CLEVELAND_CLINIC_SURGERY,),
)
def mechanical_instability(case: Case) -> Answer:
    """Pain that activity worsens and rest relieves, with instability or spondylolisthesis on record."""
    return all_of(
        case.finding("pain-worse-with-activity"),
        case.finding("pain-relieved-by-rest"),
        or_unknown(
            any_of(case.finding("spinal-instability"), case.diagnosis(*INSTABILITY_DIAGNOSES)),
            "instability not known",
        ),
    )


@criterion(
    "degenerative-cause",
    title="Spasm with a degenerative cause that treatment has not helped",
    group=Group.SURGICAL_REFERRAL,
    sources=(Source.LASER_SPINE_RELIEF,),
)
def degenerative_cause(case: Case) -> Answer:
    """Back spasm with disc herniation or spinal degeneration, after conservative treatment has failed."""
    return all_of(
        back_spasm(case),
        case.diagnosis("disc-herniation", "degenerative-spine", silence=NOT_MET),
        failed_conservative_treatment(case),
    )
