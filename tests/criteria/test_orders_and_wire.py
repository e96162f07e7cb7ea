"""Worked examples of what is suggested, what is already ordered, and the wire (catalogue, sections 5, 6, 8 and 9)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cds.answers import MET, NOT_MET, UNKNOWN
from cds.cards import cards
from fhir_profiles.terminology import load_knowledge
from hooks.services import SERVICES, prefetch_templates
from tests import cli_rig
from tests.cli_rig import Cli
from tests.criteria import each, row
from tests.records import (
    ago,
    back_pain,
    coded,
    condition,
    draft,
    encounter,
    form,
    judge,
    medicine,
    observation,
    order,
    procedure,
    resource,
)
from tests.service_rig import EXTENSION, call, changed, client, post, searchset
from tests.validation import parse_r4, validate_r4

cli = cli_rig.cli
NOW = "2026-11-20T12:00:00Z"
LOINC = "http://loinc.org"
CHILD = "2016-02-02"
KNEE = {"coding": [{"system": "http://snomed.info/sct", "code": "239873007"}], "text": "Osteoarthritis of knee"}

ED = "emergency-department-referral"
LUMBAR, WHOLE = "mri-lumbar", "mri-whole-spine"
BLOOD = ("esr", "crp", "blood-count")
SURGEON, REVIEW = "spine-surgeon-referral", "spine-review"


def yes(*findings, days_ago=1):
    return form(dict.fromkeys(findings, True), days_ago)


def score(value, days_ago=1):
    return observation("pain-score", value, "{score}", days_ago=days_ago)


def grade(value, days_ago=1):
    return observation("muscle-strength-grade", value, "{score}", days_ago=days_ago)


def cobb(degrees, days_ago=None, date=None):
    return observation("cobb-angle", degrees, "deg", days_ago=days_ago, date=date)


def sciatica(days_ago=10, **elements):
    return condition("sciatica-radiculopathy", days_ago, **elements)


def report(concept, days_ago, status="final", **elements):
    return resource("DiagnosticReport", status=status, code=coded(concept), effectiveDateTime=ago(days_ago), **elements)


def study(concept, days_ago, status="available"):
    return resource("ImagingStudy", status=status, procedureCode=[coded(concept)], started=ago(days_ago))


def of_code(placed, system, code):
    return {**placed, "code": {"coding": [{"system": system, "code": code}]}}


def shown(group, *record, **given):
    """The card of that group."""
    judged = judge(*record, **given)
    return next(c for c in cards(judged.evaluation, judged.hook) if c.group == group)


def offered(group, *record, **given):
    """Kind -> priority of what that card suggests."""
    return {each.kind: each.priority for each in shown(group, *record, **given).suggestions}


# --- statuses (section 6) ---------------------------------------------------------------------------------------

MRI, SURGERY, FUSION = [draft("mri-lumbar")], [draft("spinal-surgery")], [draft("spinal-fusion")]
BEFORE_SIGNING = {"hook": "order-sign"}

EXAMPLES = {
    "nerve-root-damage": {
        "grade 4": row(MET, back_pain(), grade(4)),
        "all grades 5": row(NOT_MET, back_pain(), grade(5)),
        "above 4, but not 5": row(UNKNOWN, back_pain(), grade(4.5)),
    },
    "progressive-scoliosis": {
        "risen over just five years, two leap days among them": row(
            MET,
            condition("scoliosis", None, date="2019-01-01"),
            cobb(20, date="2020-01-01"),
            cobb(25, date="2025-01-01"),
            at=datetime(2025, 1, 1, 12, tzinfo=UTC),
        ),
        "an angle older than five years": row(
            UNKNOWN, condition("scoliosis", 3000), cobb(20, days_ago=1828), cobb(25, days_ago=1)
        ),
    },
    "significant-radicular-pain": {
        "a severe diagnosis beside a low score": row(MET, sciatica(severity="severe"), score(1)),
        "low score; a severity could stand among the conditions": row(
            UNKNOWN, yes("radicular-pain"), score(1), missing=["Condition"]
        ),
    },
    "surgery-before-conservative": {
        "treated too long before the onset to count": row(
            MET, back_pain(20), medicine("nsaid", 100), medicine("nsaid", 15), drafts=SURGERY, **BEFORE_SIGNING
        ),
        "treated long; whether for this onset the conditions would say": row(
            UNKNOWN, medicine("nsaid", 100), drafts=SURGERY, missing=["Condition"], **BEFORE_SIGNING
        ),
        "an emergency at hand is enough to say no": row(
            NOT_MET, yes("saddle-anesthesia"), drafts=SURGERY, missing=["Condition"], **BEFORE_SIGNING
        ),
    },
    "fusion-without-instability": {
        "spondylolysis is no spondylolisthesis": row(
            MET,
            condition("spinal-stenosis", 900),
            condition("spondylolysis-spondylolisthesis", 900),
            drafts=FUSION,
            **BEFORE_SIGNING,
        ),
        "systemic infection of long ago, still active": row(
            NOT_MET,
            condition("spinal-stenosis", 900),
            condition("infection-active-systemic", 900),
            drafts=FUSION,
            **BEFORE_SIGNING,
        ),
        "no stenosis, observations not available": row(
            NOT_MET, back_pain(), drafts=FUSION, missing=["Observation"], **BEFORE_SIGNING
        ),
    },
    "emergency-outstanding": {
        "asap": row(
            NOT_MET,
            back_pain(),
            yes("saddle-anesthesia"),
            drafts=[draft("mri-lumbar", priority="asap")],
            **BEFORE_SIGNING,
        ),
        "a referral for the knee": row(
            NOT_MET,
            back_pain(),
            yes("saddle-anesthesia"),
            drafts=[draft("spine-surgeon-referral", reasonCode=[KNEE])],
            **BEFORE_SIGNING,
        ),
    },
    "imaging-without-red-flag": {
        "surgery that was broken off counts as surgery": row(
            NOT_MET, back_pain(), procedure("spinal-surgery", 20, "stopped"), drafts=MRI, **BEFORE_SIGNING
        ),
        "surgery that was not done": row(
            MET, back_pain(), procedure("spinal-surgery", 20, "not-done"), drafts=MRI, **BEFORE_SIGNING
        ),
        "a surgical card is open": row(NOT_MET, sciatica(5), grade(4), drafts=MRI, **BEFORE_SIGNING),
        "no surgical card, for its criterion is disabled": row(
            MET, sciatica(5), grade(4), drafts=MRI, disabled=["nerve-root-damage"], **BEFORE_SIGNING
        ),
        "an older diagnosis that was only recorded": row(
            UNKNOWN,
            back_pain(10),
            condition("back-pain", None, recordedDate=ago(400)),
            drafts=MRI,
            **BEFORE_SIGNING,
        ),
    },
}


@pytest.mark.parametrize(("criterion", "example"), each(EXAMPLES))
def test_status(criterion, example):
    judged = example.judged()
    assert judged.status(criterion) == example.expected, judged.answer(criterion).reason


# --- which card, which indicator (sections 3 and 6) -------------------------------------------------------------

PROGRESSIVE = condition("scoliosis", 900), cobb(20, days_ago=400), cobb(26, days_ago=3)


@pytest.mark.parametrize("missing", [(), ("MedicationRequest",), ("Observation",), ("QuestionnaireResponse",)])
def test_progressive_scoliosis_opens_its_card_whatever_else_could_not_be_had(missing):
    record = condition("scoliosis", 900), yes("scoliosis-progression")
    if "QuestionnaireResponse" in missing:
        record = PROGRESSIVE
    assert "surgical-referral" in judge(*record, missing=missing).cards()


def test_progressive_scoliosis_opens_its_card_when_the_encounter_could_not_be_had():
    assert "surgical-referral" in judge(*PROGRESSIVE, hook="encounter-start", missing=["Encounter"]).cards()


def test_nerve_root_damage_makes_the_surgical_card_a_warning_without_a_back_problem_too():
    assert judge(*PROGRESSIVE).cards() == {"surgical-referral": "info"}
    assert judge(*PROGRESSIVE, grade(4)).cards() == {"surgical-referral": "warning"}


# --- what is suggested (section 6) ------------------------------------------------------------------------------

EMERGENCIES = {
    "cauda equina": ({ED: "urgent", LUMBAR: "stat"}, (condition("urinary-retention", 3),)),
    "progressive deficit": ({ED: "urgent", LUMBAR: "stat"}, (yes("progressive-neurological-deficit"),)),
    "severe weakness": ({ED: "urgent", LUMBAR: "stat"}, (grade(3),)),
    "loss of sensation": ({ED: "urgent", LUMBAR: "stat"}, (yes("limb-sensation-loss"),)),
    "paralysis": ({ED: "urgent", WHOLE: "stat"}, (yes("paralysis"),)),
    "balance": ({ED: "urgent", WHOLE: "stat"}, (yes("balance-loss"),)),
    "cord compression": ({ED: "urgent", WHOLE: "stat"}, (condition("cord-compression-myelopathy", 3),)),
    "cauda equina and paralysis": ({ED: "urgent", WHOLE: "stat"}, (yes("saddle-anesthesia", "paralysis"),)),
    "cauda equina, cancer in the past": (
        {ED: "urgent", WHOLE: "stat"},
        (yes("urinary-retention"), condition("malignancy-history", 4000, status="resolved")),
    ),
    "perhaps a stroke": ({ED: "urgent"}, (yes("one-sided-weakness-or-numbness", "altered-consciousness"),)),
    "perhaps a stroke, but also paralysis": (
        {ED: "urgent", WHOLE: "stat"},
        (yes("one-sided-weakness-or-numbness", "paralysis"),),
    ),
}


@pytest.mark.parametrize(("expected", "record"), EMERGENCIES.values(), ids=EMERGENCIES)
def test_an_emergency_suggests(expected, record):
    assert offered("emergency", back_pain(), *record) == expected


def test_perhaps_a_stroke_is_said():
    said = shown("emergency", back_pain(), yes("altered-consciousness")).detail
    assert "emergency services" in said
    assert "stroke" in said


RED_FLAGS = {
    "pain at night": ({LUMBAR}, (yes("night-pain"),)),
    "unexplained weight loss": ({LUMBAR}, (yes("unexplained-weight-loss"),)),
    "raised markers alone": ({LUMBAR}, (observation("wbc", 60, "10*9/L"),)),
    "osteoporosis": ({LUMBAR}, (condition("osteoporosis", 900),)),
    "cancer in the past": ({LUMBAR, *BLOOD}, (condition("malignancy-active", 900, status="resolved"),)),
    "active cancer": ({WHOLE, *BLOOD}, (condition("malignancy-active", 900),)),
    "tumor of the spine": ({WHOLE, *BLOOD}, (condition("spinal-neoplasm", 900),)),
    "fever": ({LUMBAR, *BLOOD}, (observation("body-temperature", 38.0, "Cel"),)),
    "infection of the spine": ({LUMBAR, *BLOOD}, (condition("infection-spinal", 3),)),
    "immunosuppression": ({LUMBAR, *BLOOD}, (medicine("immunosuppressant", 10),)),
    "injected drugs long ago": ({LUMBAR, *BLOOD}, (yes("iv-drug-use", days_ago=3000),)),
}


@pytest.mark.parametrize(("expected", "record"), RED_FLAGS.values(), ids=RED_FLAGS)
def test_a_red_flag_suggests(expected, record):
    assert set(offered("red-flag", back_pain(), *record)) == expected


CHILDREN = {
    "28 days": (set(), (back_pain(28),)),
    "29 days": ({LUMBAR, *BLOOD}, (back_pain(29),)),
    "start not known": (set(), (yes("back-pain"),)),
    "night pain": ({LUMBAR, *BLOOD}, (back_pain(5), yes("night-pain"))),
    "fever": ({LUMBAR, *BLOOD}, (back_pain(5), yes("fever"))),
    "a neurological sign": ({LUMBAR, *BLOOD}, (back_pain(5), yes("leg-sensory-change"))),
}


@pytest.mark.parametrize(("expected", "record"), CHILDREN.values(), ids=CHILDREN)
def test_a_child_with_back_pain_is_suggested(expected, record):
    assert set(offered("red-flag", *record, born=CHILD)) == expected


def test_the_surgical_card_suggests_a_surgeon_or_without_any_structure_a_review():
    visit = {"encounter": encounter("back-pain"), "hook": "encounter-start"}
    tried = medicine("nsaid", 100)
    assert set(offered("surgical-referral", back_pain(120), tried, **visit)) == {REVIEW}
    assert set(offered("surgical-referral", condition("spinal-stenosis", 120), tried, **visit)) == {SURGEON}


# --- actions on draft orders (section 6, order-safety) ----------------------------------------------------------


def actions(drafts, *record):
    judged = judge(*record, hook="order-sign", drafts=drafts)
    return {
        each.criteria[0]: [change.action for change in each.changes] for each in cards(judged.evaluation, judged.hook)
    }


def test_a_draft_may_be_deleted_and_two_kinds_of_card_offer_to_make_it_stat():
    record = back_pain(), condition("osteoporosis", 900), yes("saddle-anesthesia")
    offers = actions([draft("spinal-traction")], *record)
    assert offers["traction-caution"] == ["delete"]
    assert "update" in offers["emergency-outstanding"]
    assert (
        "update" in actions([draft("spinal-fusion")], condition("spinal-stenosis", 900))["fusion-without-instability"]
    )


def test_a_draft_without_an_id_is_not_to_be_deleted():
    nameless = {name: value for name, value in draft("spinal-traction").items() if name != "id"}
    assert actions([nameless], back_pain(), condition("osteoporosis", 900)) == {"traction-caution": []}


# --- already ordered or done (section 8) ------------------------------------------------------------------------

# Situation -> whether a lumbar MRI for pain at night is still suggested.
NIGHT = yes("night-pain")
PLACED = {
    "ordered 180 days ago": (False, order(LUMBAR, 180)),
    "ordered 181 days ago": (True, order(LUMBAR, 181)),
    "a draft": (False, order(LUMBAR, 5, "draft")),
    "on hold": (False, order(LUMBAR, 5, "on-hold")),
    "completed order, no result": (True, order(LUMBAR, 5, "completed")),
    "revoked": (True, order(LUMBAR, 5, "revoked")),
    "entered in error": (True, order(LUMBAR, 5, "entered-in-error")),
    "status unknown": (True, order(LUMBAR, 5, "unknown")),
    "a proposal": (True, order(LUMBAR, 5, intent="proposal")),
    "a plan": (True, order(LUMBAR, 5, intent="plan")),
    "that it be not done": (True, order(LUMBAR, 5, doNotPerform=True)),
    "for somebody else": (True, {**order(LUMBAR, 5), "subject": {"reference": "Patient/p2"}}),
    "done 90 days ago": (False, procedure(LUMBAR, 90)),
    "done 91 days ago": (True, procedure(LUMBAR, 91)),
    "in progress": (True, procedure(LUMBAR, 1, "in-progress")),
    "reported 90 days ago": (False, report(LUMBAR, 90)),
    "reported 91 days ago": (True, report(LUMBAR, 91)),
    "report amended": (False, report(LUMBAR, 5, "amended")),
    "report corrected": (False, report(LUMBAR, 5, "corrected")),
    "report preliminary": (True, report(LUMBAR, 5, "preliminary")),
    "report registered": (True, report(LUMBAR, 5, "registered")),
    "images available": (False, study(LUMBAR, 90)),
    "images 91 days old": (True, study(LUMBAR, 91)),
    "images registered only": (True, study(LUMBAR, 5, "registered")),
    "images cancelled": (True, study(LUMBAR, 5, "cancelled")),
    "X-ray": (True, procedure("xray-lumbar", 5)),
    "CT": (True, procedure("ct-lumbar", 5)),
    "whole spine": (False, order(WHOLE, 5)),
    "level not stated": (False, of_code(order(LUMBAR, 5), LOINC, "36067-7")),
}


@pytest.mark.parametrize(("suggested", "placed"), PLACED.values(), ids=PLACED)
def test_an_mri_is_suggested_unless_the_record_holds_one(suggested, placed):
    assert (LUMBAR in offered("red-flag", back_pain(), NIGHT, placed)) is suggested


@pytest.mark.parametrize(
    ("key", "days", "placed"),
    [("order_memory_days", 10, order(LUMBAR, 11)), ("done_memory_days", 10, procedure(LUMBAR, 11))],
)
def test_the_site_says_how_long_it_remembers(key, days, placed):
    assert LUMBAR in offered("red-flag", back_pain(), NIGHT, placed, **{key: days})
    assert LUMBAR not in offered("red-flag", back_pain(), NIGHT, placed, **{key: days + 1})


CANCER = condition("malignancy-active", 900)
OF_THE_WHOLE_SPINE = {
    "whole spine ordered": (False, order(WHOLE, 5)),
    "lumbar ordered": (True, order(LUMBAR, 5)),
    "level not stated": (True, of_code(order(LUMBAR, 5), LOINC, "36067-7")),
}


@pytest.mark.parametrize(("suggested", "placed"), OF_THE_WHOLE_SPINE.values(), ids=OF_THE_WHOLE_SPINE)
def test_only_an_mri_of_the_whole_spine_stands_for_one(suggested, placed):
    kinds = offered("red-flag", back_pain(), CANCER, placed)
    assert (WHOLE in kinds) is suggested
    assert LUMBAR not in kinds


TESTS = {
    "ESR final": ({"crp", "blood-count"}, observation("esr", 5, "mm/h", days_ago=90)),
    "CRP corrected": ({"esr", "blood-count"}, observation("crp", 3, "mg/L", days_ago=5, status="corrected")),
    "CRP preliminary": (set(BLOOD), observation("crp", 3, "mg/L", days_ago=5, status="preliminary")),
    "CRP too old": (set(BLOOD), observation("crp", 3, "mg/L", days_ago=91)),
    "blood count reported": ({"esr", "crp"}, report("blood-count-order", 5)),
    "CRP ordered": ({"esr", "blood-count"}, order("crp-order", 180)),
}


@pytest.mark.parametrize(("expected", "placed"), TESTS.values(), ids=TESTS)
def test_each_blood_test_is_looked_for_on_its_own(expected, placed):
    assert set(offered("red-flag", back_pain(), CANCER, placed)) - {WHOLE} == expected


def test_the_card_says_when_it_was_ordered_or_done():
    assert f"already ordered on {ago(5)}" in shown("red-flag", back_pain(), NIGHT, order(LUMBAR, 5)).detail
    assert f"done on {ago(5)}" in shown("red-flag", back_pain(), NIGHT, report(LUMBAR, 5)).detail


# Situation -> what an emergency that began three days ago still suggests.
RETENTION = condition("urinary-retention", 3)
URGENT = {
    "stat, the day it began": ({ED}, (order(LUMBAR, 3, priority="stat"),)),
    "asap": ({ED}, (order(LUMBAR, 1, priority="asap"),)),
    "urgent, on hold": ({ED}, (order(LUMBAR, 1, "on-hold", priority="urgent"),)),
    "stat, the day before": ({ED, LUMBAR}, (order(LUMBAR, 4, priority="stat"),)),
    "routine": ({ED, LUMBAR}, (order(LUMBAR, 1, priority="routine"),)),
    "no priority": ({ED, LUMBAR}, (order(LUMBAR, 1),)),
    "imaged the day it began": ({ED}, (procedure(LUMBAR, 3),)),
    "imaged the day before": ({ED, LUMBAR}, (procedure(LUMBAR, 4),)),
    "reported since": ({ED}, (report(WHOLE, 1),)),
    "X-ray and CT since": ({ED, LUMBAR}, (procedure("xray-lumbar", 1), procedure("ct-lumbar", 1))),
    "urgent referral since": ({LUMBAR}, (order("emergency-referral", 1, priority="urgent"),)),
    "routine referral since": ({ED, LUMBAR}, (order("emergency-referral", 1),)),
    "between the earliest finding and a later one": (
        {ED},
        (order(LUMBAR, 2, priority="stat"), yes("saddle-anesthesia", days_ago=1)),
    ),
}


@pytest.mark.parametrize(("expected", "record"), URGENT.values(), ids=URGENT)
def test_an_emergency_counts_urgent_orders_and_imaging_since_it_began(expected, record):
    assert set(offered("emergency", back_pain(20), RETENTION, *record)) == expected


def test_the_emergency_rule_is_for_the_emergency_card_only():
    record = back_pain(20), yes("altered-consciousness"), NIGHT, order(LUMBAR, 30)
    assert set(offered("red-flag", *record)) == set()


def test_each_order_is_suggested_once():
    record = back_pain(), RETENTION, NIGHT, CANCER
    assert set(offered("emergency", *record)) == {ED, WHOLE}
    assert set(offered("red-flag", *record)) == set(BLOOD)


# Situation -> whether such a referral stands for one to a spine surgeon.
REFERRED = {
    "no reason": (True, {}),
    "the knee": (False, {"reasonCode": [KNEE]}),
    "the knee and the back": (True, {"reasonCode": [KNEE, coded("back-pain")]}),
    "scoliosis": (True, {"reasonCode": [coded("scoliosis")]}),
    "degenerative spine": (True, {"reasonCode": [coded("degenerative-spine")]}),
    "a finding of the leg": (True, {"reasonCode": [coded("leg-weakness")]}),
    "an emergency finding": (True, {"reasonCode": [coded("bladder-control-loss")]}),
    "osteoporosis": (False, {"reasonCode": [coded("osteoporosis")]}),
    "a reason in words only": (True, {"reasonCode": [{"text": "knee"}]}),
    "the knee, contained": (
        False,
        {
            "contained": [{"resourceType": "Condition", "id": "c", "code": KNEE}],
            "reasonReference": [{"reference": "#c"}],
        },
    ),
}


@pytest.mark.parametrize(("counts", "reasons"), REFERRED.values(), ids=REFERRED)
def test_a_referral_is_one_for_the_spine_unless_its_reasons_say_otherwise(counts, reasons):
    wanted = offered("surgical-referral", sciatica(50), score(5), order(SURGEON, 5, **reasons))
    assert (SURGEON not in wanted) is counts
    assert judge(back_pain(2000), order(SURGEON, 5, **reasons)).evaluation.back_problem.current is counts
    at_hand = judge(condition("back-spasm"), hook="order-sign", drafts=[draft(SURGEON, **reasons)])
    assert (at_hand.status("surgery-for-isolated-spasm") == MET) is counts


# --- the wire (section 9) ---------------------------------------------------------------------------------------


def chart(*resources: dict[str, Any], **patient: Any) -> dict[str, Any]:
    """A Bundle as a server of transactions would take it: fullUrls, ids where the resources have them."""
    person = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1976-08-12", **patient}
    person = {name: value for name, value in person.items() if value is not None}
    entries = [{"fullUrl": urn(number), "resource": each} for number, each in enumerate((person, *resources))]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def urn(number: int) -> str:
    return f"urn:uuid:0000000{number}-0000-4000-8000-000000000000"


def without_id(one: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "id"} | elements


def evaluated(cli: Cli, document: Any, *options: str) -> dict[str, Any]:
    ran = cli("evaluate", cli.file(document), "--at", NOW, "--json", *options)
    assert (ran.code, ran.err) == (0, "")
    return ran.json


def card_of(result: dict[str, Any], group: str) -> dict[str, Any]:
    return next(each for each in result["cards"] if each["extension"][EXTENSION]["group"] == group)


def first_order(card: dict[str, Any]) -> dict[str, Any]:
    return card["suggestions"][0]["actions"][0]["resource"]


def test_a_suggested_order_is_a_valid_draft_that_says_why(cli: Cli) -> None:
    pain, gait = back_pain(40), observation("gait-disturbance", True)
    taken, answers = medicine("nsaid", 35), yes("night-pain")
    wanted = first_order(card_of(evaluated(cli, chart(pain, gait, taken, answers)), "red-flag"))
    assert not validate_r4(wanted)
    parse_r4(wanted)
    assert (wanted["status"], wanted["intent"], wanted["priority"]) == ("draft", "proposal", "routine")
    assert wanted["subject"] == {"reference": "Patient/p1"}
    assert wanted["code"]["text"]
    assert wanted["code"]["coding"][0]["system"] == LOINC
    assert {each["reference"] for each in wanted["reasonReference"]} == {
        f"Condition/{pain['id']}",
        f"Observation/{gait['id']}",
    }
    assert {each["reference"] for each in wanted["supportingInfo"]} == {
        f"MedicationRequest/{taken['id']}",
        f"QuestionnaireResponse/{answers['id']}",
    }
    assert "insurance" not in wanted


def test_an_observation_known_by_its_full_url_is_a_reason_too(cli: Cli) -> None:
    wanted = first_order(
        card_of(evaluated(cli, chart(back_pain(), without_id(observation("gait-disturbance", True)))), "red-flag")
    )
    assert wanted.get("reasonReference") == [{"reference": urn(2)}]


def test_a_patient_known_by_its_full_url_is_the_subject(cli: Cli) -> None:
    theirs = {"subject": {"reference": urn(0)}}
    result = evaluated(cli, chart(back_pain() | theirs, yes("night-pain") | theirs, id=None))
    assert first_order(card_of(result, "red-flag"))["subject"] == {"reference": urn(0)}


def test_the_evaluation_of_a_card_stands_in_its_extension(cli: Cli) -> None:
    result = evaluated(cli, chart(back_pain(), condition("malignancy-history", 900)))
    basis = card_of(result, "red-flag")["extension"][EXTENSION]
    assert (basis["group"], basis["at"]) == ("red-flag", NOW)
    (criterion,) = basis["criteria"]
    assert criterion == next(each for each in result["criteria"] if each["id"] == "cancer-history")
    assert list(criterion) == ["id", "group", "status", "title", "reason", "evidence", "sources"]
    (fact,) = criterion["evidence"]
    assert (fact["date"], set(fact)) == (ago(900), {"reference", "display", "date"})


def test_early_compression_keeps_its_group_on_the_information_card(cli: Cli) -> None:
    listed = card_of(evaluated(cli, chart(sciatica(), score(5))), "information")["extension"][EXTENSION]["criteria"]
    assert [(each["id"], each["group"]) for each in listed] == [("significant-radicular-pain", "surgical-referral")]


def test_the_not_assessed_card_lists_what_is_unknown_without_empty_lists(cli: Cli) -> None:
    listed = card_of(evaluated(cli, chart(back_pain())), "not-assessed")["extension"][EXTENSION]["criteria"]
    assert {each["status"] for each in listed} == {"unknown"}
    assert all(each.get("evidence") != [] for each in listed)


def test_cards_come_in_the_order_of_the_catalogue(cli: Cli) -> None:
    record = condition("urinary-retention", 3), yes("night-pain"), sciatica(50), score(5), condition("back-spasm", 40)
    result = evaluated(cli, chart(*record))
    groups = [each["extension"][EXTENSION]["group"] for each in result["cards"]]
    assert groups == ["emergency", "red-flag", "surgical-referral", "information", "not-assessed"]


def empties(value: Any) -> bool:
    """Whether anything in it is null or empty."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return not value or any(map(empties, inside))
    return value is None or value == ""


