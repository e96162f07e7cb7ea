"""Whose resources count, which are left out, and what a call could not have (catalogue, section 2 rules 1, 2, 10)."""

from datetime import timedelta

import pytest

from fhir_profiles.errors import PatientMissing, PatientReplaced, RecordError
from fhir_profiles.reading import read_chart
from fhir_profiles.record import gather_bundle
from tests.reading_builders import (
    AT,
    EHR,
    UTC_ZONE,
    allergy,
    bundle,
    chart,
    code,
    codeable,
    condition,
    day,
    encoded,
    encounter,
    gathered,
    knowledge,
    observation,
    order,
    patient,
    prescription,
    procedure,
    report,
    resource,
    response,
    rows,
    statement,
    study,
)

COUNTS = (
    "diagnoses",
    "statements",
    "measurements",
    "medicines",
    "treatments",
    "orders",
    "reports",
    "allergies",
    "forms",
)


def facts(*resources: dict, **given) -> int:
    """How many kinds of facts they make."""
    read = chart(*resources, **given)
    return sum(len(getattr(read, kind)) for kind in COUNTS)


# --- rule 1: whose -----------------------------------------------------------------------------------------

IDENTIFIED = patient(identifier=[{"system": "urn:hospital", "value": "77"}])

OURS = {
    "relative": {"reference": "Patient/p1"},
    "relative to the root": {"reference": "/Patient/p1"},
    "a version": {"reference": "Patient/p1/_history/2"},
    "absolute on our server": {"reference": f"{EHR}/Patient/p1"},
    "absolute, a version": {"reference": f"{EHR}/Patient/p1/_history/2"},
    "the fullUrl of the Patient's entry": {"reference": "https://mirror.example.org/Patient/p1"},
    "urn:uuid of the Patient": {"reference": "urn:uuid:0f3b"},
    "identifier only": {"identifier": {"system": "urn:hospital", "value": "77"}},
    "display only": {"display": "Kim Muster"},
    "empty": {},
    "none": None,
}
OTHERS = {
    "another patient": {"reference": "Patient/p2"},
    "an id that begins alike": {"reference": "Patient/p11"},
    "the same id on another server": {"reference": "https://other.example.org/fhir/Patient/p1"},
    "a server whose name begins alike": {"reference": f"{EHR}2/Patient/p1"},
    "a group": {"reference": "Group/p1"},
    "contained": {"reference": "#p1"},
    "a urn of somebody": {"reference": "urn:uuid:ffff"},
    "another identifier": {"identifier": {"system": "urn:hospital", "value": "78"}},
    "the same number of another system": {"identifier": {"system": "urn:other", "value": "77"}},
    "a reference to another beside our identifier": {
        "reference": "Patient/p2",
        "identifier": {"system": "urn:hospital", "value": "77"},
    },
}
PATIENT_ENTRIES = (
    {"fullUrl": "https://mirror.example.org/Patient/p1", "resource": patient()},
    {"fullUrl": "urn:uuid:0f3b", "resource": patient()},
    {"fullUrl": "urn:uuid:ffff", "resource": patient(id="p2")},
)


@pytest.mark.parametrize("subject", OURS.values(), ids=OURS)
def test_a_subject_that_is_the_patient(subject):
    read = chart(condition(subject=subject), *PATIENT_ENTRIES, patient=IDENTIFIED)
    assert (len(read.diagnoses), read.foreign) == (1, 0)


@pytest.mark.parametrize("subject", OTHERS.values(), ids=OTHERS)
def test_a_subject_that_is_somebody_else(subject):
    read = chart(condition(subject=subject), *PATIENT_ENTRIES, patient=IDENTIFIED)
    assert (dict(read.diagnoses), read.foreign) == ({}, 1)


def test_without_a_server_an_absolute_reference_is_nobody_s():
    assert chart(condition(subject={"reference": f"{EHR}/Patient/p1"}), fhir_server="").foreign == 1


def test_a_server_named_with_a_slash_at_its_end():
    assert facts(condition(subject={"reference": f"{EHR}/Patient/p1"}), fhir_server=f"{EHR}/") == 1


