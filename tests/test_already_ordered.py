"""What is already ordered or done is not suggested again (catalogue, section 8), on both sides of each boundary."""

import pytest

from cds.already_ordered import already, already_urgent
from cds.cards import cards
from tests.chart_builders import (
    TODAY,
    active,
    ago,
    case,
    evaluated,
    measures,
    ordered,
    reported,
    resolved,
    says,
    treated,
)

KNOWN = {
    "ordered today": (True, "mri-lumbar", ordered("mri-lumbar", days_ago=0)),
    "ordered 180 days ago": (True, "mri-lumbar", ordered("mri-lumbar", days_ago=180)),
    "ordered 181 days ago": (False, "mri-lumbar", ordered("mri-lumbar", days_ago=181)),
    "a draft": (True, "mri-lumbar", ordered("mri-lumbar", days_ago=1, status="draft")),
    "on hold": (True, "mri-lumbar", ordered("mri-lumbar", days_ago=1, status="on-hold")),
    "an order that was carried out": (False, "mri-lumbar", ordered("mri-lumbar", days_ago=1, status="completed")),
    "ordered in a month within memory": (True, "mri-lumbar", ordered("mri-lumbar", when="2026-05")),
    "ordered in a month before": (False, "mri-lumbar", ordered("mri-lumbar", when="2026-04")),
    "ordered, undated": (False, "mri-lumbar", ordered("mri-lumbar")),
    "ordered 200, to happen 180 days ago": (
        True,
        "mri-lumbar",
        ordered("mri-lumbar", days_ago=200, occurs_days_ago=180),
    ),
    "ordered 10, to happen 181 days ago": (
        False,
        "mri-lumbar",
        ordered("mri-lumbar", days_ago=10, occurs_days_ago=181),
    ),
    "to happen today, undated": (True, "mri-lumbar", ordered("mri-lumbar", occurs_days_ago=0)),
    "reported 90 days ago": (True, "mri-lumbar", reported("mri-lumbar", days_ago=90)),
    "reported 91 days ago": (False, "mri-lumbar", reported("mri-lumbar", days_ago=91)),
    "reported, not final": (False, "mri-lumbar", reported("mri-lumbar", days_ago=1, done=False)),
    "reported, undated": (False, "mri-lumbar", reported("mri-lumbar")),
    "images are there": (True, "mri-lumbar", reported("mri-lumbar", days_ago=1, kind="ImagingStudy")),
    "done 90 days ago": (True, "mri-lumbar", treated("mri-lumbar", days_ago=90)),
    "done 91 days ago": (False, "mri-lumbar", treated("mri-lumbar", days_ago=91)),
    "begun 100, done 80 days ago": (True, "mri-lumbar", treated("mri-lumbar", days_ago=100, until_days_ago=80)),
    "in progress": (False, "mri-lumbar", treated("mri-lumbar", days_ago=1, status="in-progress")),
    "the whole spine shows the lumbar region": (True, "mri-lumbar", ordered("mri-whole-spine", days_ago=1)),
    "the lumbar region is not the whole spine": (False, "mri-whole-spine", ordered("mri-lumbar", days_ago=1)),
    "an X-ray is no MRI": (False, "mri-lumbar", ordered("xray-lumbar", days_ago=1)),
    "ESR measured": (True, "esr", reported("esr-order", days_ago=5, kind="Observation")),
    "CRP measured is no ESR": (False, "esr", reported("crp-order", days_ago=5, kind="Observation")),
    "CRP ordered": (True, "crp", ordered("crp-order", days_ago=5)),
    "blood count ordered": (True, "blood-count", ordered("blood-count-order", days_ago=5)),
    "referred to a surgeon": (True, "spine-surgeon-referral", ordered("spine-surgeon-referral", days_ago=5)),
    "referred, so no review either": (True, "spine-review", ordered("spine-surgeon-referral", days_ago=5)),
    "referred for a knee": (
        False,
        "spine-surgeon-referral",
        ordered("spine-surgeon-referral", days_ago=5, about_back=False),
    ),
    "referred to the emergency department": (
        True,
        "emergency-department-referral",
        ordered("emergency-referral", days_ago=5),
    ),
}

