"""Feedback over HTTP: what is acknowledged is committed, and nobody else waits for it (rows 27, 35, 36)."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete

from hooks.ledger.database import FILE, Ledger, open_ledger, sqlite_url
from hooks.ledger.schema import feedback
from hooks.ledger.tally import tally
from tests.feedback_rig import ISSUER, OTHER, URL, accepted, add_call, kept, overridden, said
from tests.jwks_rig import PUBLIC_URL, bearer, jwk, jwks, registered, token
from tests.postgres_rig import Postgres
from tests.service_rig import Server, call, path_of, running

HOOK = path_of("patient-view")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with two workers, and the URL of its ledger."""
    folder = tmp_path_factory.mktemp("feedback")
    on_file = request.param == "sqlite"
    url = sqlite_url(folder / FILE) if on_file else request.getfixturevalue("postgres").new_database()
    with running(folder, 2, f'development = true\ndatabase_url = "{url}"\n') as started:
        yield started, url


@pytest.fixture
def server(served: tuple[Server, str]) -> Server:
    return served[0]


@pytest.fixture
def ledger(served: tuple[Server, str]) -> Iterator[Ledger]:
    """The ledger of the server, without feedback."""
    with closing(open_ledger(served[1])) as opened:
        with opened.begin() as connection:
            connection.execute(delete(feedback))
        yield opened


def test_r148_what_is_acknowledged_is_there(server: Server, ledger: Ledger):
    answer = server.http.post(URL, json=said(accepted("a"), overridden("b", overrideReason={"userComment": "ä"})))
    assert (answer.status_code, answer.json(), answer.headers["Cache-Control"]) == (200, {}, "no-store")
    assert {(row.card, row.outcome, row.comment) for row in kept(ledger)} == {
        ("a", "accepted", ""),
        ("b", "overridden", "ä"),
    }


def test_r143_the_same_again_is_no_error_and_kept_once_but_another_report_is_kept(server: Server, ledger: Ledger):
    for item in (accepted(), accepted(), overridden(), accepted() | {"outcomeTimestamp": "2026-11-20T13:00:00Z"}):
        assert server.http.post(URL, json=said(item, item)).status_code == 200
    assert len(kept(ledger)) == 3


def test_many_at_once_on_two_workers_are_each_kept_once(server: Server, ledger: Ledger):
    """Some send the same: neither a deadlock nor a second row."""
    batches = [[accepted(f"{number}-{each % 7}") for each in range(10)] for number in range(8)] * 3
    with ThreadPoolExecutor(12) as pool:
        statuses = set(pool.map(lambda items: server.http.post(URL, json=said(*items)).status_code, batches))
    assert statuses == {200}
    assert len(kept(ledger)) == 8 * 7


def test_a_batch_with_one_bad_item_is_refused_whole(server: Server, ledger: Ledger):
    answer = server.http.post(URL, json=said(accepted("a"), accepted("b"), accepted("")))
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["feedback[2].card"])
    assert kept(ledger) == []


def test_r146_an_unknown_card_is_kept_and_an_unknown_service_is_not(server: Server, ledger: Ledger):
    assert server.http.post(URL, json=said(overridden("never shown"))).status_code == 200
    assert server.http.post(URL.replace("patient-view", "nothing"), json=said(overridden())).status_code == 404
    assert [row.card for row in kept(ledger)] == ["never shown"]


def test_r170_a_browser_may_ask_first(server: Server):
    origin = "https://sandbox.cds-hooks.org"
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = server.http.options(URL, headers=asked)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, origin)
    sent = server.http.post(URL, json=said(accepted()), headers={"Origin": origin})
    assert (sent.status_code, sent.headers["Access-Control-Allow-Origin"]) == (200, origin)


# --- whose feedback it is ----------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """A server with two clients."""
    (tmp_path / "other.json").write_text(json.dumps(jwks(jwk("other"))))
    other = f'[[clients]]\nissuer = "{OTHER}"\njwks_file = "other.json"\n'
    config = registered(tmp_path, f'data_dir = "{tmp_path}"') + f"\n{other}"
    with running(tmp_path, config=config) as started:
        yield started


