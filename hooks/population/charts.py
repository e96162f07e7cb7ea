"""From grouped lines to one patient's record."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from fhir_profiles.dates import BadDate, Calendar
from fhir_profiles.errors import RecordError
from fhir_profiles.record import UNREADABLE, Gathered, gather_bundle
from hooks.population.keys import BUNDLE

BAD_LINE = "bad-line"


class Line(NamedTuple):
    """A resource, or a Bundle, as JSON. kind: its resourceType."""

    kind: str
    json: bytes


class View(NamedTuple):
    """As which hook, when and from where charts are looked at. missing: types that the export does not hold.

    fhir_server: base of absolute references, "" for none.
    """

    hook: str
    at: datetime
    fhir_server: str = ""
    missing: frozenset[str] = frozenset()


class _Version(msgspec.Struct):
    lastUpdated: str | None = None


class _Patient(msgspec.Struct):
    meta: _Version | None = None


_patient = msgspec.json.Decoder(_Patient)
_anything = msgspec.json.Decoder(msgspec.Raw)


def by_chart(rows: Iterable[tuple[str, str, str]]) -> Iterator[list[Line]]:
    """Rows of (chart, kind, line), those of a chart together, as its lines in an order that is always the same."""
    for _, lines in groupby(rows, itemgetter(0)):
        yield sorted(Line(kind, line.encode()) for _, kind, line in lines)


def gather_lines(lines: Sequence[Line], view: View, zone: ZoneInfo, problems: Counter[str]) -> Gathered:
    """The record that the lines of one patient are. Lines that are no JSON are left out, and counted in `problems`.

    Raises RecordError for what is no record of one patient.
    """
    if lines[0].kind == BUNDLE:  # however often the same one came
        gathered = gather_bundle(lines[0].json, view.hook, view.at, zone)
    else:
        gathered = _gather_resources(_one_patient(lines, Calendar(view.at, zone)), view, zone, problems)
    return gathered._replace(fhir_server=view.fhir_server, missing=view.missing)


def _gather_resources(lines: Sequence[Line], view: View, zone: ZoneInfo, problems: Counter[str]) -> Gathered:
    try:
        return gather_bundle(_collection(lines), view.hook, view.at, zone)
    except RecordError:
        readable = [line for line in lines if _is_json(line.json)]
        if len(readable) == len(lines):
            raise
    problems[BAD_LINE] += len(lines) - len(readable)
    return gather_bundle(_collection(readable), view.hook, view.at, zone)


def _collection(lines: Sequence[Line]) -> bytes:
    entries = b",".join(b'{"resource":' + line.json + b"}" for line in lines)
    return b'{"resourceType":"Bundle","type":"collection","entry":[' + entries + b"]}"


def _is_json(text: bytes) -> bool:
    try:
        _anything.decode(text)
    except UNREADABLE:
        return False
    return True


def _one_patient(lines: Sequence[Line], calendar: Calendar) -> list[Line]:
    """Of several versions of the Patient the one updated last; all of them where that cannot be told."""
    patients = {line for line in lines if line.kind == "Patient"}
    if len(patients) > 1:
        updated = {line: _updated(line, calendar) for line in patients}
        newest = max(updated.values())
        patients = {line for line in patients if updated[line] == newest}
    return [*sorted(patients), *(line for line in lines if line.kind != "Patient")]


def _updated(line: Line, calendar: Calendar) -> float:
    try:
        meta = _patient.decode(line.json).meta
        return calendar.seconds(meta.lastUpdated if meta else None)
    except (BadDate, *UNREADABLE):
        return 0.0
