"""What a row of the audit holds, and what it never holds (rows 33, 34 and 37)."""

import hmac
import json
import logging
import re
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds.evaluation import CATALOGUE, CATALOGUE_VERSION
from cds.limits import Limits
from hooks.alarm import Alarm
from hooks.app import create_app
from hooks.audit.content import thresholds_digest
from hooks.audit.identifiers import KEY_VARIABLE, Identifiers, load_key, make_key
from hooks.audit.options import AuditOptions
from hooks.audit.spool import FOLDER
from hooks.errors import SettingsError
from hooks.settings import Settings, load_settings
from tests.audit_rig import RELEASE, Kept
from tests.records import AT, PATIENT_ID, condition, draft, knowledge, observation
from tests.service_rig import INSTANCE, call, changed, path_of, searchset

EMERGENCY = condition("cauda-equina-syndrome", days_ago=1, id="c1", meta={"versionId": "3"})
ISSUER = "https://ehr.example.org/fhir"


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def only(kept: Kept) -> dict[str, Any]:
    (row,) = kept.rows()
    return row


# --- answered ------------------------------------------------------------------------------------------


def test_an_answered_call_has_everything_that_is_to_be_known_later(kept: Kept):
    answer = kept.post(call("patient-view", EMERGENCY, observation("pain-score", "7")), ISSUER, "ward-7")
    row = only(kept)
    assert row["id"] == answer.headers["X-Request-Id"]
    assert (row["issuer"], row["tenant"], row["status"], row["reason"]) == (ISSUER, "ward-7", 200, "")
    assert (row["hook"], row["service"], row["hook_instance"]) == ("patient-view", "back-pain-patient-view", INSTANCE)
    assert (row["at"], row["release"], row["knowledge"]) == ("2026-11-20T12:00:00Z", RELEASE, knowledge().version)
    assert row["latency_ms"] > 0
    assert list(row["criteria"]) == [entry.id for entry in CATALOGUE]
    assert row["criteria"]["cauda-equina"] == {"status": "met", "state": "on", "evidence": ["Condition/c1|3"]}
    assert row["criteria"]["night-pain"] == {"status": "unknown", "state": "on", "evidence": []}
    sent = {card["uuid"]: card["indicator"] for card in answer.get_json()["cards"]}
    assert {card["uuid"]: card["indicator"] for card in row["cards"]} == sent
    assert row["cards"][0] | {"evidence": ""} == {
        "uuid": row["cards"][0]["uuid"],
        "group": "emergency",
        "indicator": "critical",
        "criteria": ["cauda-equina"],
        "evidence": "",
    }


def test_what_was_missing_unreadable_or_of_others_is_counted(kept: Kept):
    request = call("patient-view", EMERGENCY, condition("osteoporosis", subject={"reference": "Patient/other"}))
    request["prefetch"]["procedures"] = searchset({"resourceType": "Procedure", "code": 5})
    del request["prefetch"]["observations"]
    kept.post(request)
    row = only(kept)
    assert (row["missing"], row["unreadable"], row["foreign_resources"]) == (["Observation"], 1, 1)


@pytest.mark.parametrize(
    ("meta", "reference"),
    [
        ({"versionId": "12"}, "Condition/c1|12"),
        ({"versionId": 12}, "Condition/c1"),
        ({"versionId": "a b|<script>"}, "Condition/c1"),
        ({"versionId": "x" * 65}, "Condition/c1"),
        ({}, "Condition/c1"),
        (None, "Condition/c1"),
        ("text", "Condition/c1"),
    ],
)
def test_evidence_has_its_version_where_that_is_one(kept: Kept, meta: Any, reference: str):
    """A version that is none costs the version, never the finding."""
    kept.post(call("patient-view", EMERGENCY | {"meta": meta}))
    assert only(kept)["criteria"]["cauda-equina"]["evidence"] == [reference]


def test_of_two_versions_the_audit_names_the_one_that_was_believed(kept: Kept):
    newer = EMERGENCY | {"meta": {"versionId": "4", "lastUpdated": "2026-11-19T10:00:00Z"}}
    older = EMERGENCY | {"meta": {"versionId": "3", "lastUpdated": "2026-11-18T10:00:00Z"}}
    for both in ((older, newer), (newer, older)):
        kept.post(call("patient-view", *both))
    assert [row["criteria"]["cauda-equina"]["evidence"] for row in kept.rows()] == [["Condition/c1|4"]] * 2