URGENT = {
    "urgent, on the day it began": (True, ordered("mri-lumbar", days_ago=3, urgent=True)),
    "urgent, the day before": (False, ordered("mri-lumbar", days_ago=4, urgent=True)),
    "urgent, the day before, for the day it began": (
        True,
        ordered("mri-lumbar", days_ago=4, occurs_days_ago=3, urgent=True),
    ),
    "urgent, for the day before": (False, ordered("mri-lumbar", days_ago=3, occurs_days_ago=4, urgent=True)),
    "routine, since": (False, ordered("mri-lumbar", days_ago=1)),
    "urgent, in a month that may lie before": (False, ordered("mri-lumbar", when="2026-11", urgent=True)),
    "imaged on the day it began": (True, reported("mri-lumbar", days_ago=3, kind="ImagingStudy")),
    "imaged the day before": (False, reported("mri-lumbar", days_ago=4, kind="ImagingStudy")),
}


@pytest.mark.parametrize("name", KNOWN)
def test_already(name):
    known, kind, fact = KNOWN[name]
    assert (already(case(fact), kind) is not None) is known


@pytest.mark.parametrize("name", URGENT)
def test_already_urgent(name):
    known, fact = URGENT[name]
    assert (already_urgent(case(fact), "mri-lumbar", since=TODAY - 3) is not None) is known


def test_nothing_is_known_to_follow_an_emergency_of_unknown_date():
    assert already_urgent(case(ordered("mri-lumbar", days_ago=0, urgent=True)), "mri-lumbar", since=None) is None


def test_the_newest_is_named():
    found = already(case(ordered("mri-lumbar", days_ago=40), reported("mri-whole-spine", days_ago=20)), "mri-lumbar")
    assert (found.date, found.done, found.concept) == (ago(20), True, "mri-whole-spine")


# --- on the cards -----------------------------------------------------------------------------------------------

PAIN = active("back-pain", days_ago=14)
RETENTION = active("urinary-retention", days_ago=3)
NIGHT_PAIN = says("night-pain", days_ago=1)
CANCER = active("malignancy-active", days_ago=400)


def offered(*facts, hook="patient-view"):
    """Group -> kinds suggested, for each card."""
    return {card.group: [each.kind for each in card.suggestions] for card in cards(evaluated(*facts), hook)}


def card(group, *facts):
    return next(each for each in cards(evaluated(*facts), "patient-view") if each.group == group)


def test_each_order_is_suggested_once_on_the_first_card_that_wants_it():
    kinds = offered(PAIN, RETENTION, NIGHT_PAIN)
    assert kinds["emergency"] == ["emergency-department-referral", "mri-lumbar"]
    assert kinds["red-flag"] == []


def test_no_lumbar_mri_beside_one_of_the_whole_spine():
    kinds = offered(PAIN, RETENTION, CANCER)
    assert kinds["emergency"] == ["emergency-department-referral", "mri-whole-spine"]
    assert "mri-lumbar" not in kinds["red-flag"]
    assert "mri-whole-spine" not in kinds["red-flag"]
    assert kinds["red-flag"] == ["esr", "crp", "blood-count"]


def test_what_is_ordered_is_named_with_its_date_and_not_suggested():
    flagged = card("red-flag", PAIN, NIGHT_PAIN, ordered("mri-lumbar", days_ago=5))
    assert flagged.suggestions == ()
    assert f"MRI of the lumbar spine: already ordered on {ago(5)}." in flagged.detail


