"""Medicines, procedures and reports (catalogue, section 2 rules 2 and 4; sections 7 and 8)."""

from collections.abc import Iterable

from cds.concepts import MEDICINES
from cds.facts import Medicine, Report, Treatment
from fhir_profiles import resources as fhir
from fhir_profiles.codes import ENTERED_IN_ERROR
from fhir_profiles.dates import Dated
from fhir_profiles.read_codes import Code
from fhir_profiles.read_findings import DONE
from fhir_profiles.reader import ONLY_IDEAS, Reader, evidence, newer, when_of

_MEDICINES = frozenset(MEDICINES)
_COUNTED = frozenset({"active", "completed", "stopped", "on-hold"})
_NO_REQUEST = frozenset({ENTERED_IN_ERROR, "draft", "cancelled"})
_NO_STATEMENT = frozenset({ENTERED_IN_ERROR, "not-taken", "intended", "unknown"})
_NO_PROCEDURE = frozenset({ENTERED_IN_ERROR, "preparation", "not-done", "unknown"})
_NO_REPORT = frozenset({ENTERED_IN_ERROR, "cancelled"})


def read_medication_request(reader: Reader, request: fhir.MedicationRequest, full_url: str | None) -> None:
    code = medicine_code(reader, request)
    concepts = code.concepts & _MEDICINES
    if not concepts or request.status in _NO_REQUEST or request.intent in ONLY_IDEAS or request.doNotPerform:
        return
    start = reader.calendar.read(request.authoredOn)
    _add_medicine(reader, request, full_url, concepts, code, fhir.DOSES.read(request.dosageInstruction), start, start)


def read_medication_statement(reader: Reader, taken: fhir.MedicationStatement, full_url: str | None) -> None:
    code = medicine_code(reader, taken)
    concepts = code.concepts & _MEDICINES
    if not concepts or taken.status in _NO_STATEMENT:
        return
    begin, end = reader.period(taken.effectivePeriod)
    asserted = reader.calendar.read(taken.dateAsserted)
    start = reader.calendar.read(taken.effectiveDateTime) or begin or asserted
    newest = newer(end or start, asserted)
    _add_medicine(reader, taken, full_url, concepts, code, fhir.DOSES.read(taken.dosage), start, newest)


def read_procedure(reader: Reader, procedure: fhir.Procedure, full_url: str | None) -> None:
    code = reader.code(procedure.code)
    concepts = code.concepts
    if not concepts or procedure.status in _NO_PROCEDURE:
        return
    instant = reader.calendar.read(procedure.performedDateTime) or reader.at_age(procedure.performedAge)
    start, end = (instant, instant) if instant else reader.period(procedure.performedPeriod)
    if reader.calendar.is_future(start):
        return
    for concept in concepts:
        label = reader.display(code, concept)
        fact = evidence(procedure, full_url, label, start, "on" if instant else "since", end)
        treatment = Treatment(
            completed=procedure.status == "completed",
            counted=procedure.status in ("completed", "in-progress"),
            start=when_of(start),
            end=when_of(end),
            evidence=fact,
        )
        reader.note(reader.treatments, concept, treatment)


def read_report(reader: Reader, report: fhir.DiagnosticReport, full_url: str | None) -> None:
    code = reader.code(report.code)
    if not code.concepts or report.status in _NO_REPORT:
        return
    _, end = reader.period(report.effectivePeriod)
    when = reader.calendar.read(report.effectiveDateTime) or end or reader.calendar.read(report.issued)
    _add_report(reader, report, full_url, code, report.status in DONE, when)


def read_study(reader: Reader, study: fhir.ImagingStudy, full_url: str | None) -> None:
    for code in reader.codes(study.procedureCode):
        if code.concepts and study.status not in _NO_REPORT:
            started = reader.calendar.read(study.started)
            _add_report(reader, study, full_url, code, study.status == "available", started)


def refers_to_medicine(reader: Reader, medicine: fhir.MedicationRequest | fhir.MedicationStatement) -> bool:
    return medicine.medicationReference is not None and bool(medicine_code(reader, medicine).concepts)


def shows_something(reader: Reader, study: fhir.ImagingStudy) -> bool:
    return any(code.concepts for code in reader.codes(study.procedureCode))


def medicine_code(reader: Reader, medicine: fhir.MedicationRequest | fhir.MedicationStatement) -> Code:
    coded = medicine.medicationCodeableConcept
    if medicine.medicationReference is None or fhir.is_given(coded):
        return reader.code(coded)
    return reader.referenced_code(medicine.medicationReference, medicine.contained)


def _add_medicine(
    reader: Reader,
    resource: fhir.MedicationRequest | fhir.MedicationStatement,
    full_url: str | None,
    concepts: frozenset[str],
    code: Code,
    doses: Iterable[fhir.Dosage] | None,
    start: Dated | None,
    newest: Dated | None,
) -> None:
    if reader.calendar.is_future(start):
        return
    systemic = _is_systemic(reader, doses)
    for concept in concepts:
        label = reader.display(code, concept)
        fact = evidence(resource, full_url, label, start, "since", newest, concept)
        active, counted = resource.status == "active", resource.status in _COUNTED
        reader.note(reader.medicines, concept, Medicine(active, counted, systemic, when_of(start), fact))


def _is_systemic(reader: Reader, doses: Iterable[fhir.Dosage] | None) -> bool:
    """Unless every stated route is one that stays where it is applied."""
    routes = [dose.route for dose in doses or () if fhir.is_given(dose.route)]
    return not routes or any("non-systemic-routes" not in reader.code(route).concepts for route in routes)


def _add_report(
    reader: Reader,
    resource: fhir.DiagnosticReport | fhir.ImagingStudy,
    full_url: str | None,
    code: Code,
    done: bool,
    when: Dated | None,
) -> None:
    if reader.calendar.is_future(when):
        return
    for concept in code.concepts:
        fact = evidence(resource, full_url, reader.display(code, concept), when)
        reader.note(reader.reports, concept, Report(done, when_of(when), fact))
