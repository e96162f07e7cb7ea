"""The gate by itself: what it asks whom, in which order, and what it does when it cannot know."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hooks import replay
from hooks.auth import NOBODY, Admission
from hooks.clients import Client
from hooks.errors import TooManyCalls, TrustUnavailable, Unauthenticated
from hooks.gate import Gate
from hooks.replay import FILE, open_store
from tests.jwks_rig import ISSUER, JwksServer, jwk, jwks, jwks_server, token

BASE = "https://cds.example.org"
PATH = "/cds-services/back-pain-patient-view"


_made: list[Gate] = []


@pytest.fixture(autouse=True)
def _gates_are_closed() -> Iterator[None]:
    yield
    while _made:
        with suppress(RuntimeError):  # a test may have closed it
            _made.pop().close()


def gate(folder: Path, closed: bool = True, **client: Any) -> Gate:
    keys = folder / "keys.json"
    if "jku" not in client:
        keys.write_text(json.dumps(jwks()))
        client["jwks_file"] = keys
    else:
        client["jku"] = (client["jku"],) if isinstance(client["jku"], str) else client["jku"]
    _made.append(Gate((Client(ISSUER, **client),), (BASE,), folder, closed))
    return _made[-1]


def admitted(made: Gate, *texts: str) -> list[Admission]:
    """What several calls at once come to."""

    async def calls() -> list[Admission]:
        return await asyncio.gather(*(made.admit(PATH, [f"Bearer {text}"]) for text in texts))

    return asyncio.run(calls())


def reasons(made: Gate, *texts: str) -> list[str]:
    return [each.error.reason if each.error else "" for each in admitted(made, *texts)]


def good(**how: Any) -> str:
    return token(BASE + PATH, **how)


def test_a_good_token_says_who_calls(tmp_path: Path):
    (admission,) = admitted(gate(tmp_path), good())
    assert (admission.client.issuer, admission.error, admission.issuer) == (ISSUER, None, ISSUER)


def test_a_refused_token_says_whom_it_named_if_we_know_them(tmp_path: Path):
    ours, others = admitted(gate(tmp_path), good(key="b"), good(iss="https://evil.example.org"))
    assert (ours.client, ours.issuer, others.client, others.issuer) == (None, ISSUER, None, "")
    assert isinstance(ours.error, Unauthenticated)


def test_without_a_token_or_clients_it_is_nobody(tmp_path: Path):
    assert asyncio.run(gate(tmp_path).admit(PATH, [])) is NOBODY
    assert asyncio.run(Gate((), (BASE,), tmp_path, is_closed=True).admit(PATH, ["Bearer x"])) is NOBODY


@pytest.mark.parametrize("closed", [True, False])
def test_whose_body_is_received(tmp_path: Path, closed: bool):
    made = gate(tmp_path, closed)
    assert made.listens_to(NOBODY) is not closed
    assert made.listens_to(Admission(Client(ISSUER)))
    assert not made.listens_to(Admission(error=Unauthenticated("aud")))


def test_a_client_may_have_keys_at_several_urls(tmp_path: Path):
    """A token that says where its key is, is checked with that one; one that does not, with any of them."""
    with jwks_server() as one, jwks_server() as two:
        two.keys = jwks(jwk("b", kid="key-2"), jwk("b"))
        made = gate(tmp_path, jku=(one.url, two.url))
        here, there = {"jku": one.url}, {"jku": two.url}
        assert reasons(made, good(header=here), good(header={"kid": "key-2"}, key="b")) == ["", ""]
        assert reasons(made, good(header=there, key="b"), good(header=there)) == ["", "signature"]
        assert reasons(made, good(header={"jku": BASE})) == ["jku"]


def test_a_token_that_was_refused_for_the_rate_is_not_used_up(tmp_path: Path):
    made = gate(tmp_path, rate_per_second=2)
    texts = [good() for _ in range(3)]
    assert sorted(reasons(made, *texts)) == ["", "", "rate"]
    with closing(open_store(tmp_path)) as store:
        store.execute("UPDATE rate SET due = 0")
    assert sorted(reasons(made, *texts)) == ["", "replayed", "replayed"]


def test_replayed_and_forged_tokens_do_not_use_up_the_rate(tmp_path: Path):
    made = gate(tmp_path, rate_per_second=2)
    used = good()
    assert reasons(made, used) == [""]
    assert set(reasons(made, *[used] * 10)) == {"replayed"}
    assert set(reasons(made, *[good(key="b") for _ in range(10)])) == {"signature"}
    assert reasons(made, good()) == [""]


def test_a_forged_token_does_not_use_up_the_jti_of_another(tmp_path: Path):
    made = gate(tmp_path)
    assert reasons(made, good(jti="j", key="b")) == ["signature"]
    assert reasons(made, good(jti="j")) == [""]


def test_a_token_is_remembered_as_long_as_it_could_be_used(tmp_path: Path):
    made = gate(tmp_path)
    assert reasons(made, good(iat=-300, exp=-30, jti="j")) == [""]
    with closing(open_store(tmp_path)) as store:
        (until,) = store.execute("SELECT until FROM used").fetchone()
    assert 25 < until - time.time() < 31
    assert reasons(made, good(iat=-300, exp=-30, jti="j")) == ["replayed"]


def test_what_cannot_be_written_down_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay, "LOCK_SECONDS", 0.01)
    made = gate(tmp_path)
    open_store(tmp_path).close()
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    text = good()
    (admission,) = admitted(made, text)
    assert isinstance(admission.error, TrustUnavailable)
    other.close()
    assert reasons(made, text) == [""]


def test_a_damaged_store_is_not_believed(tmp_path: Path):
    (tmp_path / FILE).write_bytes(os.urandom(4096))
    assert reasons(gate(tmp_path), good()) == ["store-unavailable"]


def test_a_store_that_was_lost_is_opened_anew(tmp_path: Path):
    made = gate(tmp_path)
    assert reasons(made, good()) == [""]
    with closing(open_store(tmp_path)) as store:
        store.execute("DROP TABLE used")
    text = good()
    assert reasons(made, text) == ["store-unavailable"]
    assert reasons(made, text) == [""]


class Noted(sqlite3.Connection):
    """How many are open, of those that were."""

    open = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        Noted.open += 1

    def close(self) -> None:
        super().close()
        Noted.open -= 1


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> type[Noted]:
    monkeypatch.setattr(Noted, "open", 0)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Noted))
    return Noted


def test_a_gate_that_is_closed_holds_no_store(tmp_path: Path, noted: type[Noted]):
    made = gate(tmp_path)
    assert reasons(made, good()) == [""]
    assert noted.open == 1
    made.close()
    assert noted.open == 0


def test_a_store_that_failed_is_let_go(tmp_path: Path, noted: type[Noted]):
    made = gate(tmp_path)
    assert reasons(made, good()) == [""]
    with closing(open_store(tmp_path)) as store:
        store.execute("DROP TABLE used")
    assert reasons(made, good()) == ["store-unavailable"]
    assert noted.open == 0


def test_a_damaged_store_is_let_go(tmp_path: Path, noted: type[Noted]):
    (tmp_path / FILE).write_bytes(os.urandom(4096))
    assert reasons(gate(tmp_path), good()) == ["store-unavailable"]
    assert noted.open == 0


def test_keys_are_waited_for_so_long_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hooks.gate._ASK_SECONDS", 0.05)
    with jwks_server() as server:
        server.delay = 0.3
        made = gate(tmp_path, jku=server.url)
        assert reasons(made, good(), good()) == ["keys-unavailable"] * 2
        assert len(server.fetches) == 1


def test_calls_that_wait_for_keys_ask_once(tmp_path: Path):
    with jwks_server() as server:
        server.delay = 0.1
        assert set(reasons(gate(tmp_path, jku=server.url), *[good() for _ in range(10)])) == {""}
        assert len(server.fetches) == 1


def test_no_keys_are_fetched_for_a_token_that_is_refused_anyway(tmp_path: Path):
    with jwks_server() as server:
        made = gate(tmp_path, jku=server.url)
        bad = [good(exp=-100), good(iss="x"), token("x"), good(header={"alg": "none"}), good(header={"jku": BASE})]
        assert reasons(made, *bad) == ["expired", "unknown-issuer", "aud", "alg", "jku"]
        assert server.fetches == []


def test_who_is_known_does_not_wait_for_keys_of_others(tmp_path: Path):
    """While unknown kids have the keys fetched anew, calls with known ones pass."""
    with jwks_server() as server:
        made = gate(tmp_path, jku=server.url)
        assert reasons(made, good()) == [""]
        server.keys, server.delay = jwks(jwk(), jwk("b", "key-2")), 0.5
        order: list[str] = []

        async def passing(name: str, text: str) -> None:
            admission = await made.admit(PATH, [f"Bearer {text}"])
            assert admission.client
            order.append(name)

        async def both() -> None:
            await asyncio.gather(passing("new", good(key="b", header={"kid": "key-2"})), passing("known", good()))

        asyncio.run(both())
        assert order == ["known", "new"]


def test_429_says_when_to_go_on():
    assert TooManyCalls(7).headers == (("Retry-After", "7"),)


def test_a_client_that_hangs_up_leaves_the_others_alone(tmp_path: Path):
    def waits(server: JwksServer) -> list[str]:
        made = gate(tmp_path, jku=server.url)

        async def calls() -> Admission:
            gone = asyncio.create_task(made.admit(PATH, [f"Bearer {good()}"]))
            stays = asyncio.create_task(made.admit(PATH, [f"Bearer {good()}"]))
            await asyncio.sleep(0)
            gone.cancel()
            return await stays

        admission = asyncio.run(calls())
        return [admission.issuer] if admission.client else []

    with jwks_server() as server:
        server.delay = 0.1
        assert waits(server) == [ISSUER]
