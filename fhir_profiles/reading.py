"""From what one call brought to what the chart states: the reading of FHIR (catalogue, sections 2, 3, 4, 7 and 8).

A resource is asked in this order: is it this patient's, does its code mean anything to us, may it be trusted,
and only then what it says. Most resources end at the second question, which is why a large chart is read quickly.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cds.facts import Chart
from fhir_profiles import resources as fhir
from fhir_profiles.dates import Calendar
from fhir_profiles.read_answers import is_our_form, keep_valid_answers, read_response
from fhir_profiles.read_diagnoses import read_allergy, read_condition
from fhir_profiles.read_findings import is_about_something, read_observation
from fhir_profiles.read_patient import patient_facts, read_patient, read_visit
from fhir_profiles.read_orders import read_drafts, read_order
from fhir_profiles.read_treatments import (
    medicine_code,
    read_medication_request,
    read_medication_statement,
    read_procedure,
    read_report,
    read_study,
)
from fhir_profiles.reader import Reader, Whose
from fhir_profiles.record import UNTRUSTED, Gathered, Record, open_record
from fhir_profiles.terminology import Knowledge

Means = Callable[[Reader, Any], object]
Read = Callable[[Reader, Any, str | None], None]


def _code(reader: Reader, resource: Any) -> object:
    return reader.concepts(resource.code)


def _medicine(reader: Reader, resource: Any) -> object:
    return reader.concepts(medicine_code(reader, resource))


def _procedure(reader: Reader, study: fhir.ImagingStudy) -> object:
    return reader.concepts_of(study.procedureCode)


_KINDS: Mapping[type, tuple[Means, Read]] = {
    fhir.Condition: (_code, read_condition),
    fhir.Observation: (is_about_something, read_observation),
    fhir.QuestionnaireResponse: (is_our_form, read_response),
    fhir.MedicationRequest: (_medicine, read_medication_request),
    fhir.MedicationStatement: (_medicine, read_medication_statement),
    fhir.Procedure: (_code, read_procedure),
    fhir.ServiceRequest: (_code, read_order),
    fhir.DiagnosticReport: (_code, read_report),
    fhir.ImagingStudy: (_procedure, read_study),
    fhir.AllergyIntolerance: (_code, read_allergy),
}


def read_chart(gathered: Gathered, at: datetime, zone: ZoneInfo, knowledge: Knowledge) -> Chart:
    """Everything that the record states, as seen at `at` in the site's time zone.

    A resource that cannot be read is counted, never fatal. Raises PatientMissing without a Patient,
    RecordError for another patient's, PatientReplaced for one merged into another (catalogue, section 2).
    """
    record = open_record(gathered)
    person = read_patient(gathered, record)
    patient = patient_facts(person, gathered.patient_id, record)
    whose = Whose(gathered.patient_id, gathered.fhir_server, person.identifier or ())
    for entry, full_url in record.entries:
        if type(entry) is fhir.Patient and full_url and (entry.id or "") == gathered.patient_id:
            whose.same.add(full_url)
    reader = Reader(Calendar(at, zone), knowledge, whose, patient.birth, record.entries)
    for resource, full_url in _newest(reader, record):
        try:
            _KINDS[type(resource)][1](reader, resource, full_url)
        except UNTRUSTED:
            reader.drop()
            record.skip(resource)
        else:
            reader.keep()
    keep_valid_answers(reader)
    visit = read_visit(reader, gathered, record)
    drafts = list(read_drafts(reader, gathered, record))
    return Chart(
        patient=patient,
        diagnoses=reader.diagnoses,
        statements=reader.statements,
        measurements=reader.measurements,
        medicines=reader.medicines,
        treatments=reader.treatments,
        orders=reader.orders,
        reports=reader.reports,
        allergies=reader.allergies,
        forms=reader.forms,
        visit=visit,
        drafts=drafts,
        missing=frozenset(record.missing),
        unreadable=dict(record.unreadable),
        foreign=reader.foreign,
    )


def _newest(reader: Reader, record: Record) -> Iterable[tuple[Any, str | None]]:
    """The resources that could mean something, each once: of two versions the one updated last."""
    found: dict[object, tuple[Any, str | None]] = {}
    for resource, full_url in _ours(reader, record):
        key = (type(resource), resource.id or full_url or len(found))
        try:
            other = found.get(key)
            if other is None or reader.updated(resource) > reader.updated(other[0]):
                found[key] = resource, full_url
        except UNTRUSTED:
            record.skip(resource)
    return found.values()


def _ours(reader: Reader, record: Record) -> Iterator[tuple[Any, str | None]]:
    """The resources of this patient whose codes mean something and whose meaning nothing turns round."""
    whose, usual = reader.whose, reader.whose.same
    for resource, full_url in record.entries:
        kind = _KINDS.get(type(resource))
        if kind is None:
            continue
        subject = resource.patient if type(resource) is fhir.AllergyIntolerance else resource.subject
        if subject is not None and subject.reference not in usual and not whose.is_ours(subject):
            reader.foreign += 1
            continue
        try:
            if not kind[0](reader, resource):
                continue
        except UNTRUSTED:
            record.skip(resource)
            continue
        if resource.modifierExtension:
            record.skip(resource)
        else:
            yield resource, full_url