def test_nothing_on_a_card_is_null_or_empty() -> None:
    answer = post(call("patient-view", yes("night-pain", "saddle-anesthesia"))).get_json()
    assert answer["cards"]
    assert not empties(answer["cards"])


BACK_PROBLEMS = {
    "a day": ("2026-11-10", back_pain(10)),
    "a month": ("2026-03", condition("back-pain", None, date="2026-03")),
    "an instant becomes a day": ("2026-11-06", condition("back-pain", None, date="2026-11-05T23:30:00-05:00")),
    "only recorded": (ago(40), condition("back-pain", None, recordedDate=ago(40))),
    "undated": (None, condition("back-pain", None)),
    "from the form": (None, yes("back-pain")),
}


@pytest.mark.parametrize(("onset", "found"), BACK_PROBLEMS.values(), ids=BACK_PROBLEMS)
def test_the_onset_is_absent_where_it_is_not_known(onset, found, cli: Cli) -> None:
    problem = evaluated(cli, chart(found))["backProblem"]
    assert problem["evidence"]
    assert isinstance(problem["current"], bool)
    assert ("onset" in problem, problem.get("onset")) == (onset is not None, onset)


def test_no_back_problem_is_null_and_the_criteria_are_complete(cli: Cli) -> None:
    result = evaluated(cli, chart())
    assert (result["backProblem"], result["cards"], len(result["criteria"])) == (None, [], 45)


