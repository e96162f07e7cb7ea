"""The patient and the visit that a call is about (catalogue, section 2 rules 1 and 10; section 3)."""

import msgspec

from cds.facts import Patient, Visit
from fhir_profiles import resources as fhir
from fhir_profiles.codes import ENTERED_IN_ERROR
from fhir_profiles.dates import BadDate, Dated, birth_interval
from fhir_profiles.errors import PatientMissing, PatientReplaced, RecordError
from fhir_profiles.read_codes import NO_CODE, NOTHING
from fhir_profiles.read_orders import BACK_CONCEPTS
from fhir_profiles.reader import Reader, evidence
from fhir_profiles.record import UNREADABLE, UNTRUSTED, Gathered, Record, Source

_patient = msgspec.json.Decoder(fhir.Patient)
_barely = msgspec.json.Decoder(fhir.TypeOnly)
_encounter = msgspec.json.Decoder(fhir.Encounter | fhir.OperationOutcome | None)

_NO_VISIT = frozenset({ENTERED_IN_ERROR, "cancelled"})


def read_patient(gathered: Gathered, record: Record) -> fhir.Patient:
    """The context's Patient; one with an element that cannot be read still says who it is.

    Raises PatientMissing, PatientReplaced, or RecordError when it is somebody else.
    """
    source = gathered.patient
    if source is None or bytes(source) == b"null":
        raise PatientMissing("no Patient was given and none could be read")
    try:
        person = _patient.decode(source)
    except UNREADABLE:
        person = _barely_read(source)
        record.skip(person)
    if (person.id or "") != gathered.patient_id:
        raise RecordError("Patient.id is not context.patientId; send the Patient that the call is about")
    if any(link.type == "replaced-by" for link in person.link or ()):
        raise PatientReplaced("Patient.link says replaced-by; ask about the Patient that replaces this one")
    if person.modifierExtension:
        record.skip(person)
        return fhir.Patient(id=person.id)
    return person


def patient_facts(person: fhir.Patient, patient_id: str, record: Record) -> Patient:
    try:
        birth = birth_interval(person.birthDate)
    except BadDate:
        birth = None
        record.skip(person)
    return Patient(
        reference=f"Patient/{patient_id}" if patient_id else "Patient",
        birth=birth,
        sex=person.gender if person.gender in ("male", "female") else "",
        deceased=bool(person.deceasedBoolean or person.deceasedDateTime),
    )


def read_visit(reader: Reader, gathered: Gathered, record: Record) -> Visit | None:
    """The context's Encounter, unless it is cancelled, from the future, or not the one of this call."""
    if gathered.encounter is None:
        return None
    try:
        encounter = _encounter.decode(gathered.encounter)
    except UNREADABLE:
        record.skip(fhir.Encounter())
        return None
    if isinstance(encounter, fhir.OperationOutcome):
        record.missing.add("Encounter")
        return None
    if encounter is None or not _is_the_visit(reader, encounter, gathered.encounter_id):
        return None
    try:
        start, end = reader.period(encounter.period)
        visit = _visit(reader, encounter, start, end)
    except UNTRUSTED:
        record.skip(encounter)
        return None
    if encounter.modifierExtension:
        record.skip(encounter)
        return None
    return visit if not reader.calendar.is_future(start) else None


def _visit(reader: Reader, encounter: fhir.Encounter, start: Dated | None, end: Dated | None) -> Visit:
    """Its reasons; the evidence shows the one that concerns the back, if any does."""
    referenced = [reader.referenced_code(each, encounter.contained) for each in encounter.reasonReference or ()]
    reasons = [code for code in (*reader.codes(encounter.reasonCode), *referenced) if code.concepts]
    concepts = NOTHING.union(*(code.concepts for code in reasons))
    shown = min(reasons, key=lambda code: BACK_CONCEPTS.isdisjoint(code.concepts), default=NO_CODE)
    label = reader.display(shown, min(shown.concepts)) if reasons else "Encounter"
    return Visit(concepts, evidence(encounter, None, label, start, latest=end))


def _is_the_visit(reader: Reader, encounter: fhir.Encounter, encounter_id: str) -> bool:
    if not reader.whose.is_ours(encounter.subject):
        reader.foreign += 1
        return False
    named_otherwise = encounter_id and encounter.id and encounter.id != encounter_id
    return not named_otherwise and encounter.status not in _NO_VISIT


def _barely_read(source: Source) -> fhir.Patient:
    try:
        known = _barely.decode(source)
    except UNREADABLE:
        known = fhir.TypeOnly()
    if known.resourceType != "Patient":
        raise PatientMissing("what was given as the Patient is not a Patient resource")
    return fhir.Patient(id=known.id)
