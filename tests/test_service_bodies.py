"""Hostile bodies: refused with a reason, or answered; never a fault, and the next call is as before (R48, R52, P1)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooks.app import MAX_BODY
from tests.records import condition, form, observation
from tests.service_rig import HOOKS, JSON, call, changed, client, expressions, path_of, post

GOOD = json.dumps(call()).encode()


def with_member(value: bytes, name: bytes = b'"unread"') -> bytes:
    """The good body with one more member, first in the object."""
    return b"{" + name + b":" + value + b"," + GOOD[1:]


def in_resource(value: bytes) -> bytes:
    """The good body with one more element in the Patient."""
    return GOOD.replace(b'"gender"', b'"unread":' + value + b',"gender"', 1)


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


MALFORMED = {
    "empty": b"",
    "white space": b" \n\t ",
    "half": GOOD[: len(GOOD) // 2],
    "one byte short": GOOD[:-1],
    "text behind": GOOD + b"x",
    "two objects": GOOD + GOOD,
    "zero byte": GOOD + b"\0",
    "zero byte in a string": with_member(b'"\0"'),
    "control character in a string": with_member(b'"\x01"'),
    "no JSON": b"hook=patient-view",
    "XML": b"<request/>",
    "a comment": b"/* */" + GOOD,
    "trailing comma": with_member(b"[1,]"),
    "trailing comma in an object": GOOD[:-1] + b",}",
    "single quotes": GOOD.replace(b'"', b"'"),
    "bare name": with_member(b"1", b"unread"),
    "NaN": with_member(b"NaN"),
    "Infinity": with_member(b"Infinity"),
    "negative infinity": with_member(b"-Infinity"),
    "huge exponent": with_member(b"1e999"),
    "huge exponent, plus and space": with_member(b"-1.5E+400 "),
    "huge exponent on its own line": with_member(b"[\n1e999\n]"),
    "huge exponent, capital, among others": with_member(b"[1, 2.5E+0999,3]"),
    "309 digits and a fraction": with_member(b"-" + b"9" * 309 + b".5"),
    "huge exponent in a resource": in_resource(b"1e999"),
    "leading zero": with_member(b"01"),
    "plus sign": with_member(b"+1"),
    "hexadecimal": with_member(b"0x10"),
    "huge integer": with_member(b"9" * 5000),
    "True": with_member(b"True"),
    "tru": with_member(b"tru"),
    "undefined": with_member(b"undefined"),
    "bad escape": with_member(rb'"\x41"'),
    "short unicode escape": with_member(rb'"\u12"'),
    "lone high surrogate": with_member(rb'"\ud800"'),
    "lone low surrogate": with_member(rb'"a\udc00b"'),
    "wrong pair": with_member(rb'"\ud800\u0041"'),
    "surrogate in a name": with_member(b"1", rb'"\uDFFF"'),
    "surrogate in a resource": in_resource(rb'"\ud800"'),
    "surrogate in UTF-8": with_member(b'"\xed\xa0\x80"'),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "Latin-1": with_member('"Müller"'.encode("latin-1")),
    "overlong UTF-8": with_member(b'"\xc0\xaf"'),
    "bytes in a resource that are no UTF-8": in_resource(b'"\xff\xfe"'),
    "cut UTF-8": GOOD + b"\xe2\x82",
    "101 levels": with_member(nested(100)),
    "101 levels in a resource": in_resource(b'{"a":' * 100 + b"1" + b"}" * 100),
    "2,000 levels": with_member(nested(2_000)),
    "100,000 levels": nested(100_000),
    "100,000 levels, open": b"[" * 100_000,
    "100,000 levels of objects": b'{"a":' * 100_000,
    "levels hidden by strings": with_member(b'["]",' * 150 + b"1" + b"]" * 150 + b',"' + b"[" * 150 + b'"', b'"a"'),
    "400,001 containers": with_member(b"[" + b"{}," * 400_000 + b"{}]"),
}
NO_REQUEST = {
    "an array": b"[]",
    "a string": b'"x"',
    "a number": b"1",
    "true": b"true",
    "null": b"null",
    "an empty object": b"{}",
    "an array with a request": b"[" + GOOD + b"]",
    "a request in a string": json.dumps(GOOD.decode()).encode(),
    "a FHIR resource": b'{"resourceType":"Patient","id":"p1"}',
}
ALLOWED = {
    "99 levels beside the request": with_member(nested(99)),
    "brackets in a string": with_member(b'"' + b"[{" * 300 + b'"'),
    "a pair of surrogates": with_member(rb'"\ud83d\ude00"'),
    "many lists side by side": with_member(b"[" + b"[],{}," * 300 + b"[[[1]]]]"),
    "an exponent": with_member(b"1e300"),
    "a tiny number": with_member(b"1e-999"),
    "what looks like an exponent": with_member(b'"urn:1e999"'),
    "what looks like an exponent between spaces": with_member(b'"at 1e999 , or"'),
    "a long integer": with_member(b"9" * 400),
    "many digits in a string": with_member(b'"' + b"9" * 400 + b'"'),
    "white space around": b" \r\n\t" + GOOD + b"\n",
    "not ASCII": with_member('"Müller 患者"'.encode()),
    "a name twice": GOOD.replace(b'"hook": "patient-view"', b'"hook": "x", "hook": "patient-view"'),
}


@pytest.mark.parametrize("body", {**MALFORMED, **NO_REQUEST}.values(), ids={**MALFORMED, **NO_REQUEST})
def test_r48_r52_it_is_400_with_a_reason(body: bytes):
    answer = post(body, "patient-view")
    assert answer.status_code == 400
    expressions(answer)
    assert len(answer.data) < 2_000


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_it_is_answered(body: bytes):
    assert post(body, "patient-view").status_code == 200


def test_r54_more_than_ten_mebibytes_is_413():
    padding = b'"' + b" " * (MAX_BODY - len(GOOD) - 100) + b'"'
    assert post(with_member(padding), "patient-view").status_code == 200
    assert post(with_member(padding[:-1] + b" " * 200 + b'"'), "patient-view").status_code == 413


def test_r55_a_large_chart_is_answered():
    weights = [observation("body-weight", 80, "kg", days_ago=day % 300) for day in range(4_500)]
    body = json.dumps(call("patient-view", *weights)).encode()
    assert len(body) > 1_500_000
    assert post(body, "patient-view").status_code == 200


NOT_A_SEARCH = ["x", 5, True, [], {}, [{}], {"resourceType": "Condition"}, {"resourceType": 7}, {"entry": {}}]


@pytest.mark.parametrize("value", NOT_A_SEARCH, ids=repr)
def test_r52_a_prefetch_value_that_is_no_search_is_not_available(value: Any):
    answer = post(changed(call(), "prefetch.conditions", value))
    assert answer.status_code == 200
    assert "not-assessed" in json.dumps(answer.get_json())


# --- mutations of a good request -------------------------------------------------------------------------

RICH = call(
    "patient-view", condition("osteoporosis"), observation("body-temperature", 39, "Cel"), form({"fever": True})
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every member and item in a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in children for place in ((*path, key), *places(child, (*path, key)))]


RICH_PLACES = places(RICH)


@given(place=st.sampled_from(RICH_PLACES), junk=JUNK, hook=st.sampled_from(HOOKS))
@settings(max_examples=300)
def test_r52_any_value_anywhere_is_no_fault(place: tuple, junk: Any, hook: str):
    request = json.loads(json.dumps(RICH))
    holder = request
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = junk
    answer = client().post(path_of(hook), json=request)
    assert answer.status_code in (200, 400, 412)


@given(data=st.data())
@settings(max_examples=200)
def test_r52_any_bytes_anywhere_are_no_fault(data: st.DataObject):
    body = bytearray(json.dumps(RICH).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    answer = client().post(path_of("patient-view"), data=bytes(body), content_type=JSON)
    assert answer.status_code in (200, 400, 412)


def test_in_a_large_body_a_huge_number_is_found_where_it_is_read():
    """In what nobody reads of a large prefetch it does no harm, and is not looked for."""
    filler = b'"unread":"' + b"x" * (64 * 1024) + b'",'
    large = GOOD.replace(b'"gender"', filler + b'"gender"', 1)
    assert post(large, "patient-view").status_code == 200
    assert post(large.replace(b'"hook":', b'"unread":1e999,"hook":', 1), "patient-view").status_code == 400
    weight = json.dumps(observation("body-weight", 70, "kg")).encode()
    read = json.dumps(call("patient-view", json.loads(weight))).encode().replace(b'"value": 70', b'"value": 1e999', 1)
    assert b"1e999" in read
    assert post(read.replace(b'"gender"', filler + b'"gender"', 1), "patient-view").status_code == 400
