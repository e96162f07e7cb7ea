"""What clinicians did with cards, from the bytes of a feedback call to rows of the ledger (R138 to R149).

Members that nobody reads are ignored, `null` is as good as absent. Whose card it is is not asked here: that shows when
a row is joined to a card and a call of the same issuer.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from hooks.errors import RequestError, invalid
from hooks.strict_json import check_json, malformed, misfit, parse_strictly

MAX_ITEMS, MAX_COMMENT, MAX_SUGGESTIONS = 100, 2_000, 100
OUTCOMES = ("accepted", "overridden")
LONGEST = {"card": 100, "id": 100, "code": 200, "system": 300, "display": 300, "userComment": MAX_COMMENT}
TIMESTAMP = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]00:00)"
"""RFC 3339 in UTC (R144)."""

_timestamp = re.compile(TIMESTAMP, re.ASCII)
_encode = msgspec.json.encode


class _Suggestion(msgspec.Struct):
    id: str | None = None


class _Coding(msgspec.Struct):
    code: str | None = None
    system: str | None = None
    display: str | None = None


class _OverrideReason(msgspec.Struct):
    reason: _Coding | None = None
    userComment: str | None = None


class _Item(msgspec.Struct):
    card: str | None = None
    outcome: str | None = None
    outcomeTimestamp: str | None = None
    acceptedSuggestions: list[_Suggestion] | None = None
    overrideReason: _OverrideReason | None = None


class _Body(msgspec.Struct):
    feedback: list[msgspec.Raw] | None = None


_body = msgspec.json.Decoder(_Body)
_item = msgspec.json.Decoder(_Item)


def parse_feedback(body: bytes, issuer: str, service: str, received: datetime) -> list[dict[str, Any]]:
    """The rows of table `feedback`, one for each item. Raises RequestError naming the member, as feedback[3].card.

    issuer: who sends it, "" for nobody known; service: id of the service; received: aware.
    """
    head = {"issuer": issuer, "service": service}
    return [_row(item, f"feedback[{at}]", head) | {"received": received} for at, item in enumerate(_items(body))]


def _items(body: bytes) -> list[msgspec.Raw]:
    check_json(body)
    parse_strictly(body)
    try:
        items = _body.decode(body).feedback
    except msgspec.ValidationError as error:
        raise _should_be(misfit(error)[0] or "feedback", "a list of items, in a JSON object", "value") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None
    if not items:
        raise _should_be("feedback", "a list of at least one item", "required")
    if len(items) > MAX_ITEMS:
        raise _should_be("feedback", f"a list of at most {MAX_ITEMS} items", "too-long")
    return items


def _row(raw: msgspec.Raw, place: str, head: dict[str, str]) -> dict[str, Any]:
    item = _read(raw, place)
    given = item.overrideReason or _OverrideReason()
    coding = given.reason or _Coding()
    inside = f"{place}.overrideReason"
    row = head | {
        "card": _text(item.card, f"{place}.card", required=True),
        "outcome": _outcome(item.outcome, f"{place}.outcome"),
        "outcome_at": _instant(item.outcomeTimestamp, f"{place}.outcomeTimestamp"),
        "suggestions": _suggestions(item, f"{place}.acceptedSuggestions"),
        "reason_code": _text(coding.code, f"{inside}.reason.code", required=given.reason is not None),
        "reason_system": _text(coding.system, f"{inside}.reason.system"),
        "reason_display": _text(coding.display, f"{inside}.reason.display"),
        "comment": _text(given.userComment, f"{inside}.userComment"),
    }
    return row | {"digest": hashlib.sha256(_encode(row)).hexdigest()}


def _read(raw: msgspec.Raw, place: str) -> _Item:
    try:
        return _item.decode(raw)
    except msgspec.ValidationError as error:
        path, _ = misfit(error)
        if not path:
            raise _should_be(place, "an object: what was done with one card", "value") from None
        raise invalid(f"{place}.{path} has the wrong JSON type", f"{place}.{path}", "value") from None


def _outcome(stated: str | None, place: str) -> str:
    if stated not in OUTCOMES:
        raise _should_be(place, " or ".join(OUTCOMES), "value" if stated else "required")
    return stated


def _instant(stated: str | None, place: str) -> datetime:
    """Digits beyond the microsecond are dropped."""
    try:
        if stated and _timestamp.fullmatch(stated):
            return datetime.fromisoformat(stated.upper()).astimezone(UTC)
    except ValueError:  # the 30th of February
        pass
    right = "a date with time in UTC, such as 2026-11-20T12:00:00Z"
    raise _should_be(place, right, "value" if stated else "required")


def _suggestions(item: _Item, place: str) -> list[str]:
    given = item.acceptedSuggestions or []
    if item.outcome == "accepted" and not given:
        raise _should_be(place, "a list of at least one suggestion, each with its id", "required")
    if len(given) > MAX_SUGGESTIONS:
        raise _should_be(place, f"a list of at most {MAX_SUGGESTIONS} suggestions", "too-long")
    return [_text(each.id, f"{place}[{at}].id", required=True) for at, each in enumerate(given)]


def _text(stated: str | None, place: str, required: bool = False) -> str:
    if required and not stated:
        raise _should_be(place, "a text that is not empty", "required")
    most = LONGEST[place.rpartition(".")[2]]
    if stated and (len(stated) > most or "\0" in stated):
        raise _should_be(place, f"a text of at most {most:,} characters, none of them NUL", "too-long")
    return stated or ""


def _should_be(place: str, right: str, code: str) -> RequestError:
    return invalid(f"{place} should be {right}", place, code)
