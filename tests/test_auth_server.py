"""Tokens before the server process: one answer to all defects, one call a token, changing keys (P7, P8; rows 22-27)."""

import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.jwks_rig import (
    ISSUER,
    PUBLIC_URL,
    JwksServer,
    b64,
    bearer,
    jwk,
    jwks,
    jwks_server,
    registered,
    token,
)
from tests.patience import PATIENCE
from tests.service_rig import Server, call, path_of, running

PATH = path_of("patient-view")
DISCOVERY = "/cds-services"
AUD = PUBLIC_URL + PATH
BODY = json.dumps(call()).encode()
CANARY = "Zyx0wvu"


def ask(server: Server, text: str | None = None, path: str = PATH, **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/json", **(bearer(text) if text is not None else {}), **headers}
    return server.http.post(path, content=BODY, headers=sent)


def log(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("auth")
    with running(folder, config=registered(folder, rate_per_second=1000)) as started:
        yield started


# --- every defect looks the same -----------------------------------------------------------------------

GOOD = token(AUD)
DEFECTS: dict[str, dict[str, Any]] = {
    "none": {"header": {"alg": "none"}},
    "NONE": {"header": {"alg": "NONE"}},
    "HS256": {"header": {"alg": "HS256"}},
    "no alg": {"header": {"alg": ...}},
    "alg not registered": {"alg": "ES256", "key": "es256"},
    "alg of another kind of key": {"header": {"alg": "RS384"}},
    "no kid": {"header": {"kid": ...}},
    "unknown kid": {"header": {"kid": "key-9"}},
    "no typ": {"header": {"typ": ...}},
    "another typ": {"header": {"typ": "JOSE"}},
    "jku that is not registered": {"header": {"jku": "https://evil.example.org/jwks.json"}},
    "embedded jwk": {"header": {"jwk": jwk()}},
    "x5u": {"header": {"x5u": "https://evil.example.org/cert.pem"}},
    "crit": {"header": {"crit": ["exp"]}},
    "b64 false": {"header": {"b64": False}},
    "another key": {"key": "b"},
    "no iss": {"iss": ...},
    "no aud": {"aud": ...},
    "no exp": {"exp": ...},
    "no iat": {"iat": ...},
    "no jti": {"jti": ...},
    "iss unknown": {"iss": "https://evil.example.org"},
    "iss with a slash": {"iss": ISSUER + "/"},
    "aud of another service": {"aud": PUBLIC_URL + path_of("order-sign")},
    "aud of discovery": {"aud": PUBLIC_URL + DISCOVERY},
    "aud with a slash": {"aud": AUD + "/"},
    "aud by plain http": {"aud": AUD.replace("https:", "http:")},
    "aud without the path of the public URL": {"aud": AUD.replace("/backpain/", "/")},
    "aud elsewhere": {"aud": ["https://cds.example.com" + PATH]},
    "expired": {"iat": -361, "exp": -61},
    "lives too long": {"exp": 303},
    "from the future": {"iat": 63},
    "not yet valid": {"nbf": 63},
    "exp as text": {"exp": "soon"},
    "too long": {"x": "x" * 9000},
    "much too long": {"x": "x" * 100_000},
}
MALFORMED = {
    "signature cut": GOOD[:-40],
    "signature of nothing": GOOD.rpartition(".")[0] + "." + b64(bytes(96)),
    "unsigned": GOOD.rpartition(".")[0] + ".",
    "two parts": GOOD.rpartition(".")[0],
    "payload changed": ".".join([GOOD.split(".")[0], token(AUD).split(".")[1], GOOD.split(".")[2]]),
    "not a JWT": "opaque-access-token",
}


def test_r164_every_defect_gets_the_same_401(server: Server):
    assert ask(server, token(AUD)).status_code == 200
    tokens = [token(**{"aud": AUD, **how}) for how in DEFECTS.values()] + list(MALFORMED.values())
    answers = [ask(server, text) for text in tokens]
    answers += [ask(server), ask(server, Authorization=f"Basic {GOOD}"), ask(server, Authorization="Bearer")]
    answers += [server.http.post(PATH, content=BODY, headers=[("Authorization", f"Bearer {GOOD}")] * 2)]
    assert len(answers) > 40
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    own = ("x-request-id", "date", "connection")  # closed when the body was still on its way
    assert len({tuple(sorted((k, v) for k, v in a.headers.items() if k not in own)) for a in answers}) == 1
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert answers[0].json()["issue"][0]["code"] == "login"
    assert ask(server, GOOD).status_code == 200


def test_good_tokens_of_other_shapes(server: Server):
    assert ask(server, token([AUD, "https://elsewhere.example.org"])).status_code == 200
    assert ask(server, token(AUD, sub="x", nbf=-300, tenant="north", header={"x": 1})).status_code == 200
    assert ask(server, token(AUD, iat=-300, exp=-57)).status_code == 200
    assert ask(server, token(AUD, iat=57, exp=357)).status_code == 200


def test_headers_of_a_proxy_do_not_change_the_audience(server: Server):
    spoofed = {
        "Host": "evil.example.org",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example.org;proto=https",
    }
    assert ask(server, token(AUD), **spoofed).status_code == 200
    for aud in ("https://evil.example.org" + PATH, "https://evil.example.org/evil" + PATH, server.url + PATH):
        assert ask(server, token(aud), **spoofed).status_code == 401


def test_r151_discovery_takes_a_token_and_needs_none(server: Server):
    assert server.http.get(DISCOVERY).status_code == 200
    assert server.http.get(DISCOVERY, headers=bearer(token(PUBLIC_URL + DISCOVERY))).status_code == 200
    assert server.http.get(DISCOVERY, headers=bearer(token(AUD))).status_code == 401


def test_pages_for_the_operator_ask_nobody(server: Server):
    for path in ("/livez", "/readyz", "/version", "/"):
        assert server.http.get(path, headers=bearer("nonsense")).status_code == 200


def test_who_is_refused_is_not_listened_to(server: Server):
    """The answer comes although the body does not."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n{{".encode())
        assert connection.recv(100).split(b" ")[1] == b"401"


def test_a_large_call_without_a_token_is_answered_all_the_same(server: Server):
    answer = server.http.post(PATH, content=b" " * 5_000_000)
    assert answer.status_code == 401


def test_a_token_beyond_what_http_carries_harms_nobody(server: Server):
    with suppress(httpx.TransportError):  # the connection is closed
        assert ask(server, "A" * 2**20).status_code in (400, 401, 431)
    assert ask(server, token(AUD)).status_code == 200


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"Bearer \xc3\xa9.a.a", b"\xe2\x80\x8b", b"Bearer a\tb"])
def test_octets_that_are_no_token(server: Server, value: bytes):
    answer = server.http.post(PATH, content=BODY, headers=[(b"Authorization", value)])
    assert answer.status_code == 401
    assert ask(server, token(AUD)).status_code == 200


# --- one token, one call -------------------------------------------------------------------------------


def test_r159_one_token_a_hundred_times_at_once_over_four_workers(tmp_path: Path):
    (tmp_path / "data").mkdir()
    config = registered(tmp_path, 'data_dir = "data"', rate_per_second=1000)
    used = token(AUD)
    with running(tmp_path, workers=4, config=config) as first:

        def once(_: int) -> int:
            return httpx.post(first.url + PATH, content=BODY, headers=bearer(used), timeout=PATIENCE).status_code

        with ThreadPoolExecutor(20) as pool:
            assert Counter(pool.map(once, range(100))) == {200: 1, 401: 99}
        others = [token(AUD) for _ in range(20)]
        with ThreadPoolExecutor(20) as pool:
            answers = pool.map(lambda each: httpx.post(first.url + PATH, content=BODY, headers=bearer(each)), others)
            assert {answer.status_code for answer in answers} == {200}
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(10)
    with running(tmp_path, workers=2, config=config) as second:
        assert ask(second, used).status_code == 401
        assert ask(second, token(AUD)).status_code == 200


def test_without_a_folder_for_data_the_workers_share_one_all_the_same(tmp_path: Path):
    with running(tmp_path, workers=3, config=registered(tmp_path)) as started:
        used = token(AUD)

        def once(_: int) -> int:
            return httpx.post(started.url + PATH, content=BODY, headers=bearer(used), timeout=PATIENCE).status_code

        with ThreadPoolExecutor(10) as pool:
            assert Counter(pool.map(once, range(30))) == {200: 1, 401: 29}
    assert "no data_dir" in started.log


def test_row_40_a_client_that_calls_too_often_is_told_when_to_go_on(tmp_path: Path):
    with running(tmp_path, workers=2, config=registered(tmp_path, rate_per_second=0.1)) as started:
        first, second = token(AUD), token(AUD)
        assert ask(started, first).status_code == 200
        refused = ask(started, second)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert refused.json()["issue"][0]["code"] == "throttled"
        assert ask(started, first).status_code in (401, 429)
    assert [(line["status"], line.get("reason")) for line in log(started)][1] == (429, "rate")


# --- keys that change ----------------------------------------------------------------------------------


@pytest.fixture
def keys() -> Iterator[JwksServer]:
    with jwks_server() as started:
        yield started


def fetching(keys: JwksServer, folder: Path, **client: Any) -> str:
    """A registry that fetches keys from this machine, which only a service in development may; it asks for tokens."""
    return registered(folder, jku=keys.url, rate_per_second=1000, **client).replace("= false", "= true")


def test_r163_keys_rotate_without_downtime(keys: JwksServer, tmp_path: Path):
    with running(tmp_path, workers=2, config=fetching(keys, tmp_path)) as started:

        def answers(key: str, kid: str) -> set[int]:
            header = {"kid": kid, "jku": keys.url}
            return {ask(started, token(AUD, key, header=header)).status_code for _ in range(10)}

        assert answers("a", "key-1") == {200}
        keys.keys = jwks(jwk(), jwk("b", "key-2"))
        assert answers("b", "key-2") == {200}
        assert answers("a", "key-1") == {200}
        assert len(keys.fetches) == 2


def test_r161_a_hundred_unknown_kids_are_two_fetches_and_an_unlisted_jku_none(keys: JwksServer, tmp_path: Path):
    with jwks_server() as evil, running(tmp_path, workers=2, config=fetching(keys, tmp_path)) as started:
        evil.keys = jwks(jwk("evil", "evil"))

        def unknown(number: int) -> int:
            return ask(started, token(AUD, header={"kid": f"no-{number}"})).status_code

        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(unknown, range(100))) == {401}
        assert ask(started, token(AUD, "evil", header={"kid": "evil", "jku": evil.url})).status_code == 401
        assert ask(started, token(AUD)).status_code == 200
        assert len(keys.fetches) <= 2
        assert evil.fetches == []


def test_an_outage_is_503_and_never_open(keys: JwksServer, tmp_path: Path):
    keys.status = 500
    with running(tmp_path, config=fetching(keys, tmp_path)) as started:
        for text in (token(AUD), token(AUD, "b")):
            refused = ask(started, text)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert ask(started, token("https://elsewhere.example.org")).status_code == 401
        assert len(keys.fetches) == 1
    assert {line.get("reason") for line in log(started)} == {"keys-unavailable", "aud"}


def test_a_slow_server_of_keys_keeps_nobody_else_waiting(keys: JwksServer, tmp_path: Path):
    keys.delay = 1.5
    with running(tmp_path, config=fetching(keys, tmp_path)) as started, ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(ask, started, token(AUD)) for _ in range(8)]
        done = [started.http.get("/livez").status_code for _ in range(20)]
        assert not any(each.done() for each in waiting)
        assert set(done) == {200}
        assert {each.result().status_code for each in waiting} == {200}
    assert len(keys.fetches) == 1


# --- modes ---------------------------------------------------------------------------------------------


def test_in_development_a_token_is_not_needed_and_a_bad_one_is_bad(tmp_path: Path):
    config = registered(tmp_path).replace("development = false", "development = true")
    with running(tmp_path, config=config) as started:
        assert ask(started).status_code == 200
        assert ask(started, token(AUD, "b")).status_code == 401
        for host in ("127.0.0.1", "localhost", "[::1]"):
            assert ask(started, token(f"http://{host}:{started.port}{PATH}")).status_code == 200
        assert ask(started, token(f"http://127.0.0.2:{started.port}{PATH}")).status_code == 401
        assert ask(started, token(AUD)).status_code == 200


def test_in_development_without_clients_a_token_is_not_looked_at(tmp_path: Path):
    with running(tmp_path) as started:
        assert ask(started, "nonsense").status_code == 200


def test_the_sandbox_as_it_calls(tmp_path: Path):
    """Its token has a jku that nobody can reach; its keys are in a file (real-world: CDS Hooks Sandbox)."""
    kid, jku = "44823f3d-0b01-4a6c-a80e-b9d3e8a7226f", "https://sandbox.cds-hooks.org/.well-known/jwks.json"
    (tmp_path / "sandbox.json").write_text(json.dumps(jwks(jwk("sandbox", kid))))
    origin = "https://sandbox.cds-hooks.org"
    client = f'[[clients]]\nissuer = "{origin}"\njwks_file = "sandbox.json"\njku = "{jku}"\n'
    client += f'cors_origins = ["{origin}"]'
    with running(tmp_path, config=f'development = false\npublic_url = "{PUBLIC_URL}"\n{client}') as started:
        for method, path in (("GET", DISCOVERY), ("POST", PATH)):
            text = token(PUBLIC_URL + path, "sandbox", header={"kid": kid, "jku": jku}, iss=origin)
            preflight = {"Origin": origin, "Access-Control-Request-Method": method}
            assert started.http.options(path, headers=preflight).headers["access-control-allow-origin"] == origin
            answer = started.http.request(method, path, headers={**bearer(text), "Origin": origin}, content=BODY)
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == origin
        refused = started.http.post(PATH, headers={"Origin": origin})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)


# --- what is logged and said ---------------------------------------------------------------------------


def test_r166_tokens_are_not_logged_but_who_and_why_is(tmp_path: Path):
    bad = {
        "unknown-kid": token(AUD, header={"kid": CANARY}),
        "unknown-issuer": token(AUD, iss=CANARY),
        "aud": token(CANARY),
        "signature": token(AUD, "b", x=CANARY),
        "alg": token(AUD, header={"alg": CANARY}),
        "not-a-jwt": CANARY,
        "claims-malformed": token(AUD, exp=CANARY),
    }
    good = token(AUD, jti=CANARY, sub=CANARY)
    config = registered(tmp_path, 'log_level = "debug"')
    with running(tmp_path, config=config) as started:
        for text in (good, good, *bad.values()):
            ask(started, text)
        ask(started)
    assert CANARY not in started.log
    assert "eyJ" not in started.log
    lines = [(line["status"], line.get("issuer"), line.get("reason")) for line in log(started)]
    assert lines[:2] == [(200, ISSUER, None), (401, ISSUER, "replayed")]
    assert [reason for _, _, reason in lines[2:]] == [*bad, "no-token"]
    assert {issuer for _, issuer, reason in lines if reason in ("unknown-issuer", "not-a-jwt", "no-token")} == {None}


REFUSED = {
    "nobody is registered": ("development = false", "clients:"),
    "no public URL": ('development = false\n[[clients]]\nissuer = "a"\njku = "https://a.example.org/k"', "public_url:"),
    "a missing file of keys": (
        f'public_url = "{PUBLIC_URL}"\n[[clients]]\nissuer = "a"\njwks_file = "no.json"',
        "clients[0].jwks_file:",
    ),
    "data nowhere": ('data_dir = "nowhere"', "data_dir:"),
}


@pytest.mark.parametrize(("config", "key"), REFUSED.values(), ids=REFUSED)
def test_row_50_what_stops_the_start(tmp_path: Path, config: str, key: str):
    with pytest.raises(RuntimeError) as refused, running(tmp_path, config=config):
        pass
    assert f"SettingsError: {key}" in str(refused.value)
