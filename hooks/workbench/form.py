"""What the form of the workbench says. It is all the state there is: the server keeps nothing between two posts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import Request
from werkzeug.datastructures import FileStorage

from cds.limits import THRESHOLDS, Limits
from hooks.settings import read_limits

OWN = "own"
"""The patient whose chart is not a sample but in the form."""

_THRESHOLD = "threshold."


class FormError(Exception):
    """Something in the form cannot be used; the message says what, and what would be right."""


class Form(NamedTuple):
    """As posted. hook, at: "" for the chart's own and for now. thresholds: key -> text, as in the fields.

    disabled: criteria, without: resources (`Type/id`) left out. orders: concepts of the sample orders in the cart;
    selected of those offered: drafts. instance: hookInstance. verdict: what was done to which card ("" nothing).
    """

    patient: str
    chart: str
    hook: str
    at: str
    thresholds: Mapping[str, str]
    disabled: frozenset[str]
    without: frozenset[str]
    orders: tuple[str, ...]
    selected: frozenset[str]
    offered: frozenset[str]
    instance: str
    verdict: str
    reasons: Mapping[str, str]

    @property
    def is_own(self) -> bool:
        return self.patient == OWN


def read_form(request: Request, sample: str, instance: str) -> tuple[Form, str]:
    """The form, and what was wrong with its file ("" nothing). sample, instance: where none is named."""
    said = request.values
    chart, problem = said.get("chart", ""), ""
    file = request.files.get("file")
    is_own = OWN in said.getlist("patient")  # a button says it beside the list of samples
    if file and file.filename:
        is_own = True
        chart, problem = _text(file, chart)
    form = Form(
        patient=OWN if is_own else said.get("patient") or sample,
        chart=chart,
        hook=said.get("hook", ""),
        at=said.get("at", "").strip(),
        thresholds={
            each.key: said[_THRESHOLD + each.key].strip() for each in THRESHOLDS if _THRESHOLD + each.key in said
        },
        disabled=frozenset(said.getlist("disabled")),
        without=frozenset(said.getlist("without")),
        orders=tuple(dict.fromkeys(said.getlist("order"))),
        selected=frozenset(said.getlist("selected")),
        offered=frozenset(said.getlist("offered")),
        instance=said.get("instance") or instance,
        verdict=said.get("verdict", ""),
        reasons={name: value for name, value in said.items() if name.startswith("reason.")},
    )
    return form, problem


def empty_form(sample: str) -> Form:
    """The form when nothing of it could be read."""
    nothing: frozenset[str] = frozenset()
    return Form(sample, "", "", "", {}, nothing, nothing, (), nothing, nothing, "", "", {})


def _text(file: FileStorage, before: str) -> tuple[str, str]:
    try:
        return file.read().decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return before, "The file is not UTF-8 text: a FHIR Bundle or a CDS Hooks request as JSON is expected."


def read_instant(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The instant of the form in the site's zone, to the minute; `now` for none. Raises FormError."""
    if not text:
        return now
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=zone)
        if not 1900 <= at.year <= 2200:
            raise ValueError
    except ValueError:
        raise FormError("Instant: a date with time such as 2026-11-20T12:00 is expected, from 1900 to 2200.") from None
    return at.replace(microsecond=0)


def changed_limits(stated: Mapping[str, str], in_force: Limits) -> dict[str, float]:
    """The thresholds that are not those in force. Raises FormError for what is no number."""
    changed: dict[str, float] = {}
    for key, text in stated.items():
        value = _number(key, text) if text else getattr(in_force, key)
        if value != getattr(in_force, key):
            changed[key] = value
    return changed


def limits_with(changed: Mapping[str, float], in_force: Limits) -> Limits:
    """Raises SettingsError for thresholds that a site could not set either."""
    if not changed:
        return in_force
    now: dict[str, Any] = {each.key: getattr(in_force, each.key) for each in THRESHOLDS}
    return read_limits({**now, **changed})


def _number(key: str, text: str) -> float:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise FormError(f"Threshold {key}: a number is expected.") from None
