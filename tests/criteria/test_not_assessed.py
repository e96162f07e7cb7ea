"""Worked examples of the not-assessed card: what it lists and when it appears (catalogue, section 6)."""

import pytest

from cds.answers import UNKNOWN
from tests.records import SEARCHED, back_pain, condition, draft, form, judge, medicine, observation

# What a record of nothing but new back pain leaves unknown and the card therefore lists.
UNASKED = {
    "cauda-equina",
    "progressive-neurological-deficit",
    "severe-motor-weakness",
    "limb-sensation-loss",
    "balance-loss",
    "one-sided-deficit",
    "paralysis",
    "altered-consciousness",
    "unexplained-weight-loss",
    "fever-or-infection",
    "iv-drug-use",
    "night-pain",
    "severe-radicular-pain",
    "gait-disturbance",
}
# The answers that settle all of these: each criterion and the findings it asks for.
ASKED = {
    "cauda-equina": ("saddle-anesthesia", "urinary-retention", "bladder-control-loss", "bowel-control-loss"),
    "progressive-neurological-deficit": ("progressive-neurological-deficit",),
    "severe-motor-weakness": ("leg-weakness",),
    "limb-sensation-loss": ("limb-sensation-loss",),
    "balance-loss": ("balance-loss",),
    "one-sided-deficit": ("one-sided-weakness-or-numbness",),
    "paralysis": ("paralysis",),
    "altered-consciousness": ("altered-consciousness",),
    "unexplained-weight-loss": ("unexplained-weight-loss",),
    "fever-or-infection": ("fever", "infection-signs"),
    "iv-drug-use": ("iv-drug-use",),
    "night-pain": ("night-pain",),
    "severe-radicular-pain": ("radicular-pain",),
    "gait-disturbance": ("gait-disturbance",),
}


def answered(*but: str, **answers):
    """The form with every question answered no, except those of the criteria named and as given."""
    asked = [finding for criterion, findings in ASKED.items() if criterion not in but for finding in findings]
    given = {finding.replace("_", "-"): answer for finding, answer in answers.items()}
    return form({**dict.fromkeys(asked, False), **given})


# Situation -> what is on record, and the criteria that the card lists (None: no card).
LISTS = {
    "new back pain and nothing else": ([back_pain()], UNASKED),
    "every question answered no": ([back_pain(), answered()], None),
    "what is met is not listed": (
        [back_pain(), form({"saddle-anesthesia": True, "night-pain": True})],
        UNASKED - {"cauda-equina", "night-pain"},
    ),
    "one of four questions is not enough": ([back_pain(), form({"saddle-anesthesia": False})], UNASKED),
    "an answer too old": ([back_pain(), form({"night-pain": False}, days_ago=91)], UNASKED),
    "a weak leg that nobody graded": (
        [back_pain(), answered(leg_weakness=True)],
        {"severe-motor-weakness"},
    ),
    "cancer on record, the signs of cord compression not asked": (
        [back_pain(), condition("malignancy-history", 900)],
        UNASKED | {"possible-cord-compression"},
    ),
    "sciatica that nobody scored": (
        [condition("sciatica-radiculopathy"), answered("severe-radicular-pain")],
        {"severe-radicular-pain"},
    ),
    "a corticosteroid since a day not known": (
        [back_pain(), answered(), medicine("systemic-corticosteroid", None)],
        {"fracture-risk"},
    ),
    "a saddle anesthesia that is the back problem itself": (
        [form({"saddle-anesthesia": True})],
        UNASKED - {"cauda-equina"},
    ),
    "no back problem": ([condition("malignancy-history", 900)], None),
    "a back problem that is not current": ([back_pain(1000)], None),
    "the same, asked about lately": (
        [back_pain(1000), form({"night-pain": False})],
        UNASKED - {"night-pain"},
    ),
}


@pytest.mark.parametrize(("record", "criteria"), LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("hook", ["patient-view", "encounter-start"])
def test_lists(hook, record, criteria):
    judged = judge(*record, hook=hook)
    assert judged.cards().get("not-assessed") == (None if criteria is None else "info")
    assert set(judged.on_card("not-assessed")) == (criteria or set())
    assert all(judged.status(criterion) == UNKNOWN for criterion in judged.on_card("not-assessed"))


@pytest.mark.parametrize("criterion", ASKED)
def test_one_question_left_open_is_listed_alone(criterion):
    assert judge(back_pain(), answered(criterion)).on_card("not-assessed") == (criterion,)


# Unknown as well, yet never listed.
UNLISTED = {
    "raised-inflammatory-markers": ([back_pain(), answered()], {}),
    "pain-over-4-weeks": ([back_pain(60), answered()], {}),
    "child-back-pain": ([back_pain(), answered()], {"born": None}),
    "child-spinal-infection": ([back_pain(), answered("night-pain", night_pain=True)], {"born": "2020-02-02"}),
}


@pytest.mark.parametrize(("criterion", "record", "given"), [(each, *UNLISTED[each]) for each in UNLISTED], ids=UNLISTED)
def test_not_listed_though_unknown(criterion, record, given):
    judged = judge(*record, **given)
    assert judged.status(criterion) == UNKNOWN
    assert "not-assessed" not in judged.cards()


@pytest.mark.parametrize("kind", SEARCHED)
def test_a_search_not_available_always_opens_the_card(kind):
    assert "not-assessed" not in judge(back_pain(), answered(), observation("night-pain", False)).cards()
    record = back_pain(), form({"back-pain": True}), answered(), observation("night-pain", False)
    available = [resource for resource in record if resource["resourceType"] != kind]
    assert judge(*available, missing=[kind]).cards()["not-assessed"] == "info"


# Search not available -> the criteria that it leaves unknown although every question was answered no.
LEFT_OPEN = {
    "MedicationRequest": {"immunosuppression", "fracture-risk"},
    "MedicationStatement": {"immunosuppression", "fracture-risk"},
    "DiagnosticReport": set(),
}


@pytest.mark.parametrize(("kind", "criteria"), LEFT_OPEN.items(), ids=LEFT_OPEN)
def test_what_a_missing_search_leaves_open_is_listed(kind, criteria):
    assert set(judge(back_pain(), answered(), missing=[kind]).on_card("not-assessed")) == criteria


def test_without_a_back_problem_only_missing_conditions_open_the_card():
    assert judge(missing=["Condition"]).cards() == {"not-assessed": "info"}
    others = [kind for kind in SEARCHED if kind != "Condition"]
    assert judge(missing=others).cards() == {}


def test_an_old_back_problem_counts_as_current_when_observations_are_not_available():
    assert judge(back_pain(1000), missing=["Observation"]).cards()["not-assessed"] == "info"


def test_it_comes_last():
    record = back_pain(), form({"saddle-anesthesia": True, "night-pain": True})
    assert list(judge(*record).cards()) == ["emergency", "red-flag", "not-assessed"]


def test_a_disabled_criterion_is_not_listed():
    judged = judge(back_pain(), answered("night-pain"), disabled=["night-pain"])
    assert "not-assessed" not in judged.cards()


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_the_order_hooks_never_show_it(hook):
    assert "not-assessed" not in judge(back_pain(), hook=hook, drafts=[draft("mri-lumbar")]).cards()