SOMEBODY = {"reference": "Patient/p2"}
EVERY_KIND = {
    "Condition": condition(),
    "Observation": observation(),
    "QuestionnaireResponse": response(night_pain={"valueBoolean": True}),
    "MedicationRequest": prescription(),
    "MedicationStatement": statement(),
    "Procedure": procedure(),
    "ServiceRequest": order(),
    "DiagnosticReport": report(),
    "ImagingStudy": study(),
    "AllergyIntolerance": allergy(),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_each_type_is_read_when_ours_and_only_then(kind):
    element = "patient" if kind == "AllergyIntolerance" else "subject"
    assert facts(EVERY_KIND[kind] | {element: {"reference": "Patient/p1"}}) > 0
    read = chart(EVERY_KIND[kind] | {element: SOMEBODY})
    assert read.foreign == 1
    assert not any(getattr(read, name) for name in COUNTS)


# --- rule 2: left out --------------------------------------------------------------------------------------

STATUSES = {
    "Observation": (
        observation(),
        "final amended corrected preliminary",
        "registered cancelled entered-in-error unknown",
    ),
    "QuestionnaireResponse": (
        response(night_pain={"valueBoolean": True}),
        "completed amended",
        "in-progress entered-in-error stopped",
    ),
    "MedicationRequest": (
        prescription(),
        "active on-hold completed stopped unknown",
        "cancelled entered-in-error draft",
    ),
    "MedicationStatement": (
        statement(),
        "active completed stopped on-hold",
        "entered-in-error intended unknown not-taken",
    ),
    "Procedure": (
        procedure(),
        "in-progress on-hold stopped completed",
        "preparation not-done entered-in-error unknown",
    ),
    "ServiceRequest": (order(), "draft active on-hold completed unknown", "revoked entered-in-error"),
    "DiagnosticReport": (
        report(),
        "registered partial preliminary final amended corrected appended unknown",
        "cancelled entered-in-error",
    ),
    "ImagingStudy": (study(), "registered available inactive unknown", "cancelled entered-in-error"),
}


@pytest.mark.parametrize("kind", STATUSES)
def test_the_status_decides(kind):
    given, read, left_out = STATUSES[kind]
    for status in read.split():
        assert facts(given | {"status": status}) > 0, status
    for status in left_out.split():
        assert facts(given | {"status": status}) == 0, status


@pytest.mark.parametrize("given", [prescription(), order()], ids=["medicine", "order"])
def test_intents_and_prohibitions(given):
    for intent in ("order", "original-order", "instance-order", "directive"):
        assert facts(given | {"intent": intent}) == 1
    for intent in ("proposal", "plan"):
        assert facts(given | {"intent": intent}) == 0
    assert facts(given | {"doNotPerform": False}) == 1
    assert facts(given | {"doNotPerform": True}) == 0


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_an_extension_that_may_turn_the_meaning_round(kind):
    unusable = EVERY_KIND[kind] | {"modifierExtension": [{"url": "urn:not", "valueBoolean": True}]}
    read = chart(unusable)
    assert read.unreadable == {kind: 1}
    assert not any(getattr(read, name) for name in COUNTS)
    assert facts(EVERY_KIND[kind] | {"modifierExtension": []}) > 0


HOUR = timedelta(hours=1)
DATED = {
    "Condition by onset": (condition(), "onsetDateTime"),
    "Condition by recordedDate": (condition(), "recordedDate"),
    "Observation": (observation(effectiveDateTime=None), "effectiveDateTime"),
    "Observation by issued": (observation(effectiveDateTime=None), "issued"),
    "QuestionnaireResponse": (response(night_pain={"valueBoolean": True}), "authored"),
    "MedicationRequest": (prescription(), "authoredOn"),
    "MedicationStatement": (statement(), "effectiveDateTime"),
    "MedicationStatement by dateAsserted": (statement(), "dateAsserted"),
    "Procedure": (procedure(), "performedDateTime"),
    "ServiceRequest": (order(), "authoredOn"),
    "DiagnosticReport": (report(), "effectiveDateTime"),
    "ImagingStudy": (study(), "started"),
    "AllergyIntolerance": (allergy(), "recordedDate"),
}


@pytest.mark.parametrize("case", DATED)
def test_more_than_a_day_ahead_is_left_out(case):
    given, element = DATED[case]
    assert facts(given | {element: (AT + 24 * HOUR).isoformat()}) > 0
    assert facts(given | {element: (AT + 24 * HOUR + timedelta(seconds=1)).isoformat()}) == 0


@pytest.mark.parametrize("case", DATED)
def test_what_is_not_a_date_makes_a_resource_unreadable(case):
    given, element = DATED[case]
    read = chart(given | {element: "last week"})
    assert read.unreadable == {given["resourceType"]: 1}
    assert not any(getattr(read, name) for name in COUNTS)


def test_an_order_for_later_counts_from_the_day_it_was_placed():
    (placed,) = chart(order(occurrenceDateTime="2027-03-01")).orders["mri-lumbar"]
    assert placed.placed.text == day(5)
    assert not placed.has_occurrence


# --- Bundles -----------------------------------------------------------------------------------------------


def missing(*bundles: object, kind: str = "Condition") -> frozenset[str]:
    return chart(bundles={kind: list(bundles)}).missing


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    **rows(
        {
            "complete": (bundle(condition()), False),
            "empty": (bundle(), False),
            "no entries at all": ({"resourceType": "Bundle", "type": "searchset", "total": 0}, False),
            "without a type": ({"resourceType": "Bundle", "entry": []}, False),
            "null": (None, False),
            "an OperationOutcome": (OUTCOME, True),
            "an OperationOutcome among the entries": (bundle(OUTCOME), True),
            "one with another mode": (bundle({"resource": OUTCOME, "search": {"mode": "match"}}), True),
            "a remark of the server": (bundle({"resource": OUTCOME, "search": {"mode": "outcome"}}), False),
            "a further page": (bundle(condition(), link=[{"relation": "next", "url": "x"}]), True),
            "a page without a further one": (bundle(condition(), link=[{"relation": "self", "url": "x"}]), False),
            "another resource": (condition(), True),
            "a list": ([condition()], True),
            "entries that are no list": ({"resourceType": "Bundle", "entry": {}}, True),
            "not JSON": (b'{"resourceType": "Bundle", "entry": [', True),
            "not UTF-8": (b'{"resourceType": "Bundle", "entry": [{"fullUrl": "\xff"}], "link": "\xff"}', True),
        }
    ),
)
def test_what_counts_as_not_available(value, expected):
    assert missing(value) == ({"Condition"} if expected else frozenset())


