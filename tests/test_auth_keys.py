"""Keys of clients: which are taken, where from, how long they hold (R155, R161 to R163; row 26)."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest

from hooks import jwks as module
from hooks.clients import Client
from hooks.errors import SettingsError, TrustUnavailable
from hooks.jwks import FetchedKeys, FileKeys, held_seconds, key_sources, parse_keys
from tests.jwks_rig import ISSUER, JwksServer, certificate, jwk, jwks, jwks_server, private_key

NOW = 1_800_000_000.0


def kids(*keys: Any) -> set[str]:
    return set(parse_keys(json.dumps({"keys": keys}).encode()))


# --- which keys are taken ------------------------------------------------------------------------------


def test_keys_for_signatures_are_taken():
    assert kids(jwk(), jwk("r", "k2", "RS384"), jwk("p", "k3", "ES256")) == {"key-1", "k2", "k3"}
    bare = {name: value for name, value in jwk().items() if name not in ("use", "alg")}
    assert kids(bare, jwk("b", "k2", key_ops=["verify"])) == {"key-1", "k2"}


LEFT_OUT: dict[str, Any] = {
    "for encryption": jwk(use="enc"),
    "not for verification": jwk(key_ops=["deriveKey"]),
    "operations are text": jwk(key_ops="verify"),
    "private": {**jwt.get_algorithm_by_name("ES384").to_jwk(private_key(), as_dict=True), "kid": "key-1"},
    "symmetric": {"kty": "oct", "k": "AAAA", "kid": "key-1"},
    "short RSA": jwk("short", alg="RS384", bits=1024),
    "a curve that is not used": jwk(crv="secp256k1"),
    "a point off the curve": jwk(x=jwk()["y"]),
    "no x": jwk(x=...),
    "x is a number": jwk(x=1),
    "no kty": jwk(kty=...),
    "no kid": jwk(kid=...),
    "kid is a number": jwk(kid=1),
    "alg is a number": {**jwk(), "alg": 1},
    "text": "key-1",
}


@pytest.mark.parametrize("other", LEFT_OUT.values(), ids=LEFT_OUT)
def test_an_odd_key_costs_itself_only(other: Any):
    assert kids(other, jwk("b", "good")) == {"good"}


def test_the_keys_of_the_public_sandbox_are_taken():
    kid = "44823f3d-0b01-4a6c-a80e-b9d3e8a7226f"
    x = "dw_JGR8nB2I6XveNxUOl2qk699ZPLM2nYI5STSdiEl9avAkrm3CkfYMbrrjr8laB"
    y = "Sm3mLE-n1zYNla_aiE3cb3nZsL51RbC7ysw3q8aJLxGm-hx79RPMYpITDjp7kgzy"
    key = {"kty": "EC", "use": "sig", "crv": "P-384", "kid": kid, "x": x, "y": y, "alg": "ES384"}
    assert parse_keys(json.dumps({"keys": [key]}).encode())[kid].fits("ES384")


def test_two_keys_with_one_kid_are_none():
    assert kids(jwk(), jwk("b"), jwk("c", "k3")) == {"k3"}
    assert kids(jwk(), LEFT_OUT["symmetric"]) == set()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": 1}', b"\xff", b"<html>", b'{"k":' * 999]
)
def test_what_is_no_set(body: bytes):
    with pytest.raises(ValueError, match="not a JWK Set"):
        parse_keys(body)


# --- how long they hold --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "age", "seconds"),
    [
        (None, None, 600),
        ("", None, 600),
        ("public", None, 600),
        ("max-age=90", None, 90),
        ("public, Max-Age=90", None, 90),
        ('max-age="90"', None, 90),
        ("max-age=90", "30", 60),
        ("max-age=90", "1000", 1),
        ("max-age=90", "soon", 90),
        ("max-age=86400", None, 3600),
        ("max-age=0", None, 1),
        ("no-store", None, 1),
        ("max-age=90, no-cache", None, 1),
        ("s-max-age=5", None, 600),
        ("max-age=-1", None, 600),
    ],
)
def test_cache_control(control: str | None, age: str | None, seconds: float):
    headers = {"cache-control": control, "age": age}
    assert held_seconds({name: value for name, value in headers.items() if value is not None}) == seconds


# --- fetched -------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with jwks_server() as started:
        yield started


@pytest.fixture
def worker(server: JwksServer, tmp_path: Path) -> FetchedKeys:
    return other_worker(server, tmp_path)


def other_worker(server: JwksServer, folder: Path, ca_file: Path | None = None) -> FetchedKeys:
    return key_sources((Client(ISSUER, jku=(server.url,)),), folder, ca_file)[ISSUER][server.url]


def test_keys_are_fetched_once_and_kept_for_ten_minutes(server: JwksServer, worker: FetchedKeys):
    assert worker.find("key-1", NOW) is None
    assert worker.ask("key-1", NOW)
    assert worker.find("key-1", NOW + 599) is worker.ask("key-1", NOW + 1)
    assert worker.find("key-1", NOW + 600) is None
    assert worker.find("key-1", NOW - 61) is None
    assert worker.ask("key-1", NOW + 600)
    assert server.fetches == ["/jwks.json"] * 2


def test_workers_share_what_one_of_them_fetched(server: JwksServer, worker: FetchedKeys, tmp_path: Path):
    others = [worker, *(other_worker(server, tmp_path) for _ in range(7))]
    server.delay = 0.2
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda each: each.ask("key-1", NOW), others))
    assert len(server.fetches) == 1


def test_r163_a_new_key_works_at_its_first_use(server: JwksServer, worker: FetchedKeys, tmp_path: Path):
    assert worker.ask("key-1", NOW)
    server.keys = jwks(jwk(), jwk("b", "key-2"))
    assert worker.ask("key-2", NOW + 1)
    assert other_worker(server, tmp_path).ask("key-2", NOW + 2)
    assert len(server.fetches) == 2


def test_a_removed_key_is_gone_when_the_set_is(server: JwksServer, worker: FetchedKeys):
    worker.ask("key-1", NOW)
    server.keys = jwks(jwk("b", "key-2"))
    assert worker.ask("key-1", NOW + 601) is None
    assert worker.ask("key-2", NOW + 601)


def test_unknown_kids_are_asked_for_once_a_minute(server: JwksServer, worker: FetchedKeys, tmp_path: Path):
    workers = [worker, *(other_worker(server, tmp_path) for _ in range(3))]
    for number in range(100):
        assert workers[number % 4].ask(f"no-{number}", NOW + number / 10) is None
    assert len(server.fetches) == 2
    worker.ask("no", NOW + 59)
    assert len(server.fetches) == 2
    worker.ask("no", NOW + 61)
    assert len(server.fetches) == 3


def test_calls_that_waited_for_an_answer_do_not_ask_once_more(server: JwksServer, worker: FetchedKeys):
    assert worker.ask("key-1", NOW)
    assert worker.ask("key-1", NOW - 1)
    assert worker.ask("no-1", NOW) is None
    assert worker.ask("no-2", NOW - 1) is None
    assert len(server.fetches) == 2
    server.status = 500
    for late in (0, 1):
        with pytest.raises(TrustUnavailable):
            worker.ask("key-1", NOW + 700 - late)
    assert len(server.fetches) == 3


def test_an_outage_is_survived_until_the_keys_no_longer_hold(server: JwksServer, worker: FetchedKeys):
    server.headers = {"Cache-Control": "max-age=30"}
    worker.ask("key-1", NOW)
    server.status = 500
    assert worker.ask("key-2", NOW + 1) is None
    assert worker.find("key-1", NOW + 29)
    for later in (30, 31, 34):
        with pytest.raises(TrustUnavailable):
            worker.ask("key-1", NOW + later)
    assert len(server.fetches) == 3
    server.status = 200
    assert worker.ask("key-1", NOW + 35)


REFUSED: dict[str, dict[str, Any]] = {
    "an error": {"status": 503},
    "a redirect": {"status": 302, "headers": {"Location": "/elsewhere"}},
    "no content": {"status": 204, "keys": b""},
    "no set": {"keys": b"<html></html>"},
    "too long": {"keys": json.dumps({"keys": [jwk()], "x": "x" * 65_536}).encode()},
    "compressed": {"headers": {"Content-Encoding": "gzip"}},
    "cut short": {"headers": {"Content-Length": "100000"}},
}


@pytest.mark.parametrize("how", REFUSED.values(), ids=REFUSED)
def test_what_is_not_taken_from_a_server(server: JwksServer, worker: FetchedKeys, how: dict[str, Any]):
    for name, value in how.items():
        setattr(server, name, value)
    with pytest.raises(TrustUnavailable):
        worker.ask("key-1", NOW)
    assert server.fetches == ["/jwks.json"]


def test_64_kib_are_taken(server: JwksServer, worker: FetchedKeys):
    padded = json.dumps({"keys": [jwk()], "x": ""})
    server.keys = json.dumps({"keys": [jwk()], "x": "x" * (65_536 - len(padded))}).encode()
    assert worker.ask("key-1", NOW)


def test_a_slow_server_is_given_up(server: JwksServer, worker: FetchedKeys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.05)
    server.delay = 1.0
    with pytest.raises(TrustUnavailable):
        worker.ask("key-1", NOW)


def test_proxies_of_the_environment_are_not_asked(
    server: JwksServer, worker: FetchedKeys, monkeypatch: pytest.MonkeyPatch
):
    with jwks_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert worker.ask("key-1", NOW)
    assert proxy.fetches == []


def test_row_21_a_server_of_keys_has_to_prove_who_it_is(tmp_path: Path):
    own = certificate(tmp_path / "own.pem")
    with jwks_server(own) as server:
        with pytest.raises(TrustUnavailable):
            other_worker(server, tmp_path).ask("key-1", NOW)
        assert server.fetches == []
        assert other_worker(server, tmp_path, ca_file=own).ask("key-1", NOW + 60)
        server.url = server.url.replace("localhost", "127.0.0.1")
        with pytest.raises(TrustUnavailable):
            other_worker(server, tmp_path, ca_file=own).ask("key-1", NOW)


def test_a_clock_set_back_does_not_stop_the_asking(server: JwksServer, worker: FetchedKeys):
    worker.ask("key-1", NOW)
    worker.ask("no", NOW)
    server.keys = jwks(jwk(), jwk("b", "key-2"))
    assert worker.ask("key-2", NOW - 7200)


def test_a_damaged_file_of_the_workers_is_asked_anew(server: JwksServer, worker: FetchedKeys, tmp_path: Path):
    worker.ask("key-1", NOW)
    (shared,) = tmp_path.glob("*.json")
    for damage in (b"", b"{", b"\xff", b'{"jwks": "x", "fetched": 5, "expires": 1900000000.0}'):
        shared.write_bytes(damage)
        assert other_worker(server, tmp_path).ask("key-1", NOW)
    assert len(server.fetches) == 5


def test_a_folder_that_cannot_be_written_opens_nothing(server: JwksServer, tmp_path: Path):
    with pytest.raises(TrustUnavailable):
        other_worker(server, tmp_path / "missing").ask("key-1", NOW)


# --- from a file ---------------------------------------------------------------------------------------


def written(path: Path, *keys: dict[str, Any]) -> Path:
    """The file, with a time of change of its own however coarse the clock of the file system is."""
    path.write_text(json.dumps(jwks(*keys)))
    os.utime(path, ns=(written.stamp, written.stamp))
    written.stamp += 10**9
    return path


written.stamp = 10**18


def test_a_file_is_read_again_when_it_changed(tmp_path: Path):
    keys = FileKeys(written(tmp_path / "keys.json"))
    assert keys.ask("key-1", NOW)
    assert keys.ask("key-2", NOW) is None
    written(tmp_path / "keys.json", jwk("b", "key-2"))
    assert keys.find("key-1", NOW + 599)
    assert keys.ask("key-2", NOW + 1)
    assert keys.find("key-1", NOW + 1) is None


def test_a_removed_key_of_a_file_is_gone_after_ten_minutes(tmp_path: Path):
    keys = FileKeys(written(tmp_path / "keys.json"))
    keys.ask("key-1", NOW)
    written(tmp_path / "keys.json", jwk("b", "key-2"))
    assert keys.find("key-1", NOW + 600) is None
    assert keys.ask("key-1", NOW + 600) is None


def test_a_file_that_goes_away_is_an_outage(tmp_path: Path):
    keys = FileKeys(written(tmp_path / "keys.json"))
    keys.ask("key-1", NOW)
    (tmp_path / "keys.json").write_text("damaged")
    assert keys.ask("key-1", NOW + 599)
    (tmp_path / "keys.json").unlink()
    with pytest.raises(TrustUnavailable):
        keys.ask("key-1", NOW + 600)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("{", "not a JWK Set"),
        ('{"keys": []}', "no usable key"),
        (json.dumps(jwks(jwk(d="AAAA"))), "no usable key"),
    ],
)
def test_an_unusable_file_stops_the_start(tmp_path: Path, content: str | None, said: str):
    if content is not None:
        (tmp_path / "keys.json").write_text(content)
    clients = (Client("a", jku=("https://a.example.org",)), Client(ISSUER, jwks_file=tmp_path / "keys.json"))
    with pytest.raises(SettingsError, match=said) as refused:
        key_sources(clients, tmp_path)
    assert str(refused.value).startswith("clients[1].jwks_file: ")