def test_the_patient_as_evidence_is_not_named(kept: Kept):
    request = changed(call("patient-view"), "prefetch.patient.birthDate", "2015-01-01")
    kept.post(request)
    row = only(kept)
    assert "Patient" in row["criteria"]["child-back-pain"]["evidence"]
    assert f"Patient/{PATIENT_ID}" not in json.dumps(row)


def test_a_criterion_that_is_silent_is_kept_with_its_status_and_one_that_is_off_without(tmp_path: Path):
    kept = Kept(tmp_path, settings=Settings(states=(("cauda-equina", "silent"), ("cancer-history", "off"))))
    kept.post(call("patient-view", EMERGENCY, condition("cancer-history")))
    criteria = only(kept)["criteria"]
    assert criteria["cauda-equina"] == {"status": "met", "state": "silent", "evidence": ["Condition/c1|3"]}
    assert criteria["cancer-history"] == {"status": "unknown", "state": "off", "evidence": []}
    assert criteria["night-pain"]["state"] == "on"


def test_a_disabled_criterion_is_left_out_here_too(tmp_path: Path):
    kept = Kept(tmp_path, settings=Settings(disabled=frozenset({"cauda-equina"})))
    kept.post(call("patient-view", EMERGENCY))
    assert "cauda-equina" not in only(kept)["criteria"]


def test_a_row_says_its_catalogue_itself_whichever_release_files_it(kept: Kept):
    kept.post(call())
    kept.spool.turn()
    (segment,) = (kept.folder / FOLDER).glob("*.ndjson")
    assert json.loads(segment.read_bytes())["catalogue"] == CATALOGUE_VERSION


def test_thresholds_disabled_and_time_zone_make_another_basis(kept: Kept):
    sites = [
        Settings(),
        Settings(limits=Limits(pain_severe=8)),
        Settings(disabled=frozenset({"night-pain"})),
        Settings(zone=ZoneInfo("Europe/London")),
        Settings(log_level="debug"),
    ]
    bases = [thresholds_digest(site) for site in sites]
    assert len(set(bases[:4])) == 4
    assert bases[4] == bases[0]
    kept.post(call())
    assert only(kept)["thresholds"] == bases[0]


# --- the digest of a card's evidence -------------------------------------------------------------------


def digests(kept: Kept) -> list[str]:
    return [card["evidence"] for row in kept.rows() for card in row["cards"] if card["group"] == "emergency"]


@pytest.mark.parametrize(
    "change",
    [{"meta": {"versionId": "4"}}, {"onsetDateTime": "2026-11-18"}, {"id": "c2"}, {"code": {"text": "other words"}}],
    ids=str,
)
def test_other_evidence_is_another_digest(kept: Kept, change: dict[str, Any]):
    request = EMERGENCY | change
    request["code"] = EMERGENCY["code"] | change.get("code", {})
    for each in (EMERGENCY, EMERGENCY, request):
        kept.post(call("patient-view", each))
    same, again, other = digests(kept)
    assert same == again != other


def test_the_same_question_about_another_order_is_another_digest(kept: Kept):
    for name in ("o1", "o2"):
        order = draft("spinal-traction", id=name)
        request = call("order-sign", condition("osteoporosis", id="c9"))
        kept.post(changed(request, "context.draftOrders", searchset(order)))
    cards = [card for row in kept.rows() for card in row["cards"]]
    one, other = [card["evidence"] for card in cards if card["criteria"] == ["traction-caution"]]
    assert one != other


# --- refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path", "status", "reason"),
    [
        (b"{", None, 400, "structure"),
        (changed(call(), "context.patientId", ...), None, 400, "required"),
        (changed(call(), "prefetch.patient", ...), None, 412, "required"),
        (call(), "/cds-services/none", 404, "not-found"),
    ],
)
def test_a_refused_call_has_its_row(kept: Kept, body: Any, path: str | None, status: int, reason: str):
    answer = kept.post(body, path=path or path_of("patient-view"))
    row = only(kept)
    assert answer.status_code == row["status"] == status
    assert row["id"] == answer.headers["X-Request-Id"]
    assert row["reason"] == reason
    assert (row["criteria"], row["cards"], row["at"]) == ({}, [], "2026-11-20T12:00:00Z")


