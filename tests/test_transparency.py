"""The thirteen source attributes of each criterion (reliability.md, rows 9 and 31): complete, and true of the code."""

import json
import logging
import shutil
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cds.catalogue import CRITERIA, Group, Source
from cds.concepts import ALL_CONCEPTS
from cds.explain import reaches, uses
from fhir_profiles import resources, transparency
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.terminology import FOLDER, load_knowledge
from fhir_profiles.transparency import ATTRIBUTES, FILE, HEALTH_STATUS, NOT_USED, load_transparency, patient_data
from hooks.review import ReviewAlarm
from tests.records import condition
from tests.service_rig import app, call, path_of

ABOUT = load_transparency()
THIRTEEN = 13
DERIVED = {"sex", "dateOfBirth", "healthStatusAssessments"}
NEVER = {"race", "ethnicity", "language", "sexualOrientation", "genderIdentity", "socialDeterminantsOfHealth"}


@pytest.mark.parametrize("id_", CRITERIA)
def test_thirteen_of_thirteen(id_: str):
    attributes = ABOUT.attributes(id_)
    assert list(attributes) == list(ATTRIBUTES)
    assert len(attributes) == THIRTEEN
    assert all(value.strip() for value in attributes.values())


@pytest.mark.parametrize("id_", CRITERIA)
def test_the_use_of_patient_data_is_what_the_code_does(id_: str):
    attributes = ABOUT.attributes(id_)
    used = {name for name in DERIVED | NEVER if attributes[name] != NOT_USED}
    assert used == set(patient_data(id_))


def test_what_no_criterion_uses_is_not_even_read():
    """Race and ethnicity would be extensions of Patient, language is `communication`."""
    assert set(resources.Patient.__struct_fields__) - set(resources.Resource.__struct_fields__) == {
        "identifier", "gender", "birthDate", "deceasedBoolean", "deceasedDateTime", "link",
    }  # fmt: skip


def test_patient_data_is_found_where_it_is_known_to_be_used():
    assert uses("raised-inflammatory-markers").patient == ("birth-date", "sex")
    assert uses("cauda-equina").patient == ("birth-date",)
    assert uses("night-pain").patient == ()
    assert "pain-score" in reaches("significant-radicular-pain")


def test_what_a_criterion_asks_of_others_counts():
    assert uses("isolated-spasm").groups == (Group.EMERGENCY, Group.RED_FLAG, Group.SURGICAL_REFERRAL)
    assert uses("emergency-outstanding").groups == (Group.EMERGENCY,)
    assert uses("night-pain").groups == ()
    assert {"sex", "birth-date", "saddle-anesthesia"} <= reaches("isolated-spasm")
    assert "sex" not in reaches("emergency-outstanding")


def test_assessments_are_concepts_that_there_are():
    assert HEALTH_STATUS <= ALL_CONCEPTS


@pytest.mark.parametrize("source", Source)
def test_every_source_is_cited_with_its_date_and_how_far_it_carries(source: Source):
    document = ABOUT.sources[source]
    assert len(document.citation) > 30
    assert document.version
    assert document.remark


def test_the_citation_of_a_criterion_has_all_its_sources():
    said = ABOUT.attributes("cauda-equina")["bibliographicCitation"]
    assert all(ABOUT.sources[source].citation in said for source in CRITERIA["cauda-equina"].sources)


def test_an_id_that_is_none_has_no_attributes():
    with pytest.raises(KeyError):
        ABOUT.attributes("headache")


@pytest.mark.parametrize(
    "change",
    [
        lambda stated: stated["criteria"].update({"headache": {"sex": "yes"}}),
        lambda stated: stated["criteria"]["cauda-equina"].update({"gender": "yes"}),
        lambda stated: stated["sources"].pop("acp-2017"),
        lambda stated: stated["review"].update({"due": "some day"}),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(change, tmp_path, monkeypatch):
    stated = json.loads((FOLDER / FILE).read_text("utf-8"))
    change(stated)
    (tmp_path / FILE).write_text(json.dumps(stated), "utf-8")
    monkeypatch.setattr(transparency, "FOLDER", tmp_path)
    with pytest.raises(KnowledgeError, match=FILE):
        load_transparency.__wrapped__()


def test_the_file_is_part_of_the_knowledge_version(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "knowledge")
    path = folder / FILE
    path.write_text(path.read_text("utf-8").replace("2027-", "2028-"), "utf-8")
    assert load_knowledge(folder=folder).version != load_knowledge().version


# --- the review date -------------------------------------------------------------------------------------

DUE = ABOUT.review.due
PAST = datetime(DUE.year, DUE.month, DUE.day, 12, tzinfo=UTC) + timedelta(days=1)


def details(at: datetime) -> list[str]:
    request = call("patient-view", condition("cauda-equina-syndrome", days_ago=None))
    answer = app(at=at).test_client().post(path_of("patient-view"), json=request)
    assert answer.status_code == 200
    return [card["detail"] for card in answer.get_json()["cards"]]


def test_past_the_review_date_every_card_says_so_and_nothing_else_changes():
    before, after = details(PAST - timedelta(days=1)), details(PAST)
    note = f"\n\nThe criteria behind this card are past their review date, {DUE}."
    assert before
    assert not any("review date" in detail for detail in before)
    assert after == [detail + note for detail in before]


def test_past_the_review_date_the_log_is_told_once_a_day(caplog):
    alarm = ReviewAlarm(ABOUT.review, ZoneInfo("UTC"))
    with caplog.at_level(logging.INFO, "backpain_cds"):
        for hours in (-24, 0, 1, 2, 24):
            alarm.check(PAST + timedelta(hours=hours))
    lines = [msgspec.json.decode(record.message) for record in caplog.records]
    assert [(line["alarm"], line["due"]) for line in lines] == [("review-overdue", DUE.isoformat())] * 2


def test_a_call_past_the_review_date_tells_the_log(caplog):
    with caplog.at_level(logging.INFO, "backpain_cds"):
        details(PAST + timedelta(days=7))
    assert sum('"alarm":"review-overdue"' in record.message for record in caplog.records) == 1


def test_the_day_counts_in_the_zone_of_the_site(caplog):
    eve = datetime(DUE.year, DUE.month, DUE.day, 23, tzinfo=UTC)
    with caplog.at_level(logging.INFO, "backpain_cds"):
        ReviewAlarm(ABOUT.review, ZoneInfo("UTC")).check(eve)
        assert not caplog.records
        ReviewAlarm(ABOUT.review, ZoneInfo("Pacific/Kiritimati")).check(eve)
    assert len(caplog.records) == 1


def test_the_shipped_review_is_not_overdue_on_the_day_of_the_catalogue():
    assert not ABOUT.review.is_overdue(date(2026, 11, 22))
    assert ABOUT.review.on <= ABOUT.revised <= ABOUT.review.due