def test_the_entries_of_a_first_page_count():
    page = bundle(condition(), link=[{"relation": "next", "url": "x"}])
    assert chart(bundles={"Condition": [page]}).diagnoses


def test_what_could_not_be_had_is_passed_on():
    assert chart(missing=frozenset({"Procedure"})).missing == {"Procedure"}


def test_resources_of_any_type_in_any_bundle():
    read = chart(bundles={"Observation": [bundle(*EVERY_KIND.values())]})
    assert {kind for kind in COUNTS if getattr(read, kind)} == set(COUNTS) - {"measurements"}


@pytest.mark.parametrize("bad", [{"status": 5}, {"code": "M54.5"}, {"code": {"coding": [None]}}, {"subject": []}])
def test_one_bad_resource_costs_one_resource(bad):
    read = chart(observation() | bad, condition(), {"resource": 7}, {"resource": None})
    assert read.diagnoses
    assert not read.statements
    assert read.unreadable == {"Observation": 1, "Condition": 1}  # the 7 counts for the search it came with


def test_types_that_nobody_asked_for_are_no_loss():
    read = chart(condition(), resource("PractitionerRole", code=[{"text": "x"}]), resource("Basic", code="x"))
    assert read.diagnoses
    assert not read.unreadable


def test_a_resource_sent_twice_counts_once():
    assert len(chart(condition(), condition()).diagnoses["back-pain"]) == 1
    assert len(chart(condition(), condition(id="c2")).diagnoses["back-pain"]) == 2
    assert len(chart(condition(id=None), condition(id=None)).diagnoses["back-pain"]) == 2


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_versions_the_one_updated_last_counts(turned):
    old = observation(valueBoolean=True, meta={"lastUpdated": "2026-11-18T10:00:00Z"})
    new = old | {"status": "entered-in-error", "meta": {"lastUpdated": "2026-11-18T10:00:01Z"}}
    assert facts(*((new, old) if turned else (old, new))) == 0


# --- the patient -------------------------------------------------------------------------------------------


def test_the_patient():
    read = chart().patient
    assert (read.reference, read.birth.text, read.sex, read.deceased) == ("Patient/p1", "1976-08-12", "female", False)


@pytest.mark.parametrize(
    ("elements", "deceased"),
    [
        ({"deceasedBoolean": True}, True),
        ({"deceasedBoolean": False}, False),
        ({"deceasedDateTime": "2020"}, True),
        ({"deceasedDateTime": None, "_deceasedDateTime": {"extension": []}}, False),
    ],
)
def test_deceased(elements, deceased):
    assert chart(patient=patient(**elements)).patient.deceased is deceased


@pytest.mark.parametrize("given", [{"birthDate": "long ago"}, {"birthDate": 1976}, {"gender": []}])
def test_a_patient_of_whom_something_cannot_be_read(given):
    read = chart(condition(), patient=patient(**given))
    assert read.patient.birth is None
    assert read.unreadable == {"Patient": 1}
    assert read.diagnoses