def test_what_was_understood_of_a_refused_call_is_in_its_row(kept: Kept):
    kept.post(changed(call(), "prefetch.patient", ...), ISSUER)
    row = only(kept)
    assert row["patient_key"] == kept.identifiers.patient(ISSUER, "", PATIENT_ID)
    assert (row["hook"], row["hook_instance"]) == ("patient-view", INSTANCE)


def test_calls_turned_away_unread_have_a_row_each(kept: Kept):
    ids = []
    for kept.at, service in ((AT, "order-sign"), (AT + timedelta(minutes=1), "patient-view")):
        status, headers, _ = kept.app.say_busy(None, path_of(service))
        assert status == 503
        ids.append(dict(headers)["X-Request-Id"])
    kept.app.say_busy(None, "/cds-services/back-pain-order-sign/feedback")
    assert [(row["id"], row["service"], row["at"]) for row in kept.rows()] == [
        (ids[0], "back-pain-order-sign", "2026-11-20T12:00:00Z"),
        (ids[1], "back-pain-patient-view", "2026-11-20T12:01:00Z"),
    ]
    row = kept.rows()[0]
    assert (row["status"], row["reason"]) == (503, "busy")
    assert (row["issuer"], row["patient_key"], row["hook"]) == ("", "", "")
    assert (row["release"], row["catalogue"]) == (RELEASE, CATALOGUE_VERSION)
    assert row["knowledge"] == kept.app.site.knowledge.version
    assert row["thresholds"] == thresholds_digest(kept.settings)


def test_turning_away_does_not_let_go_of_the_interpreter(kept: Kept):
    """Each time it did, a thread that waits would be woken, and that takes longer than turning a call away."""
    turns, over = 0, threading.Event()

    def wait() -> None:
        nonlocal turns
        while not over.is_set():
            time.sleep(0)
            turns += 1

    usual, other = sys.getswitchinterval(), threading.Thread(target=wait)
    sys.setswitchinterval(60)
    try:
        other.start()
        for _ in range(2000):
            kept.app.say_busy(None, path_of("order-sign"))
        counted = turns
    finally:
        sys.setswitchinterval(usual)
        over.set()
        other.join()
    assert counted < 50


def test_one_that_has_no_room_for_its_row_is_turned_away_all_the_same(tmp_path: Path):
    kept = full(tmp_path, strict=True)
    assert kept.app.say_busy(None, path_of("order-sign"))[0] == 503
    assert kept.app.audit.lost == 1


def test_other_urls_are_no_calls(kept: Kept):
    for method, path in (
        ("GET", "/cds-services"),
        ("GET", "/nowhere"),
        ("POST", "/readyz"),
        ("GET", path_of("patient-view")),
        ("POST", path_of("patient-view") + "/feedback"),
    ):
        kept.client.open(path, method=method)
    assert kept.rows() == []


# --- who it was about ----------------------------------------------------------------------------------


def test_users_and_patients_are_hashes_that_only_the_key_makes(kept: Kept):
    kept.post(call(), ISSUER)
    row = only(kept)
    assert row["user_key"] == kept.identifiers.user(ISSUER, "", "Practitioner/dr1")
    assert row["patient_key"] == kept.identifiers.patient(ISSUER, "", PATIENT_ID)
    assert {len(row["user_key"]), len(row["patient_key"])} == {64}
    assert Identifiers(b"another key").patient(ISSUER, "", PATIENT_ID) != row["patient_key"]


def test_plain_where_a_site_wants_it_so(tmp_path: Path):
    kept = Kept(tmp_path, settings=Settings(audit=AuditOptions(identifiers="plain")))
    kept.post(call(), ISSUER)
    row = only(kept)
    assert (row["user_key"], row["patient_key"]) == ("Practitioner/dr1", PATIENT_ID)


def test_the_same_id_of_another_client_tenant_or_kind_is_somebody_else():
    names = Identifiers(b"k" * 32)
    made = [
        names.patient("a", "", "1"),
        names.patient("b", "", "1"),
        names.patient("a", "t", "1"),
        names.patient("at", "", "1"),
        names.user("a", "", "1"),
    ]
    assert len(set(made)) == 5
    assert names.patient("a", "", "") == ""


def test_who_knows_the_key_can_find_a_patient():
    """As docs/audit.md says."""
    said = hmac.new(b"k" * 32, b'["patient","https://ehr","ward","1"]', "sha256").hexdigest()
    assert Identifiers(b"k" * 32).patient("https://ehr", "ward", "1") == said


