"""What the cards say and offer (catalogue, section 6), by the facts that a clinician would look for on them."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.card import Card
from cds.cards import EVIDENCE_SHOWN, basis, cards
from cds.catalogue import CRITERIA, SOURCE_TITLES, Group, Source, in_group
from cds.concepts import BOOLEAN_FINDINGS, CONDITIONS
from cds.findings import findings
from cds.wording import SUMMARY_LENGTH, latest_day, listed, short, short_date, summarized
from tests.chart_builders import (
    BORN,
    active,
    ago,
    allergic_to,
    drafts,
    evaluated,
    measures,
    ordered,
    reported,
    resolved,
    says,
    takes,
    treated,
)

PAIN = active("back-pain", days_ago=14)
LONG_PAIN = active("back-pain", days_ago=150)
SPASM = active("back-spasm", days_ago=4)
NSAID_FOR_LONG = takes("nsaid", days_ago=140)
STENOSIS = active("spinal-stenosis", days_ago=200)
SCIATICA = active("sciatica-radiculopathy", days_ago=150)
RETENTION = active("urinary-retention", days_ago=0)
CHILD = "2018-03-04"


def shown(*facts, hook: str = "patient-view", **chart: Any) -> dict[str, Card]:
    """The cards by group (order hooks: by criterion)."""
    order_hook = hook.startswith("order")
    answered = cards(evaluated(*facts, **chart), hook)
    return {card.criteria[0] if order_hook else card.group: card for card in answered}


def kinds(card: Card) -> list[str]:
    return [each.kind for each in card.suggestions]


class Story(NamedTuple):
    """A record, the card it is about, and what that card says and does not say."""

    group: str
    facts: tuple
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    summary: str = ""
    kinds: tuple[str, ...] | None = None
    chart: Mapping[str, Any] = MappingProxyType({})


STORIES = {
    # --- emergency ---
    "retention since today": Story(
        "emergency",
        (PAIN, RETENTION),
        says=(
            "Urinary retention since 2026-11-20",
            "perianal sensation",
            "anal tone",
            "post-void residual",
            "prostate",
            "medicines",
            "closing it on the problem list",
            "Healthgrades",
        ),
        never=("Leg weakness is recorded", "stroke", "Beyond"),
        summary="Possible cauda equina syndrome: urinary retention since Nov 20",
        kinds=("emergency-department-referral", "mri-lumbar"),
    ),
    "retention and leg weakness": Story(
        "emergency", (PAIN, RETENTION, says("leg-weakness", days_ago=2)), says=("Leg weakness is recorded too",)
    ),
    "retention and a reduced grade": Story(
        "emergency",
        (PAIN, RETENTION, measures("muscle-strength-grade", 4, days_ago=2)),
        says=("Leg weakness is recorded too",),
    ),
    "three signs": Story(
        "emergency",
        (PAIN, says("bowel-control-loss", days_ago=1), RETENTION, says("saddle-anesthesia", days_ago=1)),
        summary="Possible cauda equina syndrome: urinary retention since Nov 20, saddle anesthesia on Nov 19 and "
        "1 more",
    ),
    "weak leg": Story(
        "emergency",
        (PAIN, measures("muscle-strength-grade", 3, days_ago=1)),
        never=("perianal", "stroke"),
        summary="Possible emergency: leg strength of grade 3 or less on Nov 19",
        kinds=("emergency-department-referral", "mri-lumbar"),
    ),
    "paralysis": Story(
        "emergency",
        (PAIN, says("paralysis", days_ago=1)),
        summary="Possible emergency: paralysis on Nov 19",
        kinds=("emergency-department-referral", "mri-whole-spine"),
    ),
    "lost balance": Story(
        "emergency",
        (PAIN, says("balance-loss", days_ago=1)),
        kinds=("emergency-department-referral", "mri-whole-spine"),
    ),
    "weak leg and a cancer of old": Story(
        "emergency",
        (PAIN, measures("muscle-strength-grade", 3, days_ago=1), resolved("malignancy-history", when="2015")),
        says=("NICE NG234",),
        summary="Possible spinal cord compression: cancer with a new neurological sign on Nov 19 and leg strength of "
        "grade 3 or less on Nov 19",
        kinds=("emergency-department-referral", "mri-whole-spine"),
    ),
    "retention and a cancer of old": Story(
        "emergency",
        (PAIN, RETENTION, resolved("malignancy-history", when="2015")),
        kinds=("emergency-department-referral", "mri-whole-spine"),
    ),
    "cord compression found": Story(
        "emergency",
        (active("cord-compression-myelopathy", days_ago=4),),
        summary="Possible spinal cord compression: listed as a condition since Nov 16",
    ),
    "numb on one side": Story(
        "emergency",
        (PAIN, says("one-sided-weakness-or-numbness", days_ago=1)),
        says=(
            "**Options**\n\n- Consider calling the emergency services, and think of stroke.\n"
            "- Consider an urgent referral to the emergency department for a possible stroke.",
        ),
        never=("MRI", "problem list"),
        kinds=("emergency-department-referral",),
    ),
    "altered consciousness": Story(
        "emergency",
        (PAIN, says("altered-consciousness", days_ago=1)),
        says=("emergency services", "think of stroke"),
        never=("MRI",),
        kinds=("emergency-department-referral",),
    ),
    "altered consciousness and retention": Story(
        "emergency",
        (PAIN, RETENTION, says("altered-consciousness", days_ago=1)),
        says=("think of stroke", "an urgent referral to the emergency department.", "problem list"),
        kinds=("emergency-department-referral", "mri-lumbar"),
    ),
    "retention that was only observed": Story(
        "emergency", (PAIN, says("urinary-retention", days_ago=1)), never=("problem list",)
    ),
    "a sign beside a cancer on the problem list": Story(
        "emergency",
        (PAIN, active("malignancy-active", days_ago=90), says("leg-weakness", days_ago=1)),
        never=("problem list",),
    ),
    # --- red flags ---
    "cancer and night pain": Story(
        "red-flag",
        (PAIN, says("night-pain", days_ago=1), resolved("malignancy-history", when="2015")),
        says=(
            "Malignancy history since 2015",
            "Night pain on 2026-11-19",
            "raises suspicion only a little",
            "count together",
            "Dr.Oracle",
        ),
        never=("weak on its own", "adult age", "not confirmed", "could not be read"),
        summary="Back pain with 2 red flags: history of cancer (2015) and pain at night (Nov 19)",
        kinds=("mri-lumbar", "esr", "crp", "blood-count"),
    ),
    "night pain asks for no blood test": Story(
        "red-flag", (PAIN, says("night-pain", days_ago=1)), kinds=("mri-lumbar",)
    ),
    "a weak flag": Story(
        "red-flag",
        (active("back-pain", days_ago=50), takes("nsaid", days_ago=45)),
        says=("weak on its own",),
        summary="Back pain with 1 weak red flag: pain over 4 weeks despite treatment (onset Oct 1)",
        kinds=("mri-lumbar",),
    ),
    "active malignancy": Story(
        "red-flag",
        (PAIN, active("malignancy-active", when="2026-08")),
        kinds=("mri-whole-spine", "esr", "crp", "blood-count"),
    ),
    "metastasis": Story(
        "red-flag",
        (active("metastasis-bone", days_ago=5),),
        summary="Back pain with 1 red flag: tumor or metastasis of the spine (Nov 15)",
        kinds=("mri-whole-spine", "esr", "crp", "blood-count"),
    ),
    **{
        f"blood tests for {name}": Story("red-flag", (PAIN, fact), kinds=("mri-lumbar", "esr", "crp", "blood-count"))
        for name, fact in {
            "fever": says("fever", days_ago=1),
            "a raised temperature": measures("body-temperature", 38.5, days_ago=1),
            "an infected disc": active("infection-spinal", days_ago=3),
            "a suppressed immune system": active("immunosuppression-condition", days_ago=500),
            "injected drugs": says("iv-drug-use", days_ago=5),
        }.items()
    },
    "osteoporosis": Story(
        "red-flag",
        (PAIN, active("osteoporosis", when="2019")),
        says=("beyond the source documents: ACP/APS", "ACR"),
        summary="Back pain with 1 red flag: osteoporosis (2019)",
        kinds=("mri-lumbar",),
    ),
    "a flag of several findings counts once": Story(
        "red-flag",
        (
            PAIN,
            active("osteoporosis", when="2019"),
            says("recent-trauma", days_ago=3),
            takes("systemic-corticosteroid", days_ago=130),
            says("night-pain", days_ago=1),
        ),
        says=("Osteoporosis since 2019", "Recent trauma on", "Systemic corticosteroid since"),
        summary="Back pain with 2 red flags: recent trauma (Nov 17) and pain at night (Nov 19)",
    ),
    "a child, nothing beside": Story(
        "red-flag",
        (PAIN,),
        says=("adult age", "No test is suggested on age alone", "28 days", "do not tell of any"),
        never=("neither", "shows"),
        summary="Back pain with 1 red flag: back pain in a child",
        kinds=(),
        chart={"born": CHILD},
    ),
    "a child, 28 days of pain": Story("red-flag", (active("back-pain", days_ago=28),), kinds=(), chart={"born": CHILD}),
    "a child, 29 days of pain": Story(
        "red-flag",
        (active("back-pain", days_ago=29),),
        says=("the record also shows pain for more than 28 days",),
        kinds=("mri-lumbar", "esr", "crp", "blood-count"),
        chart={"born": CHILD},
    ),
    "a child with a sensory change": Story(
        "red-flag",
        (PAIN, says("leg-sensory-change", days_ago=2)),
        says=("the record also shows a neurological sign",),
        kinds=("mri-lumbar", "esr", "crp", "blood-count"),
        chart={"born": CHILD},
    ),
    "a child with pain at night": Story(
        "red-flag",
        (PAIN, says("night-pain", days_ago=2)),
        never=("age alone",),
        kinds=("mri-lumbar", "esr", "crp", "blood-count"),
        chart={"born": CHILD},
    ),
    "not confirmed, not all read": Story(
        "red-flag",
        (PAIN, active("infection-spinal", days_ago=3, display="Discitis (provisional)")),
        says=("marked in the record as not confirmed", "3 resources of the record could not be read"),
        chart={"unreadable": {"Condition": 2, "Observation": 1}},
    ),
    # --- surgical referral ---
    "stenosis and sciatica": Story(
        "surgical-referral",
        (STENOSIS, SCIATICA, treated("physical-therapy", days_ago=120), measures("walking-distance", 150, days_ago=5)),
        says=(
            "discectomy",
            "2–3 %",
            "1–2 %",
            "laminectomy",
            "about as well as decompression with fusion",
            "1–4 days",
            "about 6 weeks",
            "3 to 6 months",
            "about 4 months after the onset",
            "since 2026-06-23",
            "Cleveland Clinic",
        ),
        never=("non-specific", "stabilization"),
        summary="Reasons to discuss a spine surgeon: walking cut short (Nov 15), compression of nerve or cord "
        "(Nov 15) and 1 more",
        kinds=("spine-surgeon-referral",),
    ),
    "stenosis alone": Story(
        "surgical-referral",
        (active("spinal-stenosis", "neurogenic-claudication", days_ago=60),),
        says=("laminectomy",),
        never=("discectomy", "months of conservative"),
    ),
    "instability": Story(
        "surgical-referral",
        (
            active("spinal-instability", days_ago=60),
            says("pain-worse-with-activity", days_ago=2),
            says("pain-relieved-by-rest", days_ago=2),
        ),
        says=("stabilization",),
        never=("laminectomy", "discectomy"),
    ),
    "cord compression": Story(
        "surgical-referral", (active("cord-compression-myelopathy", days_ago=4),), says=("Pressure on the cord",)
    ),
    "scoliosis that progresses": Story(
        "surgical-referral",
        (active("scoliosis", days_ago=900), says("scoliosis-progression", days_ago=9)),
        says=("Progressive scoliosis is among the reasons",),
        never=("days in hospital",),
        kinds=("spine-surgeon-referral",),
    ),
    "pain without a cause on record": Story(
        "surgical-referral",
        (LONG_PAIN, NSAID_FOR_LONG, measures("pain-score", 5, days_ago=3)),
        says=("rarely helps non-specific back pain", "exercise", "rehabilitation", "psychological"),
        never=("discectomy", "in hospital", "months"),
        summary="Reasons to discuss a spine review: no relief from conservative treatment (onset Jun 23)",
        kinds=("spine-review",),
    ),
    "a back problem with a recordedDate only": Story(
        "surgical-referral",
        (
            active("sciatica-radiculopathy", days_ago=120, onset_stated=False),
            active("degenerative-spine", days_ago=300),
            takes("nsaid", days_ago=110),
            measures("pain-score", 5, days_ago=3),
        ),
        says=("When this back problem began is not on record; it was recorded 2026-07-23.",),
        never=("recorded recorded", "since 2026-07-23"),
    ),
    "a short walk by itself": Story(
        "surgical-referral",
        (LONG_PAIN, NSAID_FOR_LONG, measures("walking-distance", 60, days_ago=5)),
        says=("Walks 60 m (2026-11-15)", "100 m or less"),
        kinds=("spine-review",),
    ),
    "a short walk, not measured exactly": Story(
        "surgical-referral",
        (STENOSIS, measures("walking-distance", 60, days_ago=5, comparator="<")),
        says=("Walks less than 60 m (2026-11-15)", "laminectomy"),
    ),
    "a walk that is no reason to warn": Story(
        "surgical-referral", (STENOSIS, measures("walking-distance", 101, days_ago=5)), never=("Walks",)
    ),
    "a short walk with a weak leg": Story(
        "surgical-referral",
        (STENOSIS, measures("walking-distance", 60, days_ago=5), measures("muscle-strength-grade", 4, days_ago=3)),
        never=("Walks",),
    ),
    "a weak foot is no non-specific pain": Story(
        "surgical-referral",
        (LONG_PAIN, measures("muscle-strength-grade", 4, days_ago=3)),
        never=("non-specific",),
        kinds=("spine-surgeon-referral",),
    ),
    # --- information ---
    "a spasm": Story(
        "information",
        (SPASM,),
        says=(
            "not a surgical problem",
            "staying active",
            "bed rest",
            "ice",
            "anti-inflammatory and a muscle relaxant together",
            "beyond the source documents: ACP low back pain guideline",
        ),
        never=("Caution", "could be checked"),
        summary="For information: back spasm on its own (Nov 16)",
        kinds=(),
    ),
    **{
        f"a spasm with {words}": Story("information", (SPASM, fact), says=("Caution", words))
        for words, fact in {
            "anticoagulant": takes("anticoagulant", days_ago=30),
            "pregnancy": active("pregnancy", days_ago=30),
            "kidney disease": active("kidney-disease", days_ago=300),
            "heart failure": active("heart-failure", days_ago=300),
            "peptic ulcer or gastrointestinal bleeding": active("peptic-ulcer-gi-bleed", days_ago=30),
            "NSAID allergy": allergic_to("nsaid-allergy"),
        }.items()
    },
    "a spasm at 65": Story("information", (SPASM,), says=("age 65 or over",), chart={"born": "1961-11-20"}),
    "a spasm a day before 65": Story("information", (SPASM,), never=("Caution",), chart={"born": "1961-11-21"}),
    "a spasm at an unknown age": Story(
        "information", (SPASM,), says=("age is not recorded",), never=("muscle relaxant",), chart={"born": None}
    ),
    "a spasm, medicines not available": Story(
        "information",
        (SPASM,),
        says=("Not all cautions could be checked: medication requests not available",),
        chart={"missing": ["MedicationRequest"]},
    ),
    "a spasm, allergies not available": Story(
        "information",
        (SPASM,),
        says=("Not all cautions could be checked: allergies not available.",),
        chart={"missing": ["AllergyIntolerance"]},
    ),
    "a spasm, imaging studies not available": Story(
        "information", (SPASM,), never=("could be checked", "imaging studies"), chart={"missing": ["ImagingStudy"]}
    ),
    "a spasm with low potassium": Story(
        "information",
        (SPASM, measures("potassium", 3.1, days_ago=2)),
        says=("Low potassium can make a muscle cramp",),
        never=("Low calcium",),
    ),
    "a spasm with low calcium": Story(
        "information",
        (SPASM, measures("calcium-total", 8.0, days_ago=2)),
        says=("Low calcium can make a muscle cramp",),
    ),
    "a spasm with dehydration": Story(
        "information", (SPASM, active("dehydration", days_ago=2)), says=("consider rehydration",)
    ),
    "a spasm for weeks": Story(
        "information", (active("back-spasm", days_ago=29),), says=("Consider a prompt review: a spasm",)
    ),
    "a herniation that came back": Story(
        "information",
        (active("disc-herniation", days_ago=80, recurring=True), treated("physical-therapy", days_ago=20)),
        says=("Consider a prompt review: symptoms of a herniation",),
        never=("bed rest",),
    ),
    "compression, early": Story(
        "information",
        (
            active("sciatica-radiculopathy", days_ago=10),
            active("disc-herniation", days_ago=10),
            measures("pain-score", 5, days_ago=1),
        ),
        says=(
            "Compression, early: surgery is a last resort",
            "about 6 weeks",
            "sooner if the pain gets worse or weakness or numbness appears",
        ),
        never=("not a surgical problem",),
        kinds=(),
    ),
    "compression, early, with numbness": Story(
        "information",
        (
            active("back-pain", days_ago=41),
            active("disc-herniation", days_ago=10),
            says("leg-sensory-change", days_ago=1),
        ),
        says=("Compression, early:", "sooner if pain, weakness or numbness gets worse"),
        never=("appears",),
    ),
    "compression, onset not known": Story(
        "information",
        (active("disc-herniation"), says("radicular-pain", days_ago=1)),
        says=("Compression: surgery is a last resort",),
        never=("early",),
    ),
    "compression, onset not exact": Story(
        "information",
        (active("back-pain", when="2026-10"), active("disc-herniation"), says("radicular-pain", days_ago=1)),
        says=("Compression: surgery is a last resort",),
        never=("early",),
    ),
    "radicular pain by itself": Story(
        "information",
        (active("sciatica-radiculopathy", days_ago=10), measures("pain-score", 5, days_ago=1)),
        says=("Radicular pain, early: surgery is a last resort",),
        never=("Compression",),
    ),
    # --- not assessed ---
    "little is known": Story(
        "not-assessed",
        (PAIN,),
        says=(
            "Emergency signs",
            "Signs of cauda equina syndrome",
            "Red flags",
            "pain at night",
            "neither a yes nor a no",
        ),
        never=("history of cancer", "inflammatory markers", "child", "Could not be had"),
        summary="Back pain: 14 emergency or red-flag questions not answered in the record",
        kinds=(),
    ),
    "conditions not available": Story(
        "not-assessed",
        (says("back-spasm", days_ago=4),),
        says=("Could not be had: conditions.", "History of cancer"),
        summary="Back pain: 21 emergency or red-flag questions not answered in the record; some data could not be had",
        chart={"missing": ["Condition"]},
    ),
    "data that no criterion asks for are not available": Story(
        "not-assessed",
        (PAIN,),
        never=("Could not be had", "allergies", "imaging"),
        summary="Back pain: 14 emergency or red-flag questions not answered in the record",
        chart={"missing": ["AllergyIntolerance", "ImagingStudy"]},
    ),
    "other data are not available either": Story(
        "not-assessed",
        (PAIN,),
        says=("Could not be had: allergies and procedures.",),
        chart={"missing": ["AllergyIntolerance", "Procedure"]},
    ),
    "no telling whether the back hurts": Story(
        "not-assessed",
        (),
        says=("Back pain could not be checked", "Could not be had: conditions and observations"),
        summary="Back pain could not be checked: conditions were not available",
        chart={"missing": ["Condition", "Observation"]},
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name):
    story = STORIES[name]
    card = shown(*story.facts, **story.chart)[story.group]
    for text in story.says:
        assert text in card.detail
    for text in story.never:
        assert text not in card.detail
    if story.summary:
        assert card.summary == story.summary
    if story.kinds is not None:
        assert kinds(card) == list(story.kinds)


@pytest.mark.parametrize(("born", "named"), [("2008", False), ("2007", True)])
def test_no_medicine_is_named_for_a_possible_child(born, named):
    """Of a patient born in 2008 the record does not tell whether that is 17 or 18 years ago."""
    assert ("muscle relaxant" in shown(SPASM, born=born)["information"].detail) is named


# --- order safety ---------------------------------------------------------------------------------------------

SIX_DAYS = active("back-pain", days_ago=6)

ORDERS = {
    "traction with osteoporosis": (
        "traction-caution",
        (SIX_DAYS, active("osteoporosis", when="2019"), drafts("spinal-traction")),
        "Caution with spinal traction: osteoporosis",
        ("Osteoporosis since 2019", "Consider another treatment"),
        ["delete"],
    ),
    "traction with a fracture": (
        "traction-caution",
        (SIX_DAYS, active("vertebral-fracture", days_ago=9), drafts("spinal-traction")),
        "Caution with spinal traction: vertebral fracture",
        ("goes beyond the source",),
        ["delete"],
    ),
    "a routine MRI in an emergency": (
        "emergency-outstanding",
        (SIX_DAYS, RETENTION, drafts("mri-lumbar")),
        "MRI of the lumbar spine: routine, and an emergency not settled: urinary retention since Nov 20",
        ("Consider priority stat", "Urinary retention since 2026-11-20"),
        ["update", "delete"],
    ),
    "surgery for a spasm": (
        "surgery-for-isolated-spasm",
        (SPASM, drafts("spinal-surgery")),
        "Spinal surgery: only a back spasm is on record",
        ("found in what was recorded", "Consider conservative care", "signs of cauda equina syndrome"),
        ["delete"],
    ),
    "surgery after weeks": (
        "surgery-before-conservative",
        (STENOSIS, treated("physical-therapy", days_ago=30), drafts("spinal-surgery")),
        "Spinal surgery: conservative treatment was short or not tried",
        ("3 to 6 months", "signs of cauda equina syndrome"),
        ["delete"],
    ),
    "fusion for stenosis": (
        "fusion-without-instability",
        (STENOSIS, drafts("spinal-surgery", "spinal-fusion")),
        "Spinal fusion: stenosis, and no instability found on record",
        ("about as well as decompression with fusion", "Consider decompression alone"),
        ["update", "delete"],
    ),
    "an early MRI": (
        "imaging-without-red-flag",
        (SIX_DAYS, active("pregnancy", days_ago=60), drafts("mri-lumbar")),
        "MRI of the lumbar spine: early, and nothing alarming found on record",
        ("less than 6 weeks ago (2026-11-14)", "ACP/APS", "signs of cauda equina syndrome"),
        ["delete"],
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_order(name):
    id_, facts, summary, says_, actions = ORDERS[name]
    card = shown(*facts, hook="order-sign")[id_]
    assert card.summary == summary
    for text in says_:
        assert text in card.detail
    assert [change.action for change in card.changes] == actions
    assert card.orders[0] == facts[-1].fact
    assert card.suggestions == ()


@pytest.mark.parametrize(("concept", "warns"), [("xray-lumbar", True), ("ct-lumbar", True), ("mri-lumbar", False)])
def test_radiation_in_a_pregnancy(concept, warns):
    pregnant = shown(SIX_DAYS, active("pregnancy", days_ago=60), drafts(concept), hook="order-sign")
    assert ("unborn child" in pregnant["imaging-without-red-flag"].detail) is warns
    assert "unborn child" not in shown(SIX_DAYS, drafts(concept), hook="order-sign")["imaging-without-red-flag"].detail


def test_an_order_without_an_id_cannot_be_changed():
    card = shown(SIX_DAYS, RETENTION, drafts("mri-lumbar", id=""), hook="order-sign")["emergency-outstanding"]
    assert card.changes == ()
    assert card.orders[0] is not None


def test_all_orders_that_a_card_is_about_are_named_and_may_be_changed():
    facts = SIX_DAYS, RETENTION, drafts("mri-lumbar", id="a"), drafts("physical-therapy", id="b")
    urgent = drafts("ct-lumbar", id="c", urgent=True)
    card = shown(*facts, urgent, hook="order-sign")["emergency-outstanding"]
    assert card.summary.startswith("MRI of the lumbar spine and 1 more: routine")
    assert "About: MRI of the lumbar spine and physical therapy." in card.detail
    assert {change.order.id for change in card.changes} == {"a", "b"}


def test_an_urgent_fusion_is_not_made_more_urgent():
    card = shown(STENOSIS, drafts("spinal-fusion", urgent=True), hook="order-sign")["fusion-without-instability"]
    assert [change.action for change in card.changes] == ["delete"]


def test_searches_that_failed_are_named_on_an_order_card():
    facts = SIX_DAYS, active("osteoporosis", when="2019"), drafts("spinal-traction")
    card = shown(*facts, hook="order-sign", missing=["Procedure"])["traction-caution"]
    assert "Could not be had: procedures." in card.detail
    assert "Could not be had" not in shown(*facts, hook="order-sign")["traction-caution"].detail
    assert "Could not be had" not in shown(PAIN, RETENTION, missing=["Procedure"])["emergency"].detail
    supplementary = shown(*facts, hook="order-sign", missing=["AllergyIntolerance", "ImagingStudy"])
    assert "Could not be had" not in supplementary["traction-caution"].detail


# --- what is open -----------------------------------------------------------------------------------------------


def test_a_card_refers_to_the_one_that_lists_what_is_open():
    answer = shown(PAIN, RETENTION)
    assert (
        "13 emergency or red-flag questions not answered in the record: see the last card."
        in answer["emergency"].detail
    )
    assert "see the last card" not in answer["not-assessed"].detail


def test_without_such_a_card_it_says_how_much_is_open():
    """An old back problem that is not current: nothing is asked, but a new finding is shown."""
    answer = shown(active("back-pain", when="2019"), RETENTION)
    assert "not-assessed" not in answer
    assert "13 emergency or red-flag questions not answered in the record." in answer["emergency"].detail


def test_what_a_site_disabled_is_neither_shown_nor_counted():
    answer = shown(PAIN, RETENTION, disabled={"night-pain"})
    assert "12 emergency or red-flag questions" not in shown(PAIN, RETENTION)["emergency"].detail
    assert "12 emergency or red-flag questions" in answer["emergency"].detail
    assert "pain at night" not in answer["not-assessed"].detail


@pytest.mark.parametrize(
    ("disabled", "fact", "words"),
    [
        ("night-pain", says("night-pain", days_ago=1), "pain at night"),
        ("fever-or-infection", says("fever", days_ago=1), "fever"),
    ],
)
def test_tests_for_a_child_do_not_rest_on_what_a_site_disabled(disabled, fact, words):
    card = shown(PAIN, fact, disabled={disabled}, born=CHILD)["red-flag"]
    assert words not in card.detail
    assert card.suggestions == ()
    assert words in shown(PAIN, born=CHILD)["red-flag"].detail


def test_an_order_card_names_no_emergency_that_a_site_disabled():
    facts = SIX_DAYS, RETENTION, measures("muscle-strength-grade", 3, days_ago=1), drafts("mri-lumbar")
    summary = (
        "MRI of the lumbar spine: routine, and an emergency not settled: leg strength of grade 3 or less on Nov 19"
    )
    assert shown(*facts, hook="order-sign", disabled={"cauda-equina"})["emergency-outstanding"].summary == summary


def test_a_surgical_card_names_nothing_that_a_site_disabled():
    curved = active("scoliosis", days_ago=900), says("scoliosis-progression", days_ago=9)
    facts = LONG_PAIN, NSAID_FOR_LONG, measures("walking-distance", 60, days_ago=5), *curved
    whole = shown(*facts)["surgical-referral"].detail
    assert "Walks 60 m" in whole
    assert "scoliosis is among the reasons" in whole
    part = shown(*facts, disabled={"neurogenic-claudication", "progressive-scoliosis"})["surgical-referral"].detail
    assert "Walks" not in part
    assert "scoliosis is among the reasons" not in part


def test_only_the_not_assessed_card_asks():
    assert {group: card.asks for group, card in shown(PAIN, RETENTION).items()} == {
        "emergency": False,
        "not-assessed": True,
    }


# --- suggestions ------------------------------------------------------------------------------------------------


def test_priorities():
    answer = shown(PAIN, RETENTION, active("infection-spinal", days_ago=2))
    assert [(each.kind, each.priority) for each in answer["emergency"].suggestions] == [
        ("emergency-department-referral", "urgent"),
        ("mri-lumbar", "stat"),
    ]
    assert {each.priority for each in answer["red-flag"].suggestions} == {"routine"}
    alone = shown(PAIN, active("infection-spinal", days_ago=2))["red-flag"].suggestions
    assert [(each.label, each.priority) for each in alone][:2] == [
        ("MRI of the lumbar spine, urgent", "urgent"),
        ("ESR", "routine"),
    ]
    assert (
        "Consider an urgent MRI of the lumbar spine."
        in shown(PAIN, active("infection-spinal", days_ago=2))["red-flag"].detail
    )


@pytest.mark.parametrize(
    ("facts", "priority", "beside"),
    [
        ([says("fever", days_ago=1)], "routine", None),
        ([says("iv-drug-use", days_ago=1)], "routine", None),
        ([says("fever", days_ago=1), says("iv-drug-use", days_ago=1)], "urgent", "intravenous drug use"),
        ([says("fever", days_ago=1), says("immunosuppression", days_ago=1)], "urgent", "immunosuppression"),
        ([says("fever", days_ago=1), says("night-pain", days_ago=1)], "routine", None),
    ],
)
def test_an_abscess_is_thought_of_where_fever_meets_a_low_defense(facts, priority, beside):
    card = shown(PAIN, *facts)["red-flag"]
    assert (card.suggestions[0].kind, card.suggestions[0].priority) == ("mri-lumbar", priority)
    assert ("epidural abscess" in card.detail) is bool(beside)
    assert not beside or f"Fever or infection beside {beside}: " in card.detail


def test_the_referral_for_a_stroke_says_so():
    stroke = shown(PAIN, says("one-sided-weakness-or-numbness", days_ago=1))["emergency"]
    assert [each.label for each in stroke.suggestions] == [
        "Referral to the emergency department, urgent (possible stroke)"
    ]
    retention = shown(PAIN, RETENTION)["emergency"]
    assert retention.suggestions[0].label == "Referral to the emergency department, urgent"


@pytest.mark.parametrize(("metres", "priority"), [(100, "urgent"), (101, "routine")])
def test_a_surgeon_is_urgent_where_the_card_warns(metres, priority):
    card = shown(STENOSIS, measures("walking-distance", metres, days_ago=5))["surgical-referral"]
    assert [each.priority for each in card.suggestions] == [priority]


def test_reasons_are_the_evidence_of_the_card_each_once():
    evaluation = evaluated(PAIN, RETENTION, measures("muscle-strength-grade", 3, days_ago=1))
    card = cards(evaluation, "patient-view")[0]
    assert card.criteria == ("cauda-equina", "severe-motor-weakness")
    references = [fact.reference for fact in card.suggestions[0].reasons]
    assert references == ["Condition/urinary-retention-2026-11-20", "Observation/muscle-strength-grade-2026-11-19-3"]


def test_evidence_is_shown_newest_first_up_to_a_number():
    many = [says("night-pain", days_ago=1, display=f"Night pain {n}") for n in range(EVIDENCE_SHOWN + 2)]
    card = shown(PAIN, *many)["red-flag"]
    assert card.detail.count("Night pain ") == EVIDENCE_SHOWN
    assert "; and 2 more" in card.detail


# --- any record -------------------------------------------------------------------------------------------------

CHART_WORDS = "zebra"
FACTS = [
    *(active(name, days_ago=days, display=CHART_WORDS) for days in (5, 200) for name in CONDITIONS),
    *(says(name, days_ago=3, display=CHART_WORDS) for name in BOOLEAN_FINDINGS),
    active("urinary-retention", display=CHART_WORDS),
    active("urinary-retention", days_ago=5, display=CHART_WORDS),
    active("back-pain", when="2026-06", display=CHART_WORDS),
    measures("muscle-strength-grade", 2, days_ago=1, display=CHART_WORDS),
    measures("muscle-strength-grade", 5, days_ago=9, display=CHART_WORDS),
    measures("pain-score", 8, days_ago=1, display=CHART_WORDS),
    measures("walking-distance", 90, days_ago=1, display=CHART_WORDS),
    measures("crp", 80, days_ago=1, display=CHART_WORDS),
    takes("nsaid", days_ago=130, display=CHART_WORDS),
    takes("systemic-corticosteroid", days_ago=130, display=CHART_WORDS),
    treated("physical-therapy", days_ago=120, display=CHART_WORDS),
    ordered("mri-lumbar", days_ago=2, urgent=True, display=CHART_WORDS),
    ordered("mri-whole-spine", days_ago=9, display=CHART_WORDS),
    reported("esr-order", days_ago=9, display=CHART_WORDS),
    drafts("mri-lumbar", display=CHART_WORDS),
    drafts("spinal-fusion", "spinal-surgery", id="d2", display=CHART_WORDS),
    drafts("spinal-traction", id="", display=CHART_WORDS),
]
RECORDS = st.lists(st.sampled_from(FACTS), max_size=18)
HOOKS = st.sampled_from(["patient-view", "order-sign"])
BIRTHS = st.sampled_from([BORN, CHILD, "1950", None])
MISSING = st.sets(st.sampled_from(["Condition", "Observation", "MedicationRequest"]), max_size=2)

BANNED = re.compile(
    r"\brule[ds]? out|\bmust\b|diagnos(e|ed|es|ing)\b|\bshould\b|\bno red flags?\b|\bneed(s|ed)? to\b"
    r"|\border (an?|the)\b|\bimmediately\b|\bguarantee|\bcure|\bexclude|\bsafe to\b|\bnormal\b",
    re.IGNORECASE,
)


@given(RECORDS, HOOKS, BIRTHS, MISSING)
@settings(max_examples=300)
def test_laws_of_all_cards(record, hook, born, missing):
    evaluation = evaluated(*record, born=born, missing=missing)
    answer = cards(evaluation, hook)
    for card in answer:
        assert 0 < len(card.summary) < SUMMARY_LENGTH
        assert card.summary.isprintable()
        assert CHART_WORDS not in card.summary
        assert not BANNED.search(f"{card.summary}\n{card.detail}")
        reasons = {fact for id_ in card.criteria for fact in evaluation.answers[id_].evidence}
        for each in card.suggestions:
            assert CHART_WORDS not in each.label
            assert each.reasons
            assert set(each.reasons) <= reasons
        if card.group != "not-assessed":
            assert "**What was found**" in card.detail
        assert all(CRITERIA[id_].title in card.detail for id_ in card.criteria if evaluation.answers[id_].met)
    suggested = [kind for card in answer for kind in kinds(card)]
    assert len(suggested) == len(set(suggested))
    assert not {"mri-lumbar", "mri-whole-spine"} <= set(suggested)
    assert cards(evaluated(*record, born=born, missing=missing), hook) == answer


@given(RECORDS, BIRTHS)
@settings(max_examples=300)
def test_an_emergency_that_is_met_has_a_finding_of_its_own(record, born):
    """The table of findings follows the criteria: it never falls back to the criterion as a whole."""
    evaluation = evaluated(*record, born=born)
    for id_ in (
        "cauda-equina",
        "progressive-neurological-deficit",
        "severe-motor-weakness",
        "possible-cord-compression",
        "fracture-risk",
    ):
        answer = evaluation.answers[id_]
        if answer.met:
            found = findings(evaluation.case, id_)
            assert all(finding.words != short(id_) or id_ == "progressive-neurological-deficit" for finding in found)
            assert {fact for finding in found for fact in finding.evidence} <= set(answer.evidence)


# --- words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-20", "Nov 20"),
        ("2026-01-05", "Jan 5"),
        ("2014-11-20", "Nov 2014"),
        ("2026-03", "Mar 2026"),
        ("2019", "2019"),
        ("1999/2000", "1999/2000"),
        ("", ""),
        ("yesterday", ""),
        ("2026-13", ""),
        ("[x](y)", ""),
        ("٢٠٢٦", ""),
    ],
)
def test_short_date(text, said):
    assert short_date(text, 2026) == said


def test_the_last_day_that_a_date_can_mean():
    assert [latest_day(text) for text in ("2026-02", "2024-02", "2019", "1999/2000", "", "0000")] == [
        latest_day("2026-02-28"),
        latest_day("2024-02-29"),
        latest_day("2019-12-31"),
        latest_day("2000-12-31"),
        None,
        None,
    ]


def test_a_summary_says_how_much_more_there_is():
    assert summarized("Lead", ["a"]) == "Lead: a"
    assert summarized("Lead", ["a", "b"]) == "Lead: a and b"
    assert summarized("Lead", ["a", "b", "c", "d"]) == "Lead: a, b and 2 more"
    assert summarized("Lead", []) == "Lead"


@pytest.mark.parametrize(("length", "items"), [(SUMMARY_LENGTH - 7, 1), (SUMMARY_LENGTH - 6, 0)])
def test_a_summary_drops_what_does_not_fit(length, items):
    text = summarized("Lead", ["x" * length])
    assert (": " in text) is bool(items)
    assert len(text) < SUMMARY_LENGTH


def test_enumerations():
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_every_criterion_has_a_short_name_that_fits_into_a_summary():
    for id_ in CRITERIA:
        assert 0 < len(short(id_)) <= 60
        assert short(id_)[0].islower()


def test_every_basis_names_its_sources():
    for entry in CRITERIA.values():
        text = basis((entry.id,), ())
        assert all(SOURCE_TITLES[source] in text for source in entry.sources)
        assert ("beyond the source documents" in text) is entry.beyond
    assert basis((), ()) == ""
    assert "Dr.Oracle" in basis((), (Source.DRORACLE_ETIOLOGY,))


def test_titles_obey_the_rules_for_words_too():
    assert not [entry.title for entry in in_group(*Group) if BANNED.search(entry.title)]


def test_dates_of_the_record_stand_in_the_detail_as_recorded():
    assert f"Night pain on {ago(1)}" in shown(PAIN, says("night-pain", days_ago=1))["red-flag"].detail
