"""FHIR dates as intervals of the site's days (catalogue, section 2 rules 4 and 5)."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_profiles.dates import BadDate, Calendar, birth_interval

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOON = AT.timestamp()


def calendar(zone: str = "UTC", at: datetime = AT) -> Calendar:
    return Calendar(at, ZoneInfo(zone))


def days(text: str, zone: str = "UTC") -> tuple[str, str]:
    when = calendar(zone).when(text)
    return date.fromordinal(when.first).isoformat(), date.fromordinal(when.last).isoformat()


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("2019", "UTC", "2019-01-01", "2019-12-31"),
        ("2026-03", "UTC", "2026-03-01", "2026-03-31"),
        ("2024-02", "UTC", "2024-02-01", "2024-02-29"),
        ("2026-03-05", "UTC", "2026-03-05", "2026-03-05"),
        ("2026", "UTC", "2026-01-01", "2026-11-20"),  # cut off at the evaluation instant
        ("2026-11", "UTC", "2026-11-01", "2026-11-20"),
        ("2026-11-21", "UTC", "2026-11-20", "2026-11-20"),  # tomorrow by a clock that runs ahead
        ("2026-03-05T23:30:00Z", "UTC", "2026-03-05", "2026-03-05"),
        ("2026-03-05T23:30:00Z", "Europe/Berlin", "2026-03-06", "2026-03-06"),
        ("2026-03-05T00:30:00Z", "America/Los_Angeles", "2026-03-04", "2026-03-04"),
        ("2026-03-05T23:30:00", "America/Los_Angeles", "2026-03-05", "2026-03-05"),  # no zone: the site's
        ("2026-03-05T23:30", "UTC", "2026-03-05", "2026-03-05"),
        ("2026-03-05T00:30:00.123456789+14:00", "UTC", "2026-03-04", "2026-03-04"),
        ("2016-12-31T23:59:60Z", "UTC", "2017-01-01", "2017-01-01"),  # leap second
        ("0001-01-01T00:00:00+14:00", "UTC", "0001-01-01", "0001-01-01"),
        ("0001-01-01", "Pacific/Kiritimati", "0001-01-01", "0001-01-01"),
        ("9999-12-31T23:59:59-14:00", "UTC", "2026-11-20", "2026-11-20"),
        ("9999", "Pacific/Kiritimati", "2026-11-21", "2026-11-21"),  # where it is tomorrow already
    ],
)
def test_days_that_a_date_can_mean(text, zone, first, last):
    assert days(text, zone) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        "2026-13",
        "2026-02-30",
        "2026-02-29T10:00:00Z",
        "0000-01-01",
        "26-01-01",
        "2026-1-1",
        "20260101",
        "2026-01-01 10:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T10:60:00Z",
        "2026-01-01T10:00:00+15:00",
        "2026-01-01T10:00:00+14:30",
        "2026-01-01T10",
        "2026-01-01T10:00:00z",
        "2026-01-01T10:00:00.Z",
        "2026-01-01T10:00:00,5Z",
        "2026-01-01T10:00:00.\u0665Z",
        "2026-01-01T10:00:5Z",
        "2026-01-01T10:00:+05:00",
        "2026-01-01T10:00+05+05:00",
        "2026-01-01 10:00:00+05:00",
        "2026-01-01T10:00:00+0500",
        "2026-01-01T10:00:00+05:00:00",
        "20260101T100000.00Z",
        "2026-W01-1T10:00:00Z",
        "２０２６",
        "2026-01-01\n",
        " 2026",
        "yesterday",
        "2026-W01-1",
    ],
)
def test_what_is_no_date(text):
    with pytest.raises(BadDate):
        calendar().read(text)
    with pytest.raises(BadDate):
        calendar().seconds(text)
    with pytest.raises(BadDate):
        birth_interval(text)


@given(
    moment=st.datetimes(datetime.fromisoformat("0001-01-03"), datetime.fromisoformat("9999-12-29")),
    offset=st.sampled_from(["Z", "+00:00", "-00:00", "+05:45", "-09:30", "+13:59", "+14:00", "-14:00"]),
    digits=st.integers(0, 9),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Australia/Lord_Howe"]),
)
def test_an_instant_is_the_same_however_it_is_written(moment, offset, digits, zone):
    fraction = f".{moment.microsecond:06}000"[: digits + 1] if digits else ""
    text = f"{moment.replace(microsecond=0).isoformat()}{fraction}{offset}"
    expected = datetime.fromisoformat(text)
    reading = calendar(zone, at=datetime(9999, 12, 31, tzinfo=UTC))
    dated = reading.read(text)
    assert dated.earliest == dated.latest == dated.when.moment == reading.seconds(text)
    assert dated.latest == pytest.approx(expected.timestamp(), abs=1e-5)
    day = expected.astimezone(ZoneInfo(zone)).date()
    assert (dated.when.first, dated.when.last, dated.when.text) == (day.toordinal(), day.toordinal(), day.isoformat())
    if not fraction:
        again = calendar(zone, at=datetime(9999, 12, 31, tzinfo=UTC)).read(f"{text[:19]}.0{offset}")
        assert again == dated


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("America/New_York", "2026-03-08T07:00:00"),
        ("America/New_York", "2026-11-01T06:00:00"),
        ("Europe/Berlin", "2026-10-25T01:00:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00"),
        ("Pacific/Apia", "2011-12-30T10:00:00"),  # a day that Samoa left out
    ],
)
def test_the_day_of_an_instant_where_clocks_change(zone, change):
    begin = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(days=2)
    for quarters in range(4 * 96):
        instant = begin + timedelta(minutes=15 * quarters)
        day = instant.astimezone(ZoneInfo(zone)).toordinal()
        assert calendar(zone).read(instant.isoformat()).when.first == day


def test_the_instants_of_a_local_day():
    dated = calendar("America/Los_Angeles").read("2026-03-08")  # summer time begins: 23 hours
    assert dated.latest - dated.earliest == 23 * 3600 - 1
    assert dated.earliest == datetime(2026, 3, 8, 8, tzinfo=UTC).timestamp()


def test_a_time_without_zone_is_an_instant_of_the_site():
    in_berlin = calendar("Europe/Berlin").read("2026-07-01T10:00:00")
    assert in_berlin.earliest == in_berlin.latest == datetime(2026, 7, 1, 8, tzinfo=UTC).timestamp()


def test_the_newest_moment_is_cut_off_at_the_evaluation_instant():
    assert calendar().when("2026-11-20").moment == NOON
    assert calendar().when("2026-11-20T11:59:59Z").moment == NOON - 1
    assert calendar().when("2026-11-21T11:00:00Z").moment == NOON
    assert calendar().seconds("2026-11-21T11:00:00Z") == NOON + 23 * 3600


@pytest.mark.parametrize(
    ("text", "future"),
    [
        ("2026-11-21T12:00:00Z", False),  # exactly 24 hours ahead
        ("2026-11-21T12:00:01Z", True),
        ("2026-11-21", False),  # may be as early as its midnight
        ("2026-11-22", True),
        ("2026-12", True),
        ("2026", False),
        ("2027", True),
    ],
)
def test_more_than_a_day_ahead(text, future):
    reading = calendar()
    assert reading.is_future(reading.read(text)) is future


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026", "2026"),
        ("2026-03", "2026-03"),
        ("2026-03-05", "2026-03-05"),
        ("2026-03-05T23:30:00Z", "2026-03-06"),  # the site's day
        ("2026-03-05T23:30:00", "2026-03-05"),
    ],
)
def test_a_date_is_shown_as_precisely_as_recorded(text, shown):
    assert calendar("Europe/Berlin").when(text).text == shown


@pytest.mark.parametrize(
    ("birth", "value", "unit", "first", "last"),
    [
        ("1980-06-15", 40, "a", "2020-06-15", "2021-06-14"),
        ("1980-06-15", 40.5, "a", "2020-12-15", "2021-12-14"),
        ("1980-06", 40, "years", "2020-06-01", "2021-06-29"),
        ("1980", 40, "a", "2020-01-01", "2021-12-30"),
        ("2020-02-29", 1, "a", "2021-02-28", "2022-02-27"),
        ("2026-01-31", 1, "mo", "2026-02-28", "2026-03-30"),
        ("2026-01-01", 2, "wk", "2026-01-15", "2026-01-21"),
        ("2026-01-01", 10, "d", "2026-01-11", "2026-01-11"),
        ("2026-01-01", 30, "h", "2026-01-02", "2026-01-02"),
    ],
)
def test_age_at_onset(birth, value, unit, first, last):
    when = calendar().at_age(birth_interval(birth), value, unit).when
    assert (date.fromordinal(when.first).isoformat(), date.fromordinal(when.last).isoformat()) == (first, last)


@pytest.mark.parametrize(
    ("birth", "value", "unit"),
    [(None, 40, "a"), ("1980", None, "a"), ("1980", 40, None), ("1980", 40, "parsec"), ("1980", -1, "a")],
)
def test_an_age_that_says_nothing(birth, value, unit):
    assert calendar().at_age(birth_interval(birth), value, unit) is None


@pytest.mark.parametrize("value", [1e300, 9e15, 150])
@pytest.mark.parametrize("unit", ["a", "mo", "wk", "d", "h", "min"])
@pytest.mark.parametrize("birth", ["0001", "9999-12-31", "1980"])
def test_absurd_ages_do_not_overflow(birth, value, unit):
    when = calendar().at_age(birth_interval(birth), value, unit).when
    assert when.first <= when.last <= calendar().today


def test_a_birth_may_be_later_than_the_call():
    """The day of a birth is not cut off: the site's calendar may be a day behind the patient's."""
    assert birth_interval("2026-11-21").first == date(2026, 11, 21).toordinal()
    assert birth_interval("1976").last == date(1976, 12, 31).toordinal()


def test_the_days_do_not_depend_on_the_machine(monkeypatch):
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert days("2026-03-05T23:30:00", "Europe/London") == ("2026-03-05", "2026-03-05")
        assert calendar("Europe/London").today == date(2026, 11, 20).toordinal()
    monkeypatch.undo()
    time.tzset()
