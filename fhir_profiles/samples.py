"""The sample charts in `examples/`: invented patients to try the service with, and what it should say.

A chart is a FHIR R4 Bundle of type `collection`; its `timestamp` is the chart's "today". Over HTTP the
evaluation instant is the clock and nothing in a request moves it (catalogue, section 9), so a chart for a
running server is moved to the server's day first: `shifted`.
"""

import json
import re
from datetime import date, datetime, timedelta
from importlib.resources import files
from typing import Any

_EXAMPLES = files(__package__) / "examples"
_STORIES = "stories.json"
_ORDERS = _EXAMPLES / "orders"

# The elements of FHIR type date, dateTime or instant in what a chart may hold. Known by their names, not by
# the look of their values: an identifier or a code that looks like a date stays as it is.
_DATE_ELEMENT = re.compile(
    r"\w+(DateTime|Date|Instant)|date(Asserted|Time)?|authored(On)?|issued|recorded|sent|created|detected"
    r"|start(ed)?|end|timestamp|lastUpdated|lastOccurrence|received(Time)?|time|when(HandedOver|Prepared)?|event"
)
_FHIR_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(T\d{2}:\d{2}.*)?)?)?")


def names() -> list[str]:
    """The names of the charts, in the order of their numbers: `01-cauda-equina` and so on."""
    charts = (entry.name for entry in _EXAMPLES.iterdir() if entry.name.endswith(".json"))
    return sorted(name.removesuffix(".json") for name in charts if name != _STORIES)


def load(name: str) -> dict[str, Any]:
    """The chart as a FHIR Bundle, fresh at each call. Raises LookupError for a name not in `names()`."""
    if name not in names():
        raise LookupError(f"no sample chart is named {name!r}; the charts are {', '.join(names())}")
    return json.loads((_EXAMPLES / f"{name}.json").read_text("utf-8"))


def story(name: str) -> dict[str, Any]:
    """What the chart tells, and what the service should say of it at its timestamp (`stories.json`).

    Keys: title, story, hook, backProblem, current, met (all criterion ids) and notMet (the telling ones),
    cards (group -> indicator; for an order hook `order-safety` -> criterion id -> indicator). Raises
    LookupError for a name that has no story.
    """
    stories = json.loads((_EXAMPLES / _STORIES).read_text("utf-8"))
    if name not in stories:
        raise LookupError(f"no story is told of {name!r}; stories are told of {', '.join(stories)}")
    return stories[name]


def order_names() -> list[str]:
    """The names of the sample orders: the concepts that the criteria know, one order each."""
    return sorted(entry.name.removesuffix(".json") for entry in _ORDERS.iterdir() if entry.name.endswith(".json"))


def load_order(name: str) -> dict[str, Any]:
    """A draft ServiceRequest for the patient `Patient/patient`, fresh at each call. Raises LookupError."""
    if name not in order_names():
        raise LookupError(f"no sample order is named {name!r}; the orders are {', '.join(order_names())}")
    return json.loads((_ORDERS / f"{name}.json").read_text("utf-8"))


def shifted(bundle: dict[str, Any], to: datetime) -> dict[str, Any]:
    """A copy whose dates have all moved by as many days, its timestamp to within a day before `to`.

    As many as there are whole days from Bundle.timestamp to `to`, so that what lay in the past still does.
    Times of day, zones and precision stay; birth dates move too, so that ages stay. Raises ValueError when
    the Bundle has no timestamp with a zone, or `to` has no zone.
    """
    if to.tzinfo is None:
        raise ValueError(f"to: {to.isoformat()} has no time zone; give an instant")
    return _moved(bundle, (to - _timestamp(bundle)).days)


def _timestamp(bundle: dict[str, Any]) -> datetime:
    stated = bundle.get("timestamp")
    try:
        instant = datetime.fromisoformat(stated)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError(f"Bundle.timestamp: {stated!r} is no FHIR instant; it must say the chart's day")
    return instant


def _moved(value: Any, days: int, element: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _moved(child, days, key) for key, child in value.items()}
    if isinstance(value, list):
        return [_moved(child, days, element) for child in value]
    if isinstance(value, str) and _DATE_ELEMENT.fullmatch(element):
        return _moved_date(value, days)
    return value


def _moved_date(text: str, days: int) -> str:
    """A full date by the day, `2026-11` and `2026` by the middle of what they mean; what is no date stays."""
    parts = _FHIR_DATE.fullmatch(text)
    if parts is None:
        return text
    year, month, day, time = parts.groups()
    try:
        moved = date(int(year), int(month or 7), int(day or (15 if month else 2))) + timedelta(days)
    except (ValueError, OverflowError):
        return text
    return moved.isoformat()[: len(text.partition("T")[0])] + (time or "")
