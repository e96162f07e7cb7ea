"""Conditions and allergies (catalogue, section 2 rules 3 and 4)."""

from cds.concepts import BOOLEAN_FINDINGS
from cds.facts import Diagnosis, Statement
from fhir_profiles import resources as fhir
from fhir_profiles.codes import (
    CLINICAL_ACTIVE,
    CLINICAL_RETURNED,
    CONDITION_CLINICAL,
    CONDITION_VERIFICATION,
    ENTERED_IN_ERROR,
    REFUTED,
    SEVERITY,
    VERIFICATION_TENTATIVE,
)
from fhir_profiles.dates import Dated
from fhir_profiles.read_codes import Code, status_code
from fhir_profiles.reader import Reader, evidence, newer

_FINDINGS = frozenset(BOOLEAN_FINDINGS)
_GONE = frozenset({"inactive", "resolved"})
# An allergy to a medicine of the group is coded as that medicine as often as by the allergy.
_NSAID_ALLERGY = frozenset({"nsaid-allergy", "nsaid"})


def read_condition(reader: Reader, condition: fhir.Condition, full_url: str | None) -> None:
    """A diagnosis for each concept of its code; a refuted one is a recorded negative instead."""
    code = reader.code(condition.code)
    concepts = code.concepts
    if not concepts:
        return
    verification = status_code(reader.code(condition.verificationStatus), CONDITION_VERIFICATION)
    if verification == ENTERED_IN_ERROR:
        return
    recorded = reader.calendar.read(condition.recordedDate)
    onset = _onset(reader, condition)
    clinical = status_code(reader.code(condition.clinicalStatus), CONDITION_CLINICAL)
    abated = _has_abated(reader, condition)
    if reader.calendar.is_future(onset or recorded):
        return
    if verification == REFUTED:
        _refute(reader, condition, full_url, code, recorded or onset)
        return
    start = onset or recorded
    label = reader.display(code, min(concepts))
    if verification in VERIFICATION_TENTATIVE:
        label = f"{label[:180]} ({verification})"
    relation = "since" if onset else "recorded"
    diagnosis = Diagnosis(
        concepts=concepts,
        active=clinical in CLINICAL_ACTIVE if clinical else not abated,  # the status wins (rule 3)
        start=start.when if start else None,
        start_recorded=onset is not None,
        recorded=recorded.when if recorded else None,
        severity=_severity(reader.code(condition.severity)),
        recurring=clinical in CLINICAL_RETURNED,
        evidence=evidence(condition, full_url, label, start, relation, newer(start, recorded)),
    )
    for concept in concepts:
        reader.note(reader.diagnoses, concept, diagnosis)


def read_allergy(reader: Reader, allergy: fhir.AllergyIntolerance, full_url: str | None) -> None:
    code = reader.code(allergy.code)
    verification = status_code(reader.code(allergy.verificationStatus))
    if code.concepts.isdisjoint(_NSAID_ALLERGY) or verification in (ENTERED_IN_ERROR, REFUTED):
        return
    if status_code(reader.code(allergy.clinicalStatus)) in _GONE:
        return
    onset, recorded = reader.calendar.read(allergy.onsetDateTime), reader.calendar.read(allergy.recordedDate)
    start = onset or recorded
    if reader.calendar.is_future(start):
        return
    label, relation = reader.display(code, "nsaid-allergy"), "since" if onset else "recorded"
    fact = evidence(allergy, full_url, label, start, relation, newer(start, recorded))
    reader.note(reader.allergies, "nsaid-allergy", fact)


def _refute(
    reader: Reader,
    condition: fhir.Condition,
    full_url: str | None,
    code: Code,
    said: Dated | None,
) -> None:
    when = said.when if said else None
    for finding in code.concepts & _FINDINGS:
        label = f"{reader.display(code, finding)[:180]} ({REFUTED})"
        fact = evidence(condition, full_url, label, said)
        reader.note(reader.statements, finding, Statement(False, when, when, False, False, fact))


def _onset(reader: Reader, condition: fhir.Condition) -> Dated | None:
    """None when it is not recorded as a date: an onset in words or as a range of ages does not say when."""
    period = condition.onsetPeriod
    return (
        reader.calendar.read(condition.onsetDateTime)
        or reader.calendar.read(period.start if period else None)
        or reader.at_age(condition.onsetAge)
    )


def _has_abated(reader: Reader, condition: fhir.Condition) -> bool:
    """By any abatement but a future one."""
    period, calendar = condition.abatementPeriod, reader.calendar
    dated = (
        calendar.read(condition.abatementDateTime)
        or (calendar.read(period.end) or calendar.read(period.start) if period else None)
        or reader.at_age(condition.abatementAge)
    )
    if dated is not None:
        return dated.earliest <= calendar.at
    stated = condition.abatementAge, condition.abatementPeriod, condition.abatementRange, condition.abatementString
    return any(value is not None for value in stated)


def _severity(severity: Code) -> str:
    return next((SEVERITY[key] for each in severity.coding if (key := (each.system, each.code)) in SEVERITY), "")
