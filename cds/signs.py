"""Notions that several criteria share (catalogue, section 7)."""

from cds.answers import NOT_MET, Answer, any_of, only_positive
from cds.case import Case, once
from cds.numbers import at_most

FULL_POWER = 5
REDUCED_POWER = 4
"""MRC grades: 5 is full power, 4 or less a weakness."""

RADICULAR_DIAGNOSES = ("sciatica-radiculopathy", "disc-herniation-with-radiculopathy")
INSTABILITY_DIAGNOSES = ("spinal-instability", "spondylolisthesis")


@once
def radicular_pain(case: Case) -> Answer:
    """Leg pain of a nerve root, by finding or diagnosis; that it grows worse says that it is there."""
    return any_of(
        case.finding("radicular-pain"),
        case.diagnosis(*RADICULAR_DIAGNOSES),
        only_positive(case.finding("radicular-pain-worsening")),
    )


@once
def back_spasm(case: Case) -> Answer:
    """A spasm on record; silence means none."""
    return case.finding("back-spasm", silence=NOT_MET)


@once
def neurological_sign(case: Case) -> Answer:
    """Any neurological sign on record."""
    return any_of(
        case.finding("leg-weakness"),
        case.finding("limb-sensation-loss"),
        case.finding("leg-sensory-change"),
        case.finding("saddle-anesthesia"),
        case.newest_per_site("muscle-strength-grade", case.limits.symptom_window_days, at_most(REDUCED_POWER)),
        case.diagnosis("foot-drop-leg-paresis"),
        case.finding("paralysis"),
        case.finding("progressive-neurological-deficit"),
    )


@once
def new_neurological_sign(case: Case) -> Answer:
    """Any neurological sign but a sensory change, new within the emergency window."""
    window = case.limits.emergency_window_days
    return any_of(
        case.new_finding("leg-weakness", window),
        case.new_finding("limb-sensation-loss", window),
        case.new_finding("saddle-anesthesia", window),
        case.newest_per_site("muscle-strength-grade", window, at_most(REDUCED_POWER)),
        case.new_diagnosis("foot-drop-leg-paresis", within=window),
        case.new_finding("paralysis", window),
        case.new_finding("progressive-neurological-deficit", window),
    )
