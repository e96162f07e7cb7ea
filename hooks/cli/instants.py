"""What `--at`, `--since` and `--until` may say."""

import re
from argparse import Namespace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from hooks.cli.terminal import Unusable

Period = tuple[datetime | None, datetime | None]
"""From the first instant on until before the second, both aware; None: no end."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
_WANTED = (
    "{}: give a day such as 2026-11-20, or a date with time such as 2026-11-20T12:00:00Z "
    "(without Z or offset: in the site's time zone)"
)
_LAST_SECOND = time(23, 59, 59)


def read_instant(text: str, zone: ZoneInfo, option: str = "--at", of_day: time = _LAST_SECOND) -> datetime:
    """An instant, aware, to the second. A day means its end, so that all it brought is on record, or as `of_day` says.

    Raises Unusable naming the option and the form wanted.
    """
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(datetime.fromisoformat(text), of_day, zone)
        if not _DATE_TIME.fullmatch(text):
            raise Unusable(_WANTED.format(option))
        return _zoned(datetime.fromisoformat(re.sub(r"\s(?=Z|[+-])", "", text.upper())), zone)
    except (ValueError, OverflowError):
        raise Unusable(_WANTED.format(option)) from None


def read_period(args: Namespace, zone: ZoneInfo) -> Period:
    """What `--since` and `--until` ask for; a day counts whole in both. Raises Unusable."""
    since = read_instant(args.since, zone, "--since", time()) if args.since else None
    until = read_instant(args.until, zone, "--until") + timedelta(seconds=1) if args.until else None
    if since and until and until <= since:
        raise Unusable("--until should be later than --since")
    return since, until


def _zoned(at: datetime, zone: ZoneInfo) -> datetime:
    aware = at if at.tzinfo else at.replace(tzinfo=zone)
    aware.astimezone(ZoneInfo("UTC")) + timedelta(days=1)  # raises OverflowError at the ends of the calendar
    return aware.replace(microsecond=0)
