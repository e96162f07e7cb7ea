"""`backpain-cds feedback`, `retention`, `migrate` and `backup`."""

import csv
import io
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hooks.ledger.database import FILE, Ledger, open_ledger, sqlite_url
from tests import cli_rig
from tests.cli_rig import Cli, one_line
from tests.feedback_rig import OTHER, REASON, accepted, add_call, add_feedback, kept, ledger_at, overridden
from tests.records import AT

DAY = timedelta(days=1)
cli = cli_rig.cli


@pytest.fixture(autouse=True)
def no_url_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKPAIN_CDS_DATABASE_URL", raising=False)


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    with closing(ledger_at(database_url)) as opened:
        yield opened


@pytest.fixture
def config(cli: Cli, database_url: str) -> list[str]:
    return ["--config", cli.file(f'database_url = "{database_url}"\ntime_zone = "America/New_York"\n', "site.toml")]


def figures(ran: Any) -> dict[str, tuple[int, int, int]]:
    return {row["criterion"]: (row["shown"], row["accepted"], row["overridden"]) for row in ran.json["criteria"]}


# --- figures -----------------------------------------------------------------------------------------------


def test_each_criterion_has_what_became_of_its_cards(cli: Cli, ledger: Ledger, config: list[str]):
    first = add_call(ledger, "night-pain", "cancer-history")
    second = add_call(ledger, "night-pain")
    add_call(ledger, "night-pain")
    add_feedback(ledger, accepted(first), overridden(second, overrideReason={"reason": REASON}))
    ran = cli("feedback", "--json", *config)
    assert figures(ran) == {"cancer-history": (1, 1, 0), "night-pain": (3, 1, 1)}
    assert ran.json["criteria"][1]["reasons"] == {REASON["code"]: 1}
    shown = cli("feedback", *config)
    assert shown.code == 0
    assert "1 (33%)" in shown.out
    assert "Patient has contraindication" in " ".join(shown.out.split())


def test_a_card_that_lists_open_questions_does_not_count_for_them(cli: Cli, ledger: Ledger, config: list[str]):
    shown = add_call(ledger, "cauda-equina", "night-pain", group="not-assessed")
    add_feedback(ledger, overridden(shown))
    ran = cli("feedback", "--json", *config)
    assert ran.json["criteria"] == []
    assert ran.json["notAssessed"] == {"shown": 1, "accepted": 0, "overridden": 1, "reasons": {"none given": 1}}
    assert "(not-assessed card)" in cli("feedback", *config).out


def test_a_card_counts_by_the_last_report_on_it(cli: Cli, ledger: Ledger, config: list[str]):
    shown = add_call(ledger, "night-pain")
    later = {"outcomeTimestamp": "2026-11-20T13:00:00Z"}
    add_feedback(ledger, accepted(shown, **later))
    add_feedback(ledger, overridden(shown), overridden(shown, overrideReason={"userComment": "x"}))
    assert figures(cli("feedback", "--json", *config)) == {"night-pain": (1, 1, 0)}


def test_reports_of_another_client_or_on_no_card_count_nowhere(cli: Cli, ledger: Ledger, config: list[str]):
    shown = add_call(ledger, "night-pain")
    add_feedback(ledger, overridden(shown), issuer=OTHER)
    add_feedback(ledger, overridden("never shown"))
    ran = cli("feedback", "--json", *config)
    assert (figures(ran), ran.json["unlinked"]) == ({"night-pain": (1, 0, 0)}, 2)
    assert "2 reports name no card" in cli("feedback", *config).err


def test_days_count_whole_in_the_zone_of_the_site(cli: Cli, ledger: Ledger, config: list[str]):
    """04:59 UTC is the evening before in New York."""
    day = AT.replace(hour=0, minute=0, second=0)
    add_call(ledger, "night-pain", at=day + timedelta(hours=4, minutes=59))
    add_call(ledger, "iv-drug-use", at=day + timedelta(hours=5))
    add_call(ledger, "cancer-history", at=day + DAY + timedelta(hours=5))
    named = day.date().isoformat()
    ran = cli("feedback", "--json", "--since", named, "--until", named, *config)
    assert list(figures(ran)) == ["iv-drug-use"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--since", "yesterday"], "--since"),
        (["--until", "2026-13-01"], "--until"),
        (["--since", "2026-11-20", "--until", "2026-11-19"], "--until"),
    ],
)
def test_a_period_that_is_none_is_refused(cli: Cli, config: list[str], options: list[str], named: str):
    ran = cli("feedback", *options, *config)
    assert (ran.code, one_line(ran.err), named in ran.err) == (2, True, True)


# --- every report ------------------------------------------------------------------------------------------


def test_an_export_has_what_was_shown_done_and_said_by_whom_when_and_where(
    cli: Cli,
    ledger: Ledger,
    config: list[str],
):
    shown = add_call(ledger, "night-pain", "cancer-history")
    add_feedback(ledger, accepted(shown, "s1", "s2"), overridden("never shown", overrideReason={"userComment": "why"}))
    linked, unlinked = cli("feedback", "--ndjson", *config).lines
    assert linked["criteria"] == ["night-pain", "cancer-history"]
    assert (linked["outcome"], linked["suggestions"], linked["card"]) == ("accepted", ["s1", "s2"], shown)
    assert (linked["user"], linked["hook"], linked["service"]) == ("user-1", "patient-view", "back-pain-patient-view")
    assert (linked["outcome_at"], linked["received"]) == ("2026-11-20T12:00:00Z", AT.isoformat().replace("+00:00", "Z"))
    assert (unlinked["comment"], "criteria" in unlinked, "user" in unlinked) == ("why", False, False)
    lines = list(csv.DictReader(io.StringIO(cli("feedback", "--csv", *config).out)))
    assert [line["criteria"] for line in lines] == ["night-pain cancer-history", ""]
    assert lines[0].keys() >= linked.keys()