def test_unknown_birth_and_sex():
    read = chart(patient=patient(birthDate=None, gender="other")).patient
    assert (read.birth, read.sex) == (None, "")


@pytest.mark.parametrize("given", [None, b"null", OUTCOME, bundle(patient()), [], b"{"])
def test_without_a_patient_there_is_no_chart(given):
    with pytest.raises(PatientMissing):
        chart(patient=given)


@pytest.mark.parametrize("given", [patient(id="p2"), patient(id=None), patient(id="p2", gender=5)])
def test_another_patient_is_refused(given):
    with pytest.raises(RecordError, match=r"Patient\.id") as refused:
        chart(patient=given)
    assert "p2" not in str(refused.value)


def test_a_patient_merged_into_another_is_refused():
    with pytest.raises(PatientReplaced):
        chart(patient=patient(link=[{"type": "replaced-by", "other": {"reference": "Patient/p9"}}]))
    assert chart(patient=patient(link=[{"type": "seealso", "other": {"reference": "Patient/p9"}}]))


# --- the visit ---------------------------------------------------------------------------------------------


def test_the_reasons_of_the_visit():
    visit = chart(
        condition("sciatica-radiculopathy", subject={"reference": "Patient/p1"}),
        encounter=encounter(
            reasonCode=[code("kidney-disease"), code("back-pain") | {"text": "Sore back"}],
            reasonReference=[{"reference": "Condition/c1"}, {"reference": "Condition/elsewhere"}],
            period={"start": "2026-11-20T08:00:00Z"},
        ),
    ).visit
    assert {"back-pain", "kidney-disease", "sciatica-radiculopathy"} <= visit.reasons
    assert visit.evidence[:3] == ("Encounter/e1", "Sore back", "2026-11-20")


REASON = {"reasonCode": [code("back-pain")]}


@pytest.mark.parametrize(
    ("given", "counts"),
    **rows(
        {
            "ours": (encounter(**REASON, subject={"reference": "Patient/p1"}), True),
            "planned": (encounter(**REASON, status="planned"), True),
            "cancelled": (encounter(**REASON, status="cancelled"), False),
            "a mistake": (encounter(**REASON, status="entered-in-error"), False),
            "somebody else's": (encounter(**REASON, subject=SOMEBODY), False),
            "another one": (encounter(**REASON, id="e2"), False),
            "tomorrow": (encounter(**REASON, period={"start": "2026-11-21T12:00:00Z"}), True),
            "later": (encounter(**REASON, period={"start": "2026-11-22"}), False),
            "not understood": (encounter(**REASON, modifierExtension=[{"url": "x"}]), False),
            "not to be had": (OUTCOME, False),
            "null": (b"null", False),
            "no date": (encounter(**REASON, period={"start": "soon"}), False),
            "unreadable": (encounter(reasonCode="back"), False),
        }
    ),
)
def test_which_encounter_is_the_visit(given, counts):
    visit = chart(encounter=given, encounter_id="e1").visit
    assert (visit is not None and "back-pain" in visit.reasons) is counts


def test_an_encounter_that_could_not_be_had_is_missing():
    assert chart(encounter=OUTCOME).missing == {"Encounter"}


@pytest.mark.parametrize(
    "withdrawn",
    [{"verificationStatus": {"coding": [{"code": "refuted"}]}}, {"subject": SOMEBODY}, {"verificationStatus": 5}],
)
def test_a_withdrawn_condition_is_no_reason(withdrawn):
    visit = chart(condition(**withdrawn), encounter=encounter(reasonReference=[{"reference": "Condition/c1"}])).visit
    assert visit.reasons == frozenset()


# --- drafts ------------------------------------------------------------------------------------------------


def drafts(*orders: dict, selections: list[str] | None = None) -> list[str]:
    return [draft.id for draft in chart(drafts=bundle(*orders), selections=selections).drafts]


DRAFT = order(status="draft", intent="plan")


def test_drafts_keep_the_whole_resource():
    (draft,) = chart(drafts=bundle(DRAFT | {"priority": "stat", "note": [{"text": "please"}]})).drafts
    assert draft.resource == DRAFT | {"priority": "stat", "note": [{"text": "please"}]}
    assert draft.urgent
    assert draft.concepts == {"mri-lumbar"}


