"""What one call brought, opened: Bundles become resources, and what could not be had gets a name.

Sources: catalogue section 2 rules 1 and 10; real-world.md "Data shapes"; reliability.md rows 4 to 7.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from fhir_profiles import resources as fhir
from fhir_profiles.dates import BadDate, Calendar
from fhir_profiles.errors import PatientMissing, RecordError

Source = bytes | msgspec.Raw

WHOLE_RECORD = "Bundle"  # key of a Bundle that is a complete record: nothing that it lacks is missing
_ORDER_HOOKS = frozenset({"order-select", "order-sign"})
_OPEN_VISITS = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave"})

_ABOUT_WHOM = frozenset(("Patient", "Encounter"))
_APART = frozenset({fhir.Patient, fhir.OperationOutcome})  # what is no part of the patient's chart

# A decoder meets bytes from outside: bad JSON, wrong types, bad UTF-8, nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

UNTRUSTED = (BadDate, *UNREADABLE)

_bundle = msgspec.json.Decoder(fhir.Bundle | None)
_raw_bundle = msgspec.json.Decoder(fhir.RawBundle)
_entry = msgspec.json.Decoder(fhir.Entry)
_entry_type = msgspec.json.Decoder(fhir.EntryType)
_encounter = msgspec.json.Decoder(fhir.Encounter)


class Gathered(NamedTuple):
    """Everything one call brought, still JSON.

    bundles: FHIR resource type -> the searchset Bundles of that search (an empty sequence: a complete search
    without result). Resources of any type may lie in any of them. missing: types that could not be had.
    selections: None unless the hook names the orders it is about. encounter_id, fhir_server: "" when none.
    """

    patient_id: str
    fhir_server: str
    encounter_id: str
    patient: Source | None
    bundles: Mapping[str, Sequence[Source]]
    encounter: Source | None
    drafts: Source | None
    selections: Sequence[str] | None
    missing: frozenset[str]


class Record(NamedTuple):
    """Opened Bundles. entries: those that could be read, among them the `patients`.

    unreadable: type -> how many were skipped.
    """

    entries: list[fhir.Entry]
    patients: list[fhir.Entry]
    missing: set[str]
    unreadable: Counter[str]

    def skip(self, resource: object) -> None:
        """Counts a resource that cannot be trusted."""
        self.unreadable[type(resource).__name__] += 1


def open_record(gathered: Gathered) -> Record:
    record = Record([], [], set(gathered.missing), Counter())
    for kind, bundles in gathered.bundles.items():
        for bundle in bundles:
            _open_bundle(bundle, kind, record)
    record.missing.update(_all_unreadable(record))
    record.missing.discard(WHOLE_RECORD)
    return record


def _all_unreadable(record: Record) -> Iterator[str]:
    """Types of which resources came and not one could be read, as from a server of another FHIR version: not had."""
    if record.unreadable:
        read = {type(entry.resource).__name__ for entry in record.entries}
        yield from (record.unreadable.keys() & fhir.READ_TYPES) - _ABOUT_WHOM - read


def _open_bundle(source: Source, kind: str, record: Record) -> None:
    """Adds the entries of one search. What is no Bundle (an OperationOutcome, say) means it was not available."""
    try:
        bundle: fhir.Bundle | fhir.RawBundle | None = _bundle.decode(source)
    except UNREADABLE:
        try:
            bundle = _raw_bundle.decode(source)
        except UNREADABLE:
            record.missing.add(kind)
            record.unreadable[kind] += 1
            return
    if bundle is None:
        return
    if bundle.resourceType != "Bundle" or any(link.relation == "next" for link in bundle.link or ()):
        record.missing.add(kind)
    if bundle.resourceType != "Bundle":
        return
    entries: Sequence[fhir.Entry] = bundle.entry or ()
    if isinstance(bundle, fhir.RawBundle):
        entries = _one_by_one(bundle.entry or (), kind, record)
    record.entries.extend(entries)
    for entry in [each for each in entries if type(each.resource) in _APART]:
        if type(entry.resource) is fhir.Patient:
            record.patients.append(entry)
        elif not _is_remark(entry):
            record.missing.add(kind)


def _is_remark(entry: fhir.Entry) -> bool:
    """An outcome that a server adds to a search that went well."""
    try:
        search = fhir.SEARCH.read(entry.search)
    except UNREADABLE:
        return False
    return search is not None and search.mode == "outcome"


def _one_by_one(entries: Sequence[msgspec.Raw], kind: str, record: Record) -> list[fhir.Entry]:
    """The readable entries; a type that nobody asked for is no loss, anything else is counted."""
    read = []
    for raw in entries:
        try:
            read.append(_entry.decode(raw))
        except UNREADABLE:
            name = _type_of(raw)
            if name is None or name in fhir.READ_TYPES:
                record.unreadable[name or kind] += 1
    return read


class _Type(msgspec.Struct, gc=False):
    resourceType: str | None = None


class _Typed(msgspec.Struct, gc=False):
    resource: _Type | None = None


_typed = msgspec.json.Decoder(_Typed)


def _type_of(raw: msgspec.Raw) -> str | None:
    try:
        resource = _typed.decode(raw).resource
    except UNREADABLE:
        return None
    return resource.resourceType if resource else None


def gather_bundle(source: bytes, hook: str, at: datetime, zone: ZoneInfo) -> Gathered:
    """One FHIR Bundle as the complete record of its one Patient (rule 10).

    For an order hook its draft ServiceRequests are the draft orders. Its single Encounter is the context's when
    it is open, or its period holds `at`. Raises RecordError without a Bundle or with several Patients,
    PatientMissing without a Patient.
    """
    try:
        bundle = _raw_bundle.decode(source)
    except UNREADABLE as error:
        raise RecordError("this is not a FHIR Bundle: a JSON object with resourceType and entry is expected") from error
    if bundle.resourceType != "Bundle":
        raise RecordError("resourceType is not Bundle: a FHIR Bundle with one Patient is expected")
    by_type: dict[str, list[msgspec.Raw]] = {}
    for raw in bundle.entry or ():
        by_type.setdefault(_type_of(raw) or "", []).append(raw)
    patients = by_type.get("Patient", ())
    if not patients:
        raise PatientMissing("the Bundle holds no Patient: exactly one is expected")
    if len(patients) > 1:
        raise RecordError(f"the Bundle holds {len(patients)} Patients: exactly one is expected")
    patient = _resource.decode(patients[0]).resource
    drafts = [raw for raw in by_type.get("ServiceRequest", ()) if _status_of(raw) == "draft"]
    return Gathered(
        patient_id=_entry_type.decode(patients[0]).resource.id or "",
        fhir_server="",
        encounter_id="",
        patient=patient,
        bundles={WHOLE_RECORD: [source]},
        encounter=_visit(by_type.get("Encounter", ()), Calendar(at, zone)),
        drafts=_collection(drafts) if hook in _ORDER_HOOKS else None,
        selections=None,
        missing=frozenset(),
    )


class _EntryResource(msgspec.Struct, gc=False):
    resource: msgspec.Raw


class _Status(msgspec.Struct, gc=False):
    status: str | None = None


class _EntryStatus(msgspec.Struct, gc=False):
    resource: _Status


_resource = msgspec.json.Decoder(_EntryResource)
_entry_status = msgspec.json.Decoder(_EntryStatus)


def _status_of(raw: msgspec.Raw) -> str | None:
    try:
        return _entry_status.decode(raw).resource.status
    except UNREADABLE:
        return None


def _collection(entries: Sequence[msgspec.Raw]) -> bytes:
    return b'{"resourceType":"Bundle","type":"collection","entry":[' + b",".join(map(bytes, entries)) + b"]}"


def _visit(encounters: Sequence[msgspec.Raw], calendar: Calendar) -> msgspec.Raw | None:
    """The single Encounter when it is going on."""
    if len(encounters) != 1:
        return None
    raw = _resource.decode(encounters[0]).resource
    try:
        encounter = _encounter.decode(raw)
        return raw if encounter.status in _OPEN_VISITS or _holds(encounter.period, calendar) else None
    except UNTRUSTED:
        return None  # counted as unreadable with the rest of the record


def _holds(period: fhir.Period | None, calendar: Calendar) -> bool:
    if period is None or not (period.start or period.end):
        return False
    start, end = calendar.read(period.start), calendar.read(period.end)
    return (start is None or start.earliest <= calendar.at) and (end is None or end.latest >= calendar.at)