def test_no_comment_becomes_a_formula(cli: Cli, ledger: Ledger, config: list[str]):
    comments = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "fine = good", 'say "no",\nplease']
    add_feedback(ledger, *(overridden(overrideReason={"userComment": each}) for each in comments))
    lines = csv.DictReader(io.StringIO(cli("feedback", "--csv", *config).out))
    assert sorted(line["comment"] for line in lines) == sorted([*(f"'{each}" for each in comments[:5]), *comments[5:]])


def test_an_empty_ledger_is_no_error(cli: Cli, ledger: Ledger, config: list[str]):
    assert cli("feedback", *config).out.strip() == "No card was shown in this time."
    assert cli("feedback", "--ndjson", *config).out == ""
    assert cli("feedback", "--csv", *config).out.startswith("received,outcome_at,")


# --- looking after it --------------------------------------------------------------------------------------


def test_migrate_makes_the_tables(cli: Cli, config: list[str]):
    before = cli("feedback", *config)
    assert (before.code, one_line(before.err)) == (2, True)
    for _ in range(2):
        assert cli("migrate", *config).code == 0
    assert cli("feedback", *config).code == 0


def test_retention_deletes_what_is_old(cli: Cli, ledger: Ledger, database_url: str):
    site = cli.file(f'database_url = "{database_url}"\n[retention]\nfeedback_days = 1\naudit_days = 2\n', "site.toml")
    for days in (1, 2, 3):
        add_call(ledger, "night-pain", at=AT - days * DAY)
        add_feedback(ledger, overridden(str(days)), received=AT - days * DAY)
    ran = cli("retention", "--config", site)
    assert "Deleted 1 calls with their cards and 2 reports" in ran.out
    assert [row.card for row in kept(ledger)] == ["1"]


@pytest.fixture
def on_file(cli: Cli, tmp_path: Path) -> Iterator[tuple[Ledger, list[str]]]:
    with closing(ledger_at(sqlite_url(tmp_path / FILE))) as opened:
        yield opened, ["--config", cli.file(f'data_dir = "{tmp_path}"\n', "site.toml")]


def test_row_56_a_backup_is_a_whole_ledger_taken_while_others_write(
    cli: Cli,
    tmp_path: Path,
    on_file: tuple[Ledger, list[str]],
):
    ledger, config = on_file
    add_feedback(ledger, *(accepted(str(number)) for number in range(100)))
    copy = tmp_path / "copy.sqlite3"
    with ledger.begin():  # a transaction under way is not in it, and does not keep it waiting
        assert cli("backup", str(copy), *config).code == 0
    add_feedback(ledger, accepted("later"))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(open_ledger(sqlite_url(copy))) as restored:
        assert len(kept(restored)) == 100
        add_feedback(restored, accepted("after a restore"))
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_replaces_nothing(cli: Cli, tmp_path: Path, on_file: tuple[Ledger, list[str]]):
    (tmp_path / "old").write_text("mine")
    for target in ("old", "no/such/folder/file"):
        ran = cli("backup", str(tmp_path / target), *on_file[1])
        assert (ran.code, one_line(ran.err)) == (2, True)
    assert (tmp_path / "old").read_text() == "mine"
    assert not [name for name in tmp_path.iterdir() if name.name.endswith(".part")]


def test_a_damaged_ledger_is_not_passed_off_as_a_backup(cli: Cli, tmp_path: Path, on_file: tuple[Ledger, list[str]]):
    ledger, config = on_file
    add_feedback(ledger, *(accepted(str(number)) for number in range(100)))
    ledger.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_feedback_received'")
    with (tmp_path / FILE).open("r+b") as file:
        file.seek((page - 1) * 4096 + 200)
        file.write(b"\xff" * 2000)
    ran = cli("backup", str(tmp_path / "copy"), *config)
    assert (ran.code, one_line(ran.err)) == (2, True)
    assert not (tmp_path / "copy").exists()


def test_postgresql_has_backups_of_its_own(cli: Cli, tmp_path: Path):
    site = cli.file('database_url = "postgresql://me:S3cret@127.0.0.1:1/x"\n', "site.toml")
    ran = cli("backup", str(tmp_path / "copy"), "--config", site)
    assert (ran.code, "pg_dump" in ran.err, "S3cret" in ran.err) == (2, True, False)
    shown = cli("check-config", site)
    assert (shown.code, "S3cret" in shown.out, "postgresql+psycopg://me:***@" in shown.out) == (0, False, True)


@pytest.mark.parametrize("command", [["feedback"], ["retention"], ["migrate"], ["backup", "copy"]])
def test_without_a_place_to_keep_there_is_no_ledger(cli: Cli, command: list[str]):
    ran = cli(*command)
    assert (ran.code, "data_dir" in ran.err, one_line(ran.err)) == (2, True, True)


@pytest.mark.parametrize("url", ["mysql://me:S3cret@host/db", "sqlite:///relative", "S3cret"])
def test_a_bad_url_in_the_configuration_is_refused_without_repeating_it(cli: Cli, url: str):
    ran = cli("feedback", "--config", cli.file(f'database_url = "{url}"\n', "site.toml"))
    assert (ran.code, "database_url" in ran.err, "S3cret" in ran.err) == (2, True, False)