@pytest.mark.parametrize(
    ("change", "kept"),
    **rows(
        {
            "a proposal": ({"intent": "proposal"}, True),
            "our patient's": ({"subject": {"reference": "Patient/p1"}}, True),
            "somebody else's": ({"subject": SOMEBODY}, False),
            "a prohibition": ({"doNotPerform": True}, False),
            "revoked": ({"status": "revoked"}, False),
            "of next week": ({"authoredOn": day(-7)}, False),
            "nothing we know": ({"code": codeable("urn:x", "1")}, False),
            "nothing chosen yet": ({"code": {"coding": [{}]}}, False),
            "no date": ({"authoredOn": "now"}, False),
            "unreadable": ({"priority": 1}, False),
            "not understood": ({"modifierExtension": [{"url": "x"}]}, False),
            "another type": ({"resourceType": "MedicationRequest"}, False),
        }
    ),
)
def test_which_drafts_are_judged(change, kept):
    assert drafts(DRAFT | change, order(id="r2")) == (["r1", "r2"] if kept else ["r2"])


@pytest.mark.parametrize(
    ("selections", "chosen"),
    [
        (None, ["r1", "r2"]),
        ([], []),
        (["ServiceRequest/r2"], ["r2"]),
        (["ServiceRequest/r2", "MedicationRequest/r1"], ["r2"]),
        ([f"{EHR}/ServiceRequest/r1"], ["r1"]),
        (["urn:uuid:r1"], ["r1"]),
        (["urn:uuid:entry-2"], ["r2"]),
    ],
)
def test_order_select_judges_the_selected_drafts(selections, chosen):
    second = {"fullUrl": "urn:uuid:entry-2", "resource": DRAFT | {"id": "r2"}}
    assert drafts(DRAFT, second, selections=selections) == chosen


def test_unreadable_drafts_are_counted():
    assert chart(drafts=b"[]").unreadable == {"ServiceRequest": 1}
    assert chart(drafts=bundle(DRAFT | {"priority": 1})).unreadable == {"ServiceRequest": 1}


# --- the command line's Bundle -----------------------------------------------------------------------------


def whole(*resources: dict, hook: str = "patient-view"):
    call = gather_bundle(encoded(bundle(*resources)), hook, AT, UTC_ZONE)
    return read_chart(call, AT, UTC_ZONE, knowledge())


def test_a_bundle_is_a_complete_record():
    read = whole(patient(), condition(), OUTCOME)
    assert read.patient.reference == "Patient/p1"
    assert read.diagnoses
    assert read.missing == frozenset()


def test_the_subject_may_be_the_fullurl_of_the_patient():
    somebody = {"fullUrl": "urn:uuid:0f3b", "resource": patient(id=None)}
    assert whole(somebody, condition(subject={"reference": "urn:uuid:0f3b"})).diagnoses
    assert whole(somebody, condition(subject={"reference": "urn:uuid:ffff"})).foreign == 1


def test_draft_orders_of_an_order_hook():
    assert [each.id for each in whole(patient(), DRAFT, order(id="r2"), hook="order-sign").drafts] == ["r1"]
    assert whole(patient(), DRAFT).drafts == []


@pytest.mark.parametrize(
    ("encounters", "found"),
    **rows(
        {
            "in progress": ([encounter()], True),
            "planned": ([encounter(status="planned")], True),
            "finished": ([encounter(status="finished")], False),
            "finished, without a period's dates": ([encounter(status="finished", period={})], False),
            "finished today": ([encounter(status="finished", period={"start": day(0), "end": day(0)})], True),
            "finished yesterday": ([encounter(status="finished", period={"start": day(1), "end": day(1)})], False),
            "ended a moment ago": (
                [encounter(status="finished", period={"start": day(0), "end": "2026-11-20T11:59:59Z"})],
                False,
            ),
            "several": ([encounter(), encounter(id="e2")], False),
            "unreadable": ([encounter(status=3)], False),
            "none": ([], False),
        }
    ),
)
def test_the_single_open_encounter_is_the_visit(encounters, found):
    assert (whole(patient(), *encounters).visit is not None) is found


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (bundle(condition()), PatientMissing),
        (bundle(patient(), patient(id="p2")), RecordError),
        (patient(), RecordError),
        ([], RecordError),
        (b"not JSON", RecordError),
        ({"resourceType": "Bundle", "entry": 3}, RecordError),
    ],
)
def test_what_is_no_record_of_one_patient(source, error):
    with pytest.raises(error):
        gather_bundle(encoded(source), "patient-view", AT, UTC_ZONE)


def test_reading_is_repeatable():
    call = gathered(*EVERY_KIND.values())
    assert read_chart(call, AT, UTC_ZONE, knowledge()) == read_chart(call, AT, UTC_ZONE, knowledge())