def test_one_clients_rows_are_not_found_as_anothers(kept: Kept):
    other = "https://other.example.org"
    kept.post(call(), ISSUER)
    kept.post(call(), other)
    first, second = kept.rows()
    assert (first["issuer"], second["issuer"]) == (ISSUER, other)
    assert first["patient_key"] != second["patient_key"]
    assert first["user_key"] != second["user_key"]


def test_a_tenant_cannot_break_a_row(kept: Kept):
    kept.post(call(), ISSUER, "a\0b\n" + "x" * 5000)
    assert only(kept)["tenant"] == "ab" + "x" * 298


# --- the key -------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_nobody_else_may_read_it(tmp_path: Path):
    make_key(tmp_path, {})
    key = load_key(tmp_path, {})
    make_key(tmp_path, {})
    assert load_key(tmp_path, {}) == key
    assert len(key) == 64
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["audit.key"]


def test_the_key_of_the_environment_comes_first(tmp_path: Path):
    environ = {KEY_VARIABLE: "s" * 32}
    make_key(tmp_path, environ)
    assert list(tmp_path.iterdir()) == []
    assert load_key(tmp_path, environ) == b"s" * 32


def test_a_bad_key_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="at least 32"):
        load_key(tmp_path, {KEY_VARIABLE: "short"})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_key(tmp_path, {})
    make_key(tmp_path, {})
    (tmp_path / "audit.key").chmod(0o644)
    with pytest.raises(SettingsError, match="0600"):
        load_key(tmp_path, {})
    with pytest.raises(SettingsError, match="cannot be written"):
        make_key(tmp_path / "none", {})


# --- settings ------------------------------------------------------------------------------------------


def test_the_configuration_decides(tmp_path: Path):
    file = tmp_path / "site.toml"
    file.write_text('[audit]\nidentifiers = "plain"\nspool_mib = 8\nstrict = true\nstore_input = true\n')
    assert load_settings(file).audit == AuditOptions("plain", 8, True, True)
    assert load_settings(None).audit == AuditOptions("hashed", 64, False, False)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("strict = 1", "audit.strict"),
        ('identifiers = "names"', "audit.identifiers"),
        ("spool_mib = 0", "audit.spool_mib"),
        ("inputs = true", "audit.inputs"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, line: str, key: str):
    file = tmp_path / "site.toml"
    file.write_text(f"[audit]\n{line}\n")
    with pytest.raises(SettingsError, match=re.escape(key)):
        load_settings(file)


# --- when a row cannot be kept -------------------------------------------------------------------------


def full(tmp_path: Path, **options: Any) -> Kept:
    return Kept(tmp_path, settings=Settings(audit=AuditOptions(spool_mib=0, **options)))


def test_a_call_is_answered_all_the_same_and_the_log_says_what_is_lost(tmp_path: Path, caplog: Any):
    kept = full(tmp_path)
    with caplog.at_level(logging.ERROR, "backpain_cds"):
        answers = [kept.post(call("patient-view", EMERGENCY)).status_code for _ in range(3)]
    assert answers == [200] * 3
    alarms = [json.loads(record.message) for record in caplog.records]
    assert [(alarm["event"], alarm["alarm"], alarm["lost"]) for alarm in alarms] == [("alarm", "audit-row-lost", 1)]
    assert kept.app.audit.lost == 3
    assert kept.rows() == []


def test_a_strict_site_answers_503_instead(tmp_path: Path):
    kept = full(tmp_path, strict=True)
    answer = kept.post(call("patient-view", EMERGENCY))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert kept.app.audit.lost == 1
    assert kept.post(b"{", path=path_of("patient-view")).status_code == 400


def test_an_alarm_is_repeated_each_minute_while_it_lasts(caplog: Any):
    now = [0.0]
    alarm = Alarm("audit-row-lost", lambda: now[0])
    with caplog.at_level(logging.ERROR, "backpain_cds"):
        for now[0] in (0.0, 1.0, 59.9, 60.0, 61.0, 120.5):
            alarm.sound()
    assert len(caplog.records) == 3


def test_an_application_without_a_folder_keeps_nothing():
    application = create_app(Settings(), knowledge(), clock=lambda: AT)
    assert application.test_client().post(path_of("patient-view"), json=call()).status_code == 200
