"""From what one call brought to what the chart states: the reading of FHIR (catalogue, sections 2, 3, 4, 7 and 8).

A resource is asked in this order: is it this patient's, does its code mean anything to us, may it be trusted,
and only then what it says. Most resources end at the second question, which is why a large chart is read quickly.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from cds.facts import Chart, DraftOrder
from fhir_profiles import resources as fhir
from fhir_profiles.dates import Calendar
from fhir_profiles.read_answers import is_our_form, keep_valid_answers, read_response
from fhir_profiles.read_diagnoses import read_allergy, read_condition
from fhir_profiles.read_findings import names_something, read_observation
from fhir_profiles.read_orders import read_drafts, read_order
from fhir_profiles.read_patient import patient_facts, read_patient, read_visit
from fhir_profiles.read_treatments import (
    read_medication_request,
    read_medication_statement,
    read_procedure,
    read_report,
    read_study,
    refers_to_medicine,
    shows_something,
)
from fhir_profiles.reader import Reader, Whose
from fhir_profiles.record import UNTRUSTED, Gathered, Record, open_record
from fhir_profiles.terminology import Knowledge


class _Kind(NamedTuple):
    """A resource type. code: its CodeableConcept; read: what it states, once it is known to mean something.

    otherwise: whether it may mean something though its code does not.
    """

    code: Callable[[Any], fhir.Later]
    read: Callable[[Reader, Any, str | None], None]
    otherwise: Callable[[Reader, Any], bool] | None = None


def _nowhere(_: object) -> fhir.Later:
    return fhir.ABSENT


_CODE, _MEDICINE = attrgetter("code"), attrgetter("medicationCodeableConcept")
_KINDS: Mapping[type, _Kind] = {
    fhir.Condition: _Kind(_CODE, read_condition),
    fhir.Observation: _Kind(_CODE, read_observation, names_something),
    fhir.QuestionnaireResponse: _Kind(_nowhere, read_response, is_our_form),
    fhir.MedicationRequest: _Kind(_MEDICINE, read_medication_request, refers_to_medicine),
    fhir.MedicationStatement: _Kind(_MEDICINE, read_medication_statement, refers_to_medicine),
    fhir.Procedure: _Kind(_CODE, read_procedure),
    fhir.ServiceRequest: _Kind(_CODE, read_order),
    fhir.DiagnosticReport: _Kind(_CODE, read_report),
    fhir.ImagingStudy: _Kind(_nowhere, read_study, shows_something),
    fhir.AllergyIntolerance: _Kind(_CODE, read_allergy),
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
    for entry in record.patients:
        if entry.fullUrl and (entry.resource.id or "") == gathered.patient_id:
            whose.same.add(entry.fullUrl)
            if not gathered.patient_id:
                patient = patient._replace(reference=entry.fullUrl)
    reader = Reader(Calendar(at, zone), knowledge, whose, patient.birth, record.entries)
    for entry in _newest(reader, record):
        resource = entry.resource
        try:
            _KINDS[type(resource)].read(reader, resource, entry.fullUrl)
        except UNTRUSTED:
            reader.drop()
            record.skip(resource)
        else:
            reader.keep()
    keep_valid_answers(reader)
    visit = read_visit(reader, gathered, record)
    drafts = sorted(read_drafts(reader, gathered, record), key=_place)
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


def _place(draft: DraftOrder) -> tuple[str, bytes]:
    """Where a draft order stands among others, however the client sorted them."""
    return draft.evidence.reference, msgspec.json.encode(draft.resource, order="sorted")


def _newest(reader: Reader, record: Record) -> Iterable[fhir.Entry]:
    """The resources that could mean something, each once: of two versions the one updated last."""
    found: dict[object, fhir.Entry] = {}
    for entry in _ours(reader, record):
        resource = entry.resource
        key = (type(resource), resource.id or entry.fullUrl or len(found))
        try:
            other = found.get(key)
            if other is None or reader.updated(resource) > reader.updated(other.resource):
                found[key] = entry
        except UNTRUSTED:
            record.skip(resource)
    return found.values()


def _ours(reader: Reader, record: Record) -> Iterator[fhir.Entry]:
    """The resources of this patient whose codes mean something and whose meaning nothing turns round.

    All resources pass here and most end here: this loop is what a large chart costs.
    """
    whose, usual, code_in = reader.whose, reader.whose.same, reader.code
    for entry in record.entries:
        resource = entry.resource
        kind = _KINDS.get(type(resource))
        if kind is None:
            continue
        subject = resource.subject
        if subject is not None and subject.reference not in usual and not whose.is_ours(subject):
            reader.foreign += 1
            continue
        code_of, _, otherwise = kind
        try:
            if not code_in(code_of(resource)).concepts and not (otherwise and otherwise(reader, resource)):
                continue
        except UNTRUSTED:
            record.skip(resource)
            continue
        if resource.modifierExtension:
            record.skip(resource)
        else:
            yield entry
