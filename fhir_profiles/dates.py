"""FHIR dates as intervals of days in the site's time zone (catalogue, section 2 rules 4 and 5)."""

import re
from calendar import monthrange
from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from cds.facts import When

_DAY = 86400.0
_REMEMBERED = 10_000  # dates of one chart that are kept at hand
_EPOCH = date(1970, 1, 1).toordinal()
_EPOCH_START = datetime.fromordinal(_EPOCH)
_FIRST, _LAST = date.min.toordinal(), date.max.toordinal()
FUTURE_LEEWAY = _DAY  # rule 2: what is dated more than 24 hours after the evaluation instant is left out

_FHIR_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]|60)(?P<fraction>\.[0-9]+)?)?"
    r"(?P<zone>Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?)?)?)?"
)
_FRACTION_AND_ZONE = re.compile(r"(\.[0-9]+)(.+)")
# Each zone that the grammar allows, in seconds east of Greenwich.
_OFFSETS = {"Z": 0, "+14:00": 50400, "-14:00": -50400} | {
    f"{sign}{hours:02}:{minutes:02}": way * (hours * 3600 + minutes * 60)
    for sign, way in (("+", 1), ("-", -1))
    for hours in range(14)
    for minutes in range(60)
}

# An age is whole units, so what began "at 45 a" began within the year after that birthday.
_AGE_MONTHS = {"a": 12, "year": 12, "years": 12, "mo": 1, "month": 1, "months": 1}
_AGE_DAYS = {"wk": 7, "week": 7, "weeks": 7, "d": 1, "day": 1, "days": 1, "h": 1 / 24, "min": 1 / 1440}
_OLDEST = 200 * 12


class BadDate(ValueError):
    """A date that is not one: its resource cannot be trusted and is skipped."""


class Dated(Struct, frozen=True, order=True, gc=False):
    """What a recorded date can mean. earliest, latest: instants (POSIX seconds), not cut off as `when` is."""

    earliest: float
    latest: float
    when: When


