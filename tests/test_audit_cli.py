"""`backpain-cds audit`: questions to the audit, the check of its chain, and calls evaluated once more (row 47, P13)."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from fhir_profiles import samples
from fhir_profiles.samples import names
from hooks.audit.options import AuditOptions
from hooks.audit.query import Row
from hooks.ledger.database import open_engine
from hooks.settings import Settings
from tests.audit_rig import Kept
from tests.cli_rig import Cli, cli, one_line, program
from tests.records import AT, condition
from tests.service_rig import HOOKS, call, call_from, changed, path_of

__all__ = ["cli"]

ISSUER, OTHER = "https://ehr.example.org/fhir", "https://other.example.org"
EMERGENCY = condition("cauda-equina-syndrome", date="2026-11-18", id="c1", meta={"versionId": "3"})
STORED = Settings(audit=AuditOptions(store_input=True))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    (tmp_path / "data").mkdir()
    return Kept(tmp_path / "data", settings=STORED)


@pytest.fixture
def site(tmp_path: Path, kept: Kept) -> str:
    """The configuration whose ledger that is."""
    file = tmp_path / "site.toml"
    file.write_text('data_dir = "data"\ntime_zone = "America/New_York"\n')
    return str(file)


@pytest.fixture
def day(kept: Kept) -> list[Row]:
    """Three hours of calls; the rows, newest first."""
    kept.post(call("patient-view", EMERGENCY), ISSUER)
    kept.at += timedelta(hours=1)
    kept.post(call("patient-view"), OTHER)
    kept.at += timedelta(hours=1)
    kept.post(b"{", OTHER, path=path_of("patient-view"))
    return list(reversed(kept.rows()))


# --- list, show ----------------------------------------------------------------------------------------


def test_the_table_shows_the_newest_first_in_the_zone_of_the_site(cli: Cli, site: str, day: list[Row]):
    ran = cli("audit", "--config", site)
    lines = [line.split() for line in ran.out.splitlines() if line.strip()[:8] in {row["id"][:8] for row in day}]
    assert (ran.code, ran.err) == (0, "")
    assert [line[0] for line in lines] == [row["id"][:8] for row in day]
    assert [line[2] for line in lines] == ["09:00:00", "08:00:00", "07:00:00"]
    assert lines[0][3:6] == ["patient-view", "400", "structure"]
    assert lines[2][-2:] == ["emergency,", "not-assessed"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--since", "2026-11-20T13:00Z"], [0, 1]),
        (["--until", "2026-11-20T13:00Z"], [1, 2]),
        (["--since", "2026-11-21"], []),
        (["--issuer", OTHER], [0, 1]),
        (["--criterion", "cauda-equina"], [2]),
        (["--criterion", "cauda-equina", "--status", "unknown"], [1]),
        (["--criterion", "cauda-equina", "--issuer", OTHER], []),
        (["--status", "400"], [0]),
        (["--status", "200"], [1, 2]),
        (["--limit", "1"], [0]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_a_question_finds_what_it_asks_for(cli: Cli, site: str, day: list[Row], options: list[str], found: list[int]):
    wanted = [day[index]["id"] for index in found]
    assert [row["id"] for row in cli("audit", *options, "--json", "--config", site).json] == wanted
    assert [row["id"] for row in cli("audit", *options, "--ndjson", "--config", site).lines] == wanted


def test_the_call_of_a_card_is_found(cli: Cli, site: str, day: list[Row]):
    uuid = day[2]["cards"][0]["uuid"]
    (row,) = cli("audit", "--card", uuid, "--json", "--config", site).json
    assert row == day[2]


def test_questions_are_the_same_to_both_databases(tmp_path: Path, database_url: str, cli: Cli):
    kept = Kept(tmp_path, database_url)
    kept.post(call("patient-view", EMERGENCY))
    kept.file()
    site = cli.file(f'data_dir = "."\ndatabase_url = "{database_url}"\n', "site.toml")
    asked = ["audit", "--criterion", "cauda-equina", "--since", "2026-11-20", "--json", "--config", site]
    assert len(cli(*asked).json) == 1
    assert cli(*asked, "--status", "not-met").json == []
    assert cli("audit", "verify", "--config", site).code == 0


def test_show_has_the_whole_call(cli: Cli, site: str, day: list[Row]):
    ran = cli("audit", "show", day[2]["id"][:8], "--config", site)
    assert ran.code == 0
    for said in (day[2]["id"], ISSUER, day[2]["patient_key"], "Condition/c1|3", "2026-11-20 07:00:00", "emergency"):
        assert said in ran.out
    assert cli("audit", "show", day[2]["id"], "--json", "--config", site).json == day[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--criterion", "cauda-equin"], "did you mean cauda-equina"),
        (["--status", "met"], "--status"),
        (["--status", "40"], "--status"),
        (["--since", "yesterday"], "--since"),
        (["show"], "id of a call"),
        (["show", "zzzz"], "no call begins"),
        (["show", ""], "id of a call"),
        (["verify", "--issuer", OTHER], "no filter"),
        (["replay", "zzzz"], "no call with a stored input"),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_what_cannot_be_asked_is_said_in_one_line(cli: Cli, site: str, day: list[Row], options: list[str], said: str):
    ran = cli("audit", *options, "--config", site)
    assert (ran.code, ran.out) == (2, "")
    assert one_line(ran.err)
    assert said in ran.err


def test_without_a_ledger_there_is_nothing_to_ask(cli: Cli):
    ran = cli("audit")
    assert ran.code == 2
    assert "data_dir or database_url" in ran.err


def test_rows_that_wait_are_mentioned(cli: Cli, site: str, day: list[Row], kept: Kept):
    kept.post(call())
    ran = cli("audit", "--json", "--config", site)
    assert len(ran.json) == 3
    assert "wait to be filed" in ran.err


def test_nothing_of_a_row_steers_the_terminal(cli: Cli, site: str, kept: Kept):
    kept.post(call(), ISSUER, "ward\x1b[31m\u202e7")
    kept.file()
    assert "\x1b" not in cli("audit", "show", kept.rows()[0]["id"], "--config", site).out


# --- verify --------------------------------------------------------------------------------------------


def test_a_whole_chain_is_0_and_a_broken_one_1(cli: Cli, site: str, day: list[Row], kept: Kept):
    ran = cli("audit", "verify", "--json", "--config", site)
    assert ran.code == 0
    assert [(each["day"], each["rows"], each["broken"]) for each in ran.json] == [("2026-11-20", 3, [])]
    assert "whole" in cli("audit", "verify", "--config", site).out
    engine = open_engine(kept.url)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER call_stays"))
        connection.execute(text("UPDATE call SET status = 200 WHERE status = 400"))
    engine.dispose()
    ran = cli("audit", "verify", "--config", site)
    assert ran.code == 1
    assert day[0]["id"][:8] in ran.out
    assert cli("audit", "verify", "--ndjson", "--config", site).lines[0]["broken"] == [day[0]["id"]]


def test_without_the_key_nothing_can_be_verified(cli: Cli, site: str, day: list[Row], kept: Kept):
    (kept.folder / "audit.key").unlink()
    ran = cli("audit", "verify", "--config", site)
    assert ran.code == 2
    assert "audit.key" in ran.err


# --- replay --------------------------------------------------------------------------------------------


def varied() -> list[dict[str, Any]]:
    """The sample charts at every hook that they fit, and with each search missing in turn."""
    charts = [samples.load(name) for name in names()]
    calls = [call_from(chart, hook) for chart in charts for hook in HOOKS if hook != "encounter-start"]
    keys = [key for key in calls[0]["prefetch"] if key != "patient"]
    return calls + [changed(each, f"prefetch.{key}", ...) for each, key in zip(calls * 3, keys * 20, strict=False)][:60]


def test_a_hundred_recorded_calls_come_to_the_same(cli: Cli, site: str, tmp_path: Path):
    kept = Kept(tmp_path / "data", settings=replace(STORED, zone=ZoneInfo("America/New_York")))
    for number, request in enumerate(varied()):
        kept.at = AT + timedelta(hours=7 * number)
        assert kept.post(request, ISSUER).status_code == 200
    recorded = kept.rows()
    assert len(recorded) >= 100
    assert len({tuple(sorted(each["status"] for each in row["criteria"].values())) for row in recorded}) > 20
    ran = cli("audit", "replay", "--json", "--config", site)
    assert [each for each in ran.json if not each["same"] or each["basis"]] == []
    assert (ran.code, len(ran.json)) == (0, len(recorded))


def test_another_result_is_told_and_why_it_may_differ(cli: Cli, tmp_path: Path, site: str, day: list[Row]):
    other = tmp_path / "other.toml"
    other.write_text(
        'data_dir = "data"\ntime_zone = "UTC"\ndisabled = ["night-pain"]\n[thresholds]\nemergency_window_days = 1\n'
    )
    ran = cli("audit", "replay", day[2]["id"][:8], "--json", "--config", str(other))
    assert ran.code == 1
    (one,) = ran.json
    assert one["basis"] == ["thresholds"]
    assert any(said.startswith("cauda-equina: met then") for said in one["differences"])
    assert "night-pain: not there now" in one["differences"]
    table = cli("audit", "replay", "--config", str(other))
    assert "did not." in table.out


@pytest.mark.parametrize("state", ["silent", "off"])
def test_states_of_then_hold_when_it_is_replayed(cli: Cli, tmp_path: Path, state: str):
    kept = Kept(tmp_path, settings=replace(STORED, states=(("cauda-equina", state),)))
    kept.post(call("patient-view", EMERGENCY))
    kept.file()
    site = cli.file('data_dir = "."\n', "site.toml")
    assert cli("audit", "replay", "--config", site).code == 0


def test_a_changed_row_is_not_what_its_input_comes_to(cli: Cli, site: str, day: list[Row], kept: Kept):
    engine = open_engine(kept.url)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER call_stays"))
        connection.execute(text("""UPDATE call SET criteria = replace(criteria, 'Condition/c1|3', 'Condition/c1|2')"""))
        connection.execute(text("DROP TRIGGER card_stays"))
        connection.execute(text("UPDATE card SET indicator = 'info'"))
    engine.dispose()
    (one,) = [each for each in cli("audit", "replay", "--json", "--config", site).json if not each["same"]]
    assert "cauda-equina: rests on other evidence" in one["differences"]
    assert one["differences"][-1].startswith("cards: ")


def test_it_runs_as_a_program(site: str, day: list[Row]):
    ran = program("audit", "--ndjson", "--config", site)
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == [row["id"] for row in day]
