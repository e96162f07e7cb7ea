"""What feedback may say, and what is refused with the name of the member (R139 to R147)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.errors import RequestError
from hooks.feedback import MAX_COMMENT, MAX_ITEMS, parse_feedback
from tests.feedback_rig import ISSUER, REASON, SERVICE, URL, accepted, overridden, said
from tests.records import AT
from tests.service_rig import JSON, client, expressions
from tests.test_openapi import faults


def rows(*items: Any, issuer: str = ISSUER, service: str = SERVICE) -> list[dict[str, Any]]:
    return parse_feedback(json.dumps(said(*items)).encode(), issuer, service, AT)


def without(item: dict[str, Any], *members: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in members}


# --- what is taken -----------------------------------------------------------------------------------------


def test_r140_an_accepted_suggestion():
    (row,) = rows(accepted("card-9", "a", "b"))
    assert (row["card"], row["outcome"], row["suggestions"]) == ("card-9", "accepted", ["a", "b"])
    assert (row["issuer"], row["service"], row["received"]) == (ISSUER, SERVICE, AT)
    assert row["outcome_at"] == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_r141_a_plain_dismissal():
    (row,) = rows(overridden())
    assert (row["outcome"], row["reason_code"], row["comment"], row["suggestions"]) == ("overridden", "", "", [])


def test_r142_a_reason_a_comment_or_both():
    given_ = rows(
        overridden(overrideReason={"reason": REASON, "userComment": "known"}),
        overridden(overrideReason={"userComment": "known"}),
        overridden(overrideReason={"reason": {"code": "x"}}),
    )
    assert [(row["reason_code"], row["comment"]) for row in given_] == [
        (REASON["code"], "known"), ("", "known"), ("x", ""),
    ]  # fmt: skip
    assert (given_[0]["reason_system"], given_[0]["reason_display"]) == (REASON["system"], REASON["display"])


def test_r139_several_items_for_several_cards():
    assert [row["card"] for row in rows(overridden("a"), accepted("b"), overridden("c"))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("stated", "microsecond"),
    [
        ("1985-04-12T23:20:50.52Z", 520_000),
        ("1985-04-12T23:20:50Z", 0),
        ("1985-04-12t23:20:50z", 0),
        ("1985-04-12T23:20:50+00:00", 0),
        ("1985-04-12T23:20:50.123456789Z", 123_456),
    ],
)
def test_r144_timestamps(stated: str, microsecond: int):
    (row,) = rows(overridden(outcomeTimestamp=stated))
    assert row["outcome_at"] == datetime(1985, 4, 12, 23, 20, 50, microsecond, UTC)


def test_r147_unknown_members_and_nulls_are_as_good_as_absent():
    plain = rows(overridden())
    more = overridden(extension={"x": [1]}, overrideReason=None, acceptedSuggestions=None, hookInstance="x")
    assert rows(more) == plain
    assert rows(overridden(overrideReason={})) == plain


def test_the_longest_of_everything_is_taken():
    longest = overridden("c" * 100, overrideReason={"userComment": "ä" * MAX_COMMENT})
    assert len(rows(*[longest] * MAX_ITEMS)) == MAX_ITEMS


# --- the digest: what is the same --------------------------------------------------------------------------


def test_the_same_said_again_is_the_same():
    assert rows(accepted())[0]["digest"] == rows(accepted(extension={"x": 1}))[0]["digest"]


_DIFFERENT = [
    overridden(), overridden("card-2"), accepted(), accepted("card-1", "other"), accepted("card-1", "a", "b"),
    overridden(outcomeTimestamp="2026-11-20T12:00:01Z"), overridden(outcomeTimestamp="2026-11-20T12:00:00.1Z"),
    overridden(overrideReason={"reason": {"code": "x"}}), overridden(overrideReason={"userComment": "x"}),
    overridden(overrideReason={"reason": {"code": "x", "system": "y"}}),
    overridden(overrideReason={"reason": {"code": "x", "display": "y"}}),
]  # fmt: skip


def test_anything_said_differently_is_another_report():
    digests = [row["digest"] for row in rows(*_DIFFERENT)]
    digests += [rows(overridden(), issuer="")[0]["digest"], rows(overridden(), service="other")[0]["digest"]]
    assert len(set(digests)) == len(digests)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=100), min_size=5, max_size=5
    )
)
def test_texts_do_not_run_into_each_other(texts: list[str]):
    """Moving a character from one member to the next is another report."""
    card, code, system, display, comment = texts
    coding = {"code": code, "system": system, "display": display}
    (row,) = rows(overridden(card, overrideReason={"reason": coding, "userComment": comment}))
    moved = coding | {"code": code + system[0], "system": system[1:]}
    (other,) = rows(overridden(card, overrideReason={"reason": moved, "userComment": comment}))
    assert row["digest"] != other["digest"]
    assert (row["card"], row["reason_code"], row["comment"]) == (card, code, comment)


# --- what is refused ---------------------------------------------------------------------------------------

_GOOD = accepted()
_REFUSED: dict[str, tuple[Any, str]] = {
    "no feedback": ({}, "feedback"),
    "null": ({"feedback": None}, "feedback"),
    "no list": ({"feedback": {}}, "feedback"),
    "no items": (said(), "feedback"),
    "too many": (said(*[_GOOD] * (MAX_ITEMS + 1)), "feedback"),
    "no object": ([_GOOD], "feedback"),
    "no item": (said(_GOOD, "x"), "feedback[1]"),
    "null item": (said(None), "feedback[0]"),
    "no card": (said(without(_GOOD, "card")), "feedback[0].card"),
    "empty card": (said(overridden("")), "feedback[0].card"),
    "card no text": (said(overridden(card=7)), "feedback[0].card"),
    "long card": (said(overridden("c" * 101)), "feedback[0].card"),
    "NUL": (said(overridden("a\0b")), "feedback[0].card"),
    "no outcome": (said(without(_GOOD, "outcome")), "feedback[0].outcome"),
    "unknown outcome": (said(overridden(outcome="ignored")), "feedback[0].outcome"),
    "no timestamp": (said(*[_GOOD] * 3, without(_GOOD, "outcomeTimestamp")), "feedback[3].outcomeTimestamp"),
    "no suggestions": (said(without(_GOOD, "acceptedSuggestions")), "feedback[0].acceptedSuggestions"),
    "empty suggestions": (said(accepted() | {"acceptedSuggestions": []}), "feedback[0].acceptedSuggestions"),
    "suggestion without id": (
        said(accepted() | {"acceptedSuggestions": [{"id": "a"}, {}]}), "feedback[0].acceptedSuggestions[1].id",
    ),
    "suggestions no list": (said(accepted() | {"acceptedSuggestions": "x"}), "feedback[0].acceptedSuggestions"),
    "suggestion no object": (said(accepted() | {"acceptedSuggestions": ["x"]}), "feedback[0].acceptedSuggestions[0]"),
    "too many suggestions": (said(accepted("c", *["x"] * 101)), "feedback[0].acceptedSuggestions"),
    "reason without code": (
        said(overridden(overrideReason={"reason": {"display": "x"}})), "feedback[0].overrideReason.reason.code",
    ),
    "reason no object": (said(overridden(overrideReason={"reason": "x"})), "feedback[0].overrideReason.reason"),
    "override reason no object": (said(overridden(overrideReason="x")), "feedback[0].overrideReason"),
    "long comment": (
        said(overridden(overrideReason={"userComment": "x" * (MAX_COMMENT + 1)})),
        "feedback[0].overrideReason.userComment",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "place"), _REFUSED.values(), ids=_REFUSED)
def test_r145_a_refusal_names_the_member_and_not_its_value(body: Any, place: str):
    with pytest.raises(RequestError) as refused:
        parse_feedback(json.dumps(body).encode(), ISSUER, SERVICE, AT)
    (issue,) = refused.value.issues
    assert refused.value.status == 400
    assert issue.expression == place
    assert "ignored" not in issue.diagnostics
    assert len(issue.diagnostics) < 200


@pytest.mark.parametrize(
    "body", [body for name, (body, _) in _REFUSED.items() if name not in ("NUL", "null", "null item")]
)
def test_what_is_refused_is_not_as_described(body: Any):
    assert faults("Feedback", body)


@pytest.mark.parametrize("item", [*_DIFFERENT, overridden(extension={"x": 1})])
def test_what_is_taken_is_as_described(item: dict[str, Any]):
    assert faults("Feedback", said(item)) == []


@pytest.mark.parametrize(
    "stated",
    ["", "now", "2026-11-20", "2026-11-20T12:00:00", "2026-11-20T12:00Z", "2026-02-30T12:00:00Z",
     "2026-11-20T25:00:00Z", "2026-11-20T12:00:00+02:00", "2026-11-20 12:00:00Z", "0000-11-20T12:00:00Z",
     "2026-11-20T12:00:00Z\n", 1763640000, "٢026-11-20T12:00:00Z"],
)  # fmt: skip
def test_r144_bad_timestamps(stated: Any):
    with pytest.raises(RequestError) as refused:
        rows(overridden(outcomeTimestamp=stated))
    assert refused.value.issues[0].expression == "feedback[0].outcomeTimestamp"


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"\xff", b"\xef\xbb\xbf{}", b'{"feedback": [1e999]}', b'{"feedback": NaN}', b"[" * 200,
     b'{"feedback": [{"card": "\\ud800"}]}', b"{} {}", b'"x"', b"null"],
)  # fmt: skip
def test_r145_what_is_no_json_is_a_400(body: bytes):
    answer = client().post(URL, data=body, content_type=JSON)
    assert answer.status_code == 400
    expressions(answer)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*_GOOD, "overrideReason", "reason", "code", "id", "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(_json)
def test_r145_whatever_an_item_is_it_is_taken_or_refused(item: Any):
    body = json.dumps(said(item))
    answer = client().post(URL, data=body, content_type=JSON)
    assert answer.status_code in (400, 503)  # nobody keeps here what is good
    assert answer.status_code == 503 or all(place.startswith("feedback[0]") for place in expressions(answer))


# --- before the body is read -------------------------------------------------------------------------------


def test_r146_an_unknown_service_is_a_404():
    assert client().post(URL.replace("patient-view", "nothing"), json=said(accepted())).status_code == 404


def test_other_content_is_a_415():
    assert client().post(URL, data="card=1", content_type="application/x-www-form-urlencoded").status_code == 415


def test_other_methods_are_a_405():
    answer = client().get(URL)
    assert (answer.status_code, sorted(answer.headers["Allow"].split(", "))) == (405, ["OPTIONS", "POST"])


def test_where_nothing_can_be_kept_nothing_is_acknowledged():
    """An application without a clerk, as when another server runs it."""
    answer = client().post(URL, json=said(accepted()))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