def test_what_is_done_is_named_with_its_date():
    flagged = card("red-flag", PAIN, resolved("malignancy-history", when="2015"), reported("crp-order", days_ago=5))
    assert f"CRP: done on {ago(5)}." in flagged.detail
    assert [each.kind for each in flagged.suggestions] == ["mri-lumbar", "esr", "blood-count"]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (ordered("mri-lumbar", days_ago=5, occurs_days_ago=-7), f"already ordered on {ago(5)} for {ago(-7)}"),
        (ordered("mri-lumbar", days_ago=5, occurs_days_ago=2), f"already ordered on {ago(5)} for {ago(2)}"),
        (ordered("mri-lumbar", days_ago=5, occurs_days_ago=5), f"already ordered on {ago(5)}"),
        (ordered("mri-lumbar", days_ago=5, occurs_days_ago=9), f"already ordered on {ago(5)}"),
        (ordered("mri-lumbar", occurs_days_ago=2), f"already ordered on {ago(2)}"),
        (ordered("mri-lumbar", occurs_days_ago=0), f"already ordered on {ago(0)}"),
        (ordered("mri-lumbar", occurs_days_ago=-1), f"already ordered for {ago(-1)}"),
    ],
)
def test_nothing_was_ordered_on_a_day_to_come(order, said):
    assert f"MRI of the lumbar spine: {said}." in card("red-flag", PAIN, NIGHT_PAIN, order).detail


def test_the_covering_order_is_named_as_what_it_is():
    flagged = card("red-flag", PAIN, NIGHT_PAIN, ordered("mri-whole-spine", days_ago=5))
    assert f"MRI of the whole spine: already ordered on {ago(5)}." in flagged.detail


def test_a_routine_order_does_not_settle_an_emergency():
    kinds = offered(PAIN, RETENTION, ordered("mri-lumbar", days_ago=1), ordered("emergency-referral", days_ago=1))
    assert kinds["emergency"] == ["emergency-department-referral", "mri-lumbar"]


@pytest.mark.parametrize(
    ("days_ago", "kinds"), [(3, ["mri-lumbar"]), (4, ["emergency-department-referral", "mri-lumbar"])]
)
def test_an_urgent_order_counts_from_the_start_of_the_earliest_finding(days_ago, kinds):
    later = says("saddle-anesthesia", days_ago=1)
    assert (
        offered(PAIN, RETENTION, later, ordered("emergency-referral", days_ago=days_ago, urgent=True))["emergency"]
        == kinds
    )


def test_a_cancer_of_old_is_not_the_start_of_the_emergency():
    """Cord compression is suspected for a new sign beside cancer; the emergency begins with the sign."""
    gait = says("gait-disturbance", days_ago=2)
    assert offered(PAIN, CANCER, gait, ordered("mri-whole-spine", days_ago=30, urgent=True))["emergency"] == [
        "emergency-department-referral",
        "mri-whole-spine",
    ]


def test_lost_strength_begins_with_the_newest_grade():
    grades = measures("muscle-strength-grade", 5, days_ago=40), measures("muscle-strength-grade", 4, days_ago=2)
    early, late = (ordered("mri-lumbar", days_ago=days, urgent=True) for days in (10, 2))
    assert "mri-lumbar" in offered(PAIN, *grades, early)["emergency"]
    assert "mri-lumbar" not in offered(PAIN, *grades, late)["emergency"]


def test_an_emergency_of_this_month_is_settled_by_an_order_of_today():
    vague = active("urinary-retention", when="2026-11")
    assert "mri-lumbar" not in offered(PAIN, vague, ordered("mri-lumbar", days_ago=0, urgent=True))["emergency"]
    assert "mri-lumbar" in offered(PAIN, vague, ordered("mri-lumbar", days_ago=1, urgent=True))["emergency"]


def test_an_undated_emergency_is_settled_by_no_order():
    assert (
        "mri-lumbar"
        in offered(PAIN, active("urinary-retention"), ordered("mri-lumbar", days_ago=0, urgent=True))["emergency"]
    )


def test_an_emergency_of_a_month_counts_from_its_last_possible_day():
    vague = active("urinary-retention", when="2026-10")
    on_the_last, before = (ordered("mri-lumbar", when=day, urgent=True) for day in ("2026-10-31", "2026-10-30"))
    assert "mri-lumbar" not in offered(PAIN, vague, on_the_last)["emergency"]
    assert "mri-lumbar" in offered(PAIN, vague, before)["emergency"]


