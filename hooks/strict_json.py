"""What a JSON body must be before anything is read from it (reliability.md, section 2 and row 1).

The typed decoder skips what nobody reads, so a defect there would go unseen. A full parse would cost more than
everything else; each check here therefore looks for a cheap sign first, and parses only when there is one.
A number beyond the range of a double is looked for in all of a small body, in a large one outside `prefetch`, and
within it where numbers are read.
Of a name that stands twice in an object the last one counts.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from hooks.errors import RequestError, invalid

MAX_DEPTH = 100
MAX_CONTAINERS = 400_000
SEARCHED_WHOLE = 32 * 1024
"""Octets of a body for which looking at every number costs next to nothing."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")
_BRACKETS_TO_BRACES = bytes.maketrans(b"[]", b"{}")
_STRIDE = 128  # brackets; FHIR opens fewer than 80 objects among so many
_NOT_OF_EXPONENTS = b"0123456789.+- \t\r\n"
_SIGNS_OF_EXPONENTS = bytes.maketrans(b"[]{}:E", b",,,,,e")
_EVERY_30TH_OF_300_DIGITS = re.compile(rb"[0-9]{10}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BEGINNING = 64  # octets by which a value is found again
_PLACE = re.compile(r" - at `\$\.?([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_PREFETCH = re.compile(rb'"prefetch"\s*:\s*')


def check_json(body: bytes) -> None:
    """Raises RequestError for a body that is empty, no UTF-8, nested too deeply, too large in its parts, or holds
    half of a surrogate pair. Plain syntax errors are the decoder's."""
    if not body or body.isspace():
        raise invalid("the body is empty: a CDS Hooks request in JSON is expected", code="required")
    if body.startswith(_BYTE_ORDER_MARK):
        raise invalid("the body begins with a byte order mark: JSON is sent without one", code="structure")
    _check_utf8(body)
    braces = body.translate(_BRACKETS_TO_BRACES, _NOT_BRACKETS)
    if len(braces) > 2 * MAX_CONTAINERS:
        raise invalid(f"the body has more than {MAX_CONTAINERS} objects and arrays", code="too-long")
    if _may_be_deep(braces) and _depth(parse_strictly(body)) > MAX_DEPTH:
        raise malformed(RecursionError())
    if _may_hold_half_a_pair(body):
        parse_strictly(body)


def check_numbers(body: bytes, prefetch: Mapping[str, msgspec.Raw]) -> None:
    """Raises RequestError for a number beyond the range of a double. `prefetch`: that member's values, unopened."""
    is_large = len(body) > SEARCHED_WHOLE
    if not is_large and not _may_overflow(body):
        return
    outside = _outside(body, prefetch) if is_large else body
    try:
        msgspec.json.decode(outside)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parse_strictly(body)


def _may_overflow(body: bytes) -> bool:
    """Whether a number may have an exponent, which is all that is left of it without digits, or 300 digits."""
    without_digits = body.translate(_SIGNS_OF_EXPONENTS, _NOT_OF_EXPONENTS)
    return b",e," in without_digits or _EVERY_30TH_OF_300_DIGITS.search(body[::30]) is not None


def _outside(body: bytes, prefetch: Mapping[str, msgspec.Raw]) -> bytes:
    """The body with the values of prefetch cut out; one that it cannot follow is not JSON and has the body parsed."""
    key = _PREFETCH.search(body)
    if key is None:
        return body
    end = key.end()
    for value in map(memoryview, prefetch.values()):  # no copies: together they are nearly the whole body
        end = max(body.find(value[:_BEGINNING], end), end) + len(value)
    return body[: key.end()] + b"null" + body[body.find(b"}", end) + 1 :]


def malformed(error: Exception) -> RequestError:
    """What a decoder said of the whole body, as a request error."""
    if isinstance(error, RecursionError):
        return invalid(f"the JSON is nested more than {MAX_DEPTH} levels deep", code="structure")
    reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return invalid(f"the body is not JSON as it should be: {reason}", code="structure")


def misfit(error: msgspec.ValidationError) -> tuple[str, bool]:
    """Where a typed decoder's complaint points, "" for the whole, and whether that member is missing."""
    text = str(error)
    place, missing = _PLACE.search(text), _MISSING.search(text)
    path = ".".join(part for part in (place and place[1], missing and missing[1]) if part)
    return path, missing is not None


def _check_utf8(body: bytes) -> None:
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise invalid(f"the body is not UTF-8 at byte {error.start}", code="structure") from None


def _may_hold_half_a_pair(body: bytes) -> bool:
    return b"\\" in body and b"\\u" in body and _SURROGATE.search(body) is not None


def _may_be_deep(braces: bytes) -> bool:
    """Whether it may be too deep somewhere, or strings hold brackets without their counterparts.

    The depth is worked out at every _STRIDE brackets only: in between it cannot rise by more than what is opened. Who
    puts brackets into strings so that they even out can hide depth; there the decoder's own limit ends it.
    """
    depth = 0
    for start in range(0, len(braces), _STRIDE):
        end = min(start + _STRIDE, len(braces))
        opened = braces.count(b"{", start, end)
        if depth + opened > MAX_DEPTH:
            return True
        depth += 2 * opened - (end - start)
        if depth < 0:
            return True
    return depth != 0


def parse_strictly(body: bytes) -> Any:
    """The body parsed whole. Raises RequestError for anything that is not JSON as it should be, wherever it stands."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth
