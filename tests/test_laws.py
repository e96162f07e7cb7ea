"""Laws that hold for every record (catalogue, section 2; reliability rows 5, 6, 14 and 46)."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.answers import MET, NOT_MET, UNKNOWN, Answer, all_of, any_of, at_least
from cds.concepts import BOOLEAN_FINDINGS, CONDITIONS, MEDICINES, PROCEDURES
from cds.evaluation import CATALOGUE
from cds.unrecorded import silences_under
from tests.records import (
    SEARCHED,
    Judged,
    condition,
    form,
    judge,
    medicine,
    observation,
    order,
    own,
    procedure,
    statement,
)

DAYS = st.sampled_from([0, 1, 5, 14, 15, 28, 29, 30, 31, 42, 89, 90, 91, 180, 200, 365, 400, 2000])
MEASURED = {
    "pain-score": ("{score}", [0, 3, 4, 6, 7, 10]),
    "muscle-strength-grade": ("{score}", [2, 3, 4, 5]),
    "walking-distance": ("m", [80, 150, 300]),
    "cobb-angle": ("deg", [15, 20, 25]),
    "body-temperature": ("Cel", [36.8, 37.6, 38.4]),
    "body-weight": ("kg", [60, 70, 74, 80]),
    "esr": ("mm/h", [10, 30, 120]),
    "crp": ("mg/L", [3, 20, 90]),
    "potassium": ("mmol/L", [3.1, 4.2]),
    "calcium-total": ("mg/dL", [8.0, 9.4]),
}
ANSWERS = st.dictionaries(st.sampled_from(BOOLEAN_FINDINGS), st.booleans(), max_size=8)


@st.composite
def measurements(draw):
    name = draw(st.sampled_from(sorted(MEASURED)))
    unit, values = MEASURED[name]
    return observation(name, draw(st.sampled_from(values)), unit, days_ago=draw(DAYS))


@st.composite
def stated(draw):
    finding = draw(st.sampled_from(BOOLEAN_FINDINGS))
    code = own(finding) if draw(st.booleans()) or finding == "cancer-history" else None
    return observation(finding, draw(st.booleans()), days_ago=draw(DAYS), code=code)


DIAGNOSES = sorted(set(CONDITIONS) - {"malignancy-history"})
RESOURCES = st.one_of(
    st.builds(
        condition,
        st.sampled_from(DIAGNOSES),
        DAYS,
        status=st.sampled_from(["active", "active", "active", "resolved", "recurrence"]),
    ),
    stated(),
    measurements(),
    st.builds(form, ANSWERS, DAYS),
    st.builds(medicine, st.sampled_from(MEDICINES), DAYS, status=st.sampled_from(["active", "completed"])),
    st.builds(statement, st.sampled_from(MEDICINES), DAYS),
    st.builds(procedure, st.sampled_from(PROCEDURES), DAYS),
    st.builds(order, st.sampled_from(["mri-lumbar", "physical-therapy", "spine-surgeon-referral"]), DAYS),
)
RECORDS = st.lists(RESOURCES, max_size=10)


def statuses(judged: Judged) -> dict[str, str]:
    return {id_: answer.status for id_, answer in judged.evaluation.answers.items()}


def outcome(judged: Judged) -> tuple:
    """Everything that a client would see of it."""
    answers = {
        id_: (answer.status, answer.reason, answer.evidence) for id_, answer in judged.evaluation.answers.items()
    }
    return answers, judged.cards(), judged.evaluation.back_problem


@given(RECORDS, st.randoms())
@settings(max_examples=150)
def test_the_order_of_resources_changes_nothing(record, random):
    shuffled = record.copy()
    random.shuffle(shuffled)
    assert outcome(judge(*shuffled)) == outcome(judge(*record))


@given(RECORDS, st.randoms())
@settings(max_examples=100)
def test_a_resource_sent_twice_changes_nothing(record, random):
    doubled = record + copy.deepcopy(record)
    random.shuffle(doubled)
    assert outcome(judge(*doubled)) == outcome(judge(*record))


FOREIGN = [
    "Patient/p2",
    "Patient/p1x",
    "https://elsewhere.example.org/fhir/Patient/p1",
    "Group/p1",
    "urn:uuid:other",
]


@given(RECORDS, st.lists(RESOURCES, min_size=1, max_size=5), st.sampled_from(FOREIGN))
@settings(max_examples=150)
def test_another_patients_resources_change_nothing(record, others, subject):
    foreign = [{**other, "subject": {"reference": subject}} for other in others]
    with_foreign = judge(*record, *foreign)
    assert outcome(with_foreign) == outcome(judge(*record))
    assert with_foreign.evaluation.chart.foreign == len(foreign)


VOID = {
    "Condition": [{"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}],
    "Observation": [{"status": s} for s in ("entered-in-error", "registered", "cancelled", "unknown")],
    "QuestionnaireResponse": [{"status": s} for s in ("entered-in-error", "in-progress", "stopped")],
    "MedicationRequest": [
        *({"status": s} for s in ("entered-in-error", "draft", "cancelled")),
        *({"intent": i} for i in ("proposal", "plan")),
        {"doNotPerform": True},
    ],
    "MedicationStatement": [{"status": s} for s in ("entered-in-error", "not-taken", "intended", "unknown")],
    "Procedure": [{"status": s} for s in ("entered-in-error", "preparation", "not-done", "unknown")],
    "ServiceRequest": [
        *({"status": s} for s in ("entered-in-error", "revoked", "draft")),
        *({"intent": i} for i in ("proposal", "plan")),
        {"doNotPerform": True},
    ],
}


@given(RECORDS, st.lists(RESOURCES, min_size=1, max_size=5), st.data())
@settings(max_examples=200)
def test_void_resources_change_nothing(record, others, data):
    void = [{**other, **data.draw(st.sampled_from(VOID[other["resourceType"]]))} for other in others]
    assert outcome(judge(*record, *void)) == outcome(judge(*record))


def agreeing(record: list[dict]) -> list[dict]:
    """The record without a no beside a yes to the same finding: whichever is newer wins, and may go with its search."""
    said: dict[str, bool] = {}
    agreed = copy.deepcopy(record)
    for resource in agreed:
        if resource["resourceType"] == "Observation" and "valueBoolean" in resource:
            finding = resource["code"]["text"]
            resource["valueBoolean"] = said.setdefault(finding, resource["valueBoolean"])
        for item in resource.get("item", ()):
            answer = item["answer"][0]
            answer["valueBoolean"] = said.setdefault(item["linkId"], answer["valueBoolean"])
    return agreed


def test_scores_are_no_relief_when_the_onset_was_not_had():
    """Found by the law below: the higher score lies before the onset, which only Conditions know."""
    scores = [
        observation("pain-score", value, "{score}", date=f"2026-{day}") for day, value in (("10-21", 3), ("11-20", 0))
    ]
    record = [condition("back-pain", date="2026-10-22"), *scores]
    assert statuses(judge(*record))["pain-over-4-weeks"] == UNKNOWN
    assert statuses(judge(*record, missing={"Condition"}))["pain-over-4-weeks"] == UNKNOWN


@given(RECORDS, st.sets(st.sampled_from(SEARCHED), min_size=1, max_size=3))
@settings(max_examples=250)
def test_removing_a_search_never_decides_anything(record, removed):
    """Met may stay met and a newer denial may go with its search; nothing becomes not-met, nothing open is decided."""
    record = agreeing(record)
    before, after = statuses(judge(*record)), statuses(judge(*record, missing=removed))
    for id_, status in after.items():
        assert not (status == NOT_MET and before[id_] != NOT_MET), id_
        assert not (status != UNKNOWN and before[id_] == UNKNOWN), id_


PLAIN = [
    "cauda-equina",
    "limb-sensation-loss",
    "balance-loss",
    "one-sided-deficit",
    "paralysis",
    "altered-consciousness",
    "iv-drug-use",
    "night-pain",
    "gait-disturbance",
    "fever-or-infection",
    "mechanical-instability",
]


@given(ANSWERS, ANSWERS)
@settings(max_examples=200)
def test_answering_more_questions_never_overturns_a_decided_answer(first, more):
    """On the same form: what was decided by some answers stays decided whatever the others are."""
    before = judge(condition("back-pain"), form(first))
    after = judge(condition("back-pain"), form({**more, **first}))
    for id_ in PLAIN:
        assert before.status(id_) in (UNKNOWN, after.status(id_)), id_


STATUSES = st.sampled_from([MET, NOT_MET, UNKNOWN])


@given(st.lists(STATUSES, min_size=1, max_size=5), st.data())
def test_combiners_are_monotone(known, data):
    """Putting a decided answer in the place of an unknown one never flips a decided result."""
    learned = [data.draw(STATUSES) if status == UNKNOWN else status for status in known]
    combiners = (any_of, all_of, lambda *answers: at_least(2, *answers))
    for combine in combiners:
        before = combine(*map(Answer, known)).status
        assert before in (UNKNOWN, combine(*map(Answer, learned)).status)


@given(RECORDS)
@settings(max_examples=150)
def test_met_has_evidence_and_everything_has_a_reason(record):
    for id_, answer in judge(*record).evaluation.answers.items():
        assert answer.status != MET or answer.evidence, id_
        assert answer.reason, id_


@given(RECORDS, st.sets(st.sampled_from(SEARCHED), max_size=2))
@settings(max_examples=150)
def test_answers_taken_from_silence_are_the_ones_the_rules_give(record, removed):
    """`cds.unrecorded` only saves work: asking every rule gives the same."""
    judged = judge(*record, missing=removed)
    fresh = type(judged.evaluation.case)(judged.evaluation.chart, judged.evaluation.at, judged.evaluation.case.limits)
    for entry in CATALOGUE:
        asked, given_ = entry.rule(fresh), judged.answer(entry.id)
        assert (asked.status, asked.reason, asked.evidence) == (
            given_.status,
            given_.reason,
            given_.evidence,
        ), entry.id


def test_every_criterion_answers_silence():
    from cds.limits import Limits

    silences = silences_under(Limits(), frozenset())
    assert set(silences) == {entry.id for entry in CATALOGUE}
    assert all(silence.answer.status in (NOT_MET, UNKNOWN) for silence in silences.values())


@pytest.mark.parametrize("kind", ["Condition", "Observation", "QuestionnaireResponse"])
def test_with_nothing_available_nothing_is_not_met_that_needs_it(kind):
    judged = judge(condition("back-pain"), missing=SEARCHED)
    assert kind in judged.evaluation.chart.missing
    assert judged.status("cancer-history") == UNKNOWN
    assert judged.cards() == {"not-assessed": "info"}