# --- the start of an emergency that is recorded again ----------------------------------------------------------


def saddle(days_ago, present=True, **details):
    return says("saddle-anesthesia", present, days_ago=days_ago, **details)


def graded(value, days_ago, site="", **details):
    return measures("muscle-strength-grade", value, days_ago=days_ago, site=site, **details)


FOOT_DROP = active("foot-drop-leg-paresis", days_ago=1)
RECORDED_AGAIN = {
    "once": (1, [saddle(1)]),
    "again": (10, [saddle(10), saddle(1)]),
    "again, first out of the window": (90, [saddle(91), saddle(90), saddle(1)]),
    "again after a denial": (1, [saddle(10), saddle(5, present=False), saddle(1)]),
    "denied on the same day": (10, [saddle(10), saddle(10, present=False), saddle(1)]),
    "denied before": (10, [saddle(11, present=False), saddle(10), saddle(1)]),
    "denied without a date": (10, [saddle(10), saddle(None, present=False), saddle(1)]),
    "denied while it is said to last": (5, [saddle(1, began_days_ago=20), saddle(5, present=False)]),
    "for a span of time": (20, [saddle(1, began_days_ago=20)]),
    "as a condition later": (10, [saddle(10), active("saddle-anesthesia", days_ago=2)]),
    "as a condition before": (12, [active("saddle-anesthesia", days_ago=12), saddle(1)]),
    "new beside an old one": (
        1,
        [active("saddle-anesthesia", days_ago=300), saddle(10, own=False), saddle(1)],
    ),
    "in a standard code, something older": (1, [saddle(5, own=False, began_days_ago=100), saddle(1)]),
    "by another finding": (10, [says("urinary-retention", days_ago=10), saddle(1)]),
    "something that is no emergency": (1, [says("leg-weakness", days_ago=10), saddle(1)]),
    "suddenly, in the shorter window": (30, [says("paralysis", days_ago=days) for days in (31, 30, 1)]),
    "numbness again": (10, [says("limb-sensation-loss", days_ago=days) for days in (10, 1)]),
    "beside a cancer": (10, [CANCER, says("gait-disturbance", days_ago=10), says("gait-disturbance", days_ago=1)]),
    "beside a cancer of old, for which a gait does not count": (
        1,
        [
            resolved("malignancy-history", when="2015"),
            says("gait-disturbance", days_ago=10),
            says("leg-weakness", days_ago=1),
        ],
    ),
    "a grade again": (10, [graded(3, 10), graded(2.5, 1)]),
    "a grade again, better between": (1, [graded(3, 10), graded(3.5, 5), graded(3, 1)]),
    "a grade of another muscle": (1, [graded(3.5, 10, "left"), graded(3, 1, "right")]),
    "a grade above the limit before": (1, [graded(3.5, 10), graded(3, 1)]),
    "a grade that says nothing between": (10, [graded(3, 10), graded(2, 5, comparator=">"), graded(3, 1)]),
    "strength lost, graded again": (10, [graded(5, 40), graded(4, 10), graded(4, 1)]),
    "strength lost after it was regained": (1, [graded(4, 40), graded(5, 10), graded(4, 1)]),
    "beside a grade without a date": (1, [graded(4, None), saddle(1)]),
    "beside a grade that no longer holds": (1, [graded(3, 10), graded(2, 5, comparator=">"), FOOT_DROP]),
    "a reduced grade beside a cancer": (10, [CANCER, graded(4, 10), graded(4, 1)]),
}


@pytest.mark.parametrize("name", RECORDED_AGAIN)
def test_a_finding_that_is_recorded_again_has_not_begun_again(name):
    days, facts = RECORDED_AGAIN[name]
    settled, early = (ordered("emergency-referral", days_ago=day, urgent=True) for day in (days, days + 1))
    assert "emergency-department-referral" not in offered(PAIN, *facts, settled)["emergency"]
    assert "emergency-department-referral" in offered(PAIN, *facts, early)["emergency"]
