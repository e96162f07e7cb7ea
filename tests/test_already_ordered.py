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
