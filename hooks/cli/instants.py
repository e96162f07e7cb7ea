"""What `--at` may say."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from hooks.cli.terminal import Unusable

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
_WANTED = (
    "--at: give a day such as 2026-11-20, or a date with time such as 2026-11-20T12:00:00Z "
    "(without Z or offset: in the site's time zone)"
)


def read_instant(text: str, zone: ZoneInfo) -> datetime:
    """An evaluation instant, aware, to the second. A day means its end: all that it brought is on record.

    Raises Unusable naming the form wanted.
    """
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(datetime.fromisoformat(text), time(23, 59, 59), zone)
        if not _DATE_TIME.fullmatch(text):
            raise Unusable(_WANTED)
        return _zoned(datetime.fromisoformat(re.sub(r"\s(?=Z|[+-])", "", text.upper())), zone)
    except (ValueError, OverflowError):
        raise Unusable(_WANTED) from None


def _zoned(at: datetime, zone: ZoneInfo) -> datetime:
    aware = at if at.tzinfo else at.replace(tzinfo=zone)
    aware.astimezone(ZoneInfo("UTC")) + timedelta(days=1)  # raises OverflowError at the ends of the calendar
    return aware.replace(microsecond=0)