def test_a_draft_of_a_bundle_is_the_order_at_hand_and_in_other_hooks_already_placed(cli: Cli) -> None:
    document = chart(
        back_pain(10), yes("night-pain"), draft(LUMBAR), draft("spinal-traction"), condition("osteoporosis")
    )
    signing = evaluated(cli, document, "--hook", "order-sign")
    assert [each["extension"][EXTENSION]["criteria"][0]["id"] for each in signing["cards"]] == ["traction-caution"]
    assert "suggestions" not in card_of(evaluated(cli, document), "red-flag")


def test_a_disabled_criterion_is_left_out_of_every_answer(cli: Cli) -> None:
    site = cli.file('disabled = ["night-pain"]', "site.toml")
    result = evaluated(cli, chart(back_pain(), yes("night-pain")), "--config", site)
    assert "night-pain" not in [each["id"] for each in result["criteria"]]
    assert "night-pain" not in json.dumps(result["cards"])


def test_lines_are_answered_one_by_one_and_a_bad_one_names_itself(cli: Cli) -> None:
    good = json.dumps(chart(back_pain()))
    lines = [good, "", "{", json.dumps({"resourceType": "Bundle", "type": "collection"}), good]
    ran = cli("evaluate", cli.file("\n".join(lines)), "--at", NOW, "--ndjson")
    assert ran.code == 1
    assert [each.get("line") for each in ran.lines] == [None, 3, 4, None]
    assert all(each["error"] for each in ran.lines[1:3])
    assert [ran.lines[number]["patient"] for number in (0, 3)] == ["Patient/p1", "Patient/p1"]