class Calendar:
    """Reads the dates of one chart as seen at one instant from one time zone; remembers what it has read."""

    def __init__(self, at: datetime, zone: ZoneInfo) -> None:
        self.zone = zone
        self.at = at.timestamp()
        self.today = self._day_of(self.at).toordinal()
        self._read: dict[str, Dated] = {}

    def read(self, text: str | None) -> Dated | None:
        """The date, cut off at the evaluation instant; None when absent. Raises BadDate."""
        if not text:
            return None
        dated = self._read.get(text)
        if dated is None:
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            dated = self._read[text] = self._parsed(text)
        return dated

    def when(self, text: str | None) -> When | None:
        dated = self.read(text)
        return dated.when if dated else None

    def seconds(self, text: str | None) -> float:
        """The latest possible instant in POSIX seconds, 0 when absent. Raises BadDate."""
        if not text:
            return 0.0
        known = self._read.get(text)
        if known is not None:
            return known.latest
        usual = _usual_instant(text)
        return usual[0] if usual is not None else self._parsed(text).latest

    def now(self, text: str) -> Dated:
        """The evaluation instant itself: where an open-ended period has got to."""
        return Dated(self.at, self.at, When(self.today, self.today, self.at, text))

    def is_future(self, dated: Dated | None) -> bool:
        """Dated more than 24 hours after the evaluation instant, whatever the precision (rule 2)."""
        return dated is not None and dated.earliest > self.at + FUTURE_LEEWAY

    def at_age(self, birth: When | None, value: float | None, unit: str | None) -> Dated | None:
        """The days on which a person born then was that old; None when it cannot be told."""
        if birth is None or value is None or value < 0 or unit is None:
            return None
        if unit in _AGE_MONTHS:
            months = int(min(value * _AGE_MONTHS[unit], _OLDEST))
            first = _add_months(birth.first, months)
            last = _add_months(birth.last, months + _AGE_MONTHS[unit]) - 1
        elif unit in _AGE_DAYS:
            days = min(value * _AGE_DAYS[unit], _OLDEST * 31)
            first = birth.first + int(days)
            last = birth.last + int(days + max(_AGE_DAYS[unit], 1)) - 1
        else:
            return None
        first, last = min(first, _LAST - 1), min(last, _LAST - 1)
        text = _years(min(first, self.today), min(last, self.today))
        return self._dated(self._midnight(first), self._midnight(last + 1) - 1, first, last, text)

    def _day_of(self, seconds: float) -> date:
        """The calendar day of an instant at the site."""
        try:
            return datetime.fromtimestamp(seconds, self.zone)
        except (OverflowError, ValueError):  # beyond the years 1 to 9999 once moved into the zone
            return date.fromordinal(max(_FIRST, min(_LAST, int(seconds // _DAY) + _EPOCH)))

    def _parsed(self, text: str) -> Dated:
        usual = _usual_instant(text)
        if usual is not None:
            seconds, recorded = usual
            offset = _offset_on(seconds // _DAY, self.zone)
            day = int((seconds + offset) // _DAY) + _EPOCH if offset is not None else self._day_of(seconds).toordinal()
            shown = text[:10] if day == recorded else date.fromordinal(day).isoformat()
            return self._dated(seconds, seconds, day, day, shown)
        match = _FHIR_DATE.fullmatch(text)
        if match is None:
            raise BadDate
        if match.lastgroup == "zone":
            return self._exactly(_instant(match))
        first, last = _days(match["year"], match["month"], match["day"])
        if match["hour"] is not None:
            return self._exactly(self._local(first, match))
        latest = self._midnight(last) + _DAY - 1 if last == _LAST else self._midnight(last + 1) - 1
        return self._dated(self._midnight(first), latest, first, last, text)

    def _exactly(self, seconds: float) -> Dated:
        day = self._day_of(seconds)
        return self._dated(seconds, seconds, day.toordinal(), day.toordinal(), date.isoformat(day))

    def _dated(self, earliest: float, latest: float, first: int, last: int, text: str) -> Dated:
        if latest <= self.at:
            return Dated(earliest, latest, When(first, last, latest, text))
        return Dated(earliest, latest, When(min(first, self.today), min(last, self.today), self.at, text))

    def _local(self, day: int, match: re.Match[str]) -> float:
        """A date-time without a zone is in the site's (rule 5)."""
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
        local = (day - _EPOCH) * _DAY + hour * 3600 + minute * 60 + second + float(match["fraction"] or 0)
        return local - self._offset(datetime.combine(date.fromordinal(day), time(hour, minute)))

    def _midnight(self, day: int) -> float:
        start = datetime.combine(date.fromordinal(day), datetime.min.time())
        return (day - _EPOCH) * _DAY - self._offset(start)

    def _offset(self, naive: datetime) -> float:
        offset = self.zone.utcoffset(naive)
        return offset.total_seconds() if offset is not None else 0.0


@lru_cache(maxsize=20_000)
def _offset_on(day: float, zone: ZoneInfo) -> float | None:
    """Seconds east of Greenwich during a day of UTC (counted from 1970); None on one that changes the clocks."""
    try:
        begin, end = (datetime.fromtimestamp(each * _DAY, zone).utcoffset() for each in (day, day + 1))
    except (OverflowError, ValueError):  # at the ends of the calendar
        return None
    return begin.total_seconds() if begin is not None and begin == end else None


def birth_interval(text: str | None) -> When | None:
    """The possible days of birth, not cut off (a child may be born on the day of the call). Raises BadDate."""
    if not text:
        return None
    match = _FHIR_DATE.fullmatch(text)
    if match is None:
        raise BadDate
    first, last = _days(match["year"], match["month"], match["day"])
    return When(first, last, (last + 1 - _EPOCH) * _DAY - 1, text[:10])


def _usual_instant(text: str) -> tuple[float, int] | None:
    """A date-time as nearly all are written, with seconds and zone: POSIX seconds, and the day that is written.

    None for any other text, right or wrong. Charts have thousands of them: the full grammar would take three times
    as long.
    """
    if text[4:17:3] != "--T::" or text[11:13] == "24":  # an hour that some versions of Python know
        return None
    offset, fraction = _OFFSETS.get(text[19:]), ""
    if offset is None:
        parts = _FRACTION_AND_ZONE.fullmatch(text, 19)
        if parts is None or (offset := _OFFSETS.get(parts[2])) is None:
            return None
        fraction = parts[1][:7]
    try:
        since = datetime.fromisoformat(text[:19]) - _EPOCH_START
    except ValueError:
        return None
    seconds = since.days * _DAY + (since.seconds - offset)
    return seconds + float(fraction) if fraction else seconds, since.days + _EPOCH


def _instant(match: re.Match[str]) -> float:
    """A date-time with its zone, in POSIX seconds."""
    text = match[0]
    leap = match["second"] == "60"  # a leap second is the first of the next minute
    try:
        instant = datetime.fromisoformat(text.replace(":60", ":59", 1) if leap else text)
    except ValueError as error:  # 30 February, year 0
        raise BadDate from error
    return instant.timestamp() + leap


def _days(year: str, month: str | None, day: str | None) -> tuple[int, int]:
    try:
        if month is None:
            return date(int(year), 1, 1).toordinal(), date(int(year), 12, 31).toordinal()
        if day is None:
            last = monthrange(int(year), int(month))[1]
            return date(int(year), int(month), 1).toordinal(), date(int(year), int(month), last).toordinal()
        exact = date(int(year), int(month), int(day)).toordinal()
        return exact, exact
    except ValueError as error:  # month 13, 30 February, year 0
        raise BadDate from error


def _add_months(day: int, months: int) -> int:
    """The same day of a later month, or its last; 29 February becomes 28 February, not 1 March."""
    start = date.fromordinal(day)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if year > date.max.year:
        return _LAST
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1])).toordinal()


def _years(first: int, last: int) -> str:
    begin, end = date.fromordinal(first).year, date.fromordinal(last).year
    return f"{begin:04}" if begin == end else f"{begin:04}/{end:04}"