def test_r149_feedback_needs_a_token_for_its_own_url(guarded: Server):
    for headers, status in (
        ({}, 401),
        (bearer(token(PUBLIC_URL + HOOK)), 401),
        (bearer(token(PUBLIC_URL + URL)), 200),
    ):
        assert guarded.http.post(URL, json=said(accepted()), headers=headers).status_code == status


def test_row_27_feedback_on_a_card_of_another_client_changes_nothing(guarded: Server, tmp_path: Path):
    with closing(open_ledger(sqlite_url(tmp_path / FILE))) as ledger:
        shown = add_call(ledger, "night-pain", issuer=ISSUER)
        others = bearer(token(PUBLIC_URL + URL, "other", iss=OTHER))
        unknown = bearer(token(PUBLIC_URL + URL, "other", iss=OTHER))
        answers = [
            guarded.http.post(URL, json=said(overridden(card)), headers=headers)
            for card, headers in ((shown, others), ("never shown", unknown))
        ]
        assert [(each.status_code, each.content) for each in answers] == [(200, b"{}")] * 2
        assert [row.issuer for row in kept(ledger)] == [OTHER, OTHER]
        figures = tally(ledger, None, None)
        assert (figures.criteria["night-pain"].overridden, figures.unlinked) == (0, 2)
        assert guarded.http.post(URL, json=said(overridden(shown)), headers=bearer(token(PUBLIC_URL + URL))).is_success
        assert tally(ledger, None, None).criteria["night-pain"].overridden == 1


# --- a store that fails ------------------------------------------------------------------------------------


def refused_while_calls_are_answered(server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        report = pool.submit(server.http.post, URL, json=said(accepted("while it is away")))
        while not report.done():
            assert server.http.post(HOOK, json=call()).status_code == 200
    answer = report.result()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["issue"][0]["code"] == "transient"
    assert server.http.post(HOOK, json=call()).status_code == 200


def taken_again(server: Server, url: str) -> None:
    assert server.http.post(URL, json=said(accepted("it is back"))).status_code == 200
    with closing(open_ledger(url)) as ledger:
        assert [row.card for row in kept(ledger)] == ["it is back"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def on_file(tmp_path: Path, file: Path) -> Iterator[Server]:
    with running(tmp_path, config=f'development = true\ndatabase_url = "{sqlite_url(file)}"\n') as started:
        yield started


def test_row_36_locked(on_file: Server, file: Path):
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        refused_while_calls_are_answered(on_file)
        holder.execute("ROLLBACK")
    taken_again(on_file, sqlite_url(file))


def test_row_36_gone(on_file: Server, file: Path):
    """Not even a connection that has the old file open may write where nobody will read."""
    assert on_file.http.post(URL, json=said()).status_code == 400
    away = file.rename(file.with_name("away"))
    refused_while_calls_are_answered(on_file)
    assert not file.exists()
    away.rename(file)
    taken_again(on_file, sqlite_url(file))


def test_row_36_postgresql_stopped(tmp_path: Path, postgres: Postgres):
    url = postgres.emptied()
    with running(tmp_path, config=f'development = true\ndatabase_url = "{url}"\n') as server:
        postgres.stop()
        try:
            refused_while_calls_are_answered(server)
        finally:
            postgres.start()
        taken_again(server, url)


def test_row_36_away_at_the_start(tmp_path: Path, postgres: Postgres):
    """Cards need no ledger; its tables are made when it is there."""
    url = postgres.emptied()
    postgres.stop()
    try:
        config = f'development = true\ndatabase_url = "{url}"\n'
        with running(tmp_path, config=config, probe="/livez") as server:
            refused_while_calls_are_answered(server)
            postgres.start()
            taken_again(server, url)
        assert "WARNING: the database of feedback and audit cannot be used" in server.log
    finally:
        postgres.start()


def test_the_url_of_the_environment_wins_and_its_password_is_not_told(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    url = postgres.emptied().replace("postgres@", "postgres:S3cret@")
    monkeypatch.setenv("BACKPAIN_CDS_DATABASE_URL", url)
    config = 'log_level = "debug"\ndevelopment = true\ndatabase_url = "sqlite:////nowhere/at/all"\n'
    with running(tmp_path, config=config) as server:
        assert server.http.post(URL, json=said(accepted())).status_code == 200
    assert "S3cret" not in server.log