# --- over HTTP (sections 2, 8 and 9) ----------------------------------------------------------------------------


def test_the_four_services_are_named_as_in_the_catalogue() -> None:
    found = client().get("/cds-services").get_json()["services"]
    assert {each["id"]: each["hook"] for each in found} == {
        f"back-pain-{hook}": hook for hook in ("patient-view", "encounter-start", "order-select", "order-sign")
    }


@pytest.mark.parametrize("kind", ["ImagingStudy", "AllergyIntolerance"])
def test_what_the_cards_rest_on_is_asked_for(kind: str) -> None:
    """Images that are available (section 8) and an NSAID allergy (section 6) have to reach the service."""
    asked = prefetch_templates(SERVICES["back-pain-patient-view"], load_knowledge()).values()
    assert any(query.startswith(f"{kind}?") for query in asked)


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_only_selected_orders_are_judged_and_at_signing_all(hook: str) -> None:
    traction, imaging = draft("spinal-traction"), draft(LUMBAR)
    request = call(hook, condition("osteoporosis", 900), draftOrders=searchset(traction, imaging))
    one = changed(request, "context.selections", [f"ServiceRequest/{imaging['id']}"])
    none_named = changed(changed(request, "context.selections", []), "context.selections", ...)
    assert bool(post(one).get_json()["cards"]) is (hook == "order-sign")
    assert post(none_named).get_json()["cards"]


def test_nothing_in_a_request_moves_the_clock() -> None:
    request = call() | {"at": "2020-01-01T00:00:00Z", "extension": {"at": "2020-01-01T00:00:00Z"}}
    request["context"]["at"] = "2020-01-01T00:00:00Z"
    assert {each["extension"][EXTENSION]["at"] for each in post(request).get_json()["cards"]} == {NOW}
