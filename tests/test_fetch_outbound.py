"""Nobody but the listed servers is ever spoken to (P6; reliability.md, rows 17 to 21)."""

import asyncio
import json
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.app import MAX_BODY, create_app
from hooks.auth import Admission
from hooks.clients import Client
from hooks.errors import SettingsError
from hooks.fetch import Fetcher
from hooks.fhir_client import FhirClient
from hooks.gateway import Gateway
from hooks.outbound import Base, covers, is_loopback, may_ask, parse_base
from hooks.settings import Settings, load_settings
from tests.fetch_rig import KEYS, TOKEN, Fetching, fetching, lacking, record
from tests.fhir_rig import fhir_server
from tests.records import knowledge
from tests.service_rig import groups, path_of, running
from tests.test_service_gateway import Call

LISTED = "https://ehr.example.org/fhir/R4"

# What a URL that is listed, or a loopback one in development, can be disguised as. PORT: that of the listener.
TRICKS = """
http://169.254.169.254/latest/meta-data
http://127.0.0.1:PORT/fhir
http://localhost:PORT/fhir
http://[::1]:PORT/fhir
http://0.0.0.0:PORT/fhir
http://0:PORT/fhir
http://127.1:PORT/fhir
http://127.0.1:PORT/fhir
http://2130706433:PORT/fhir
http://0x7f000001:PORT/fhir
http://0x7f.0.0.1:PORT/fhir
http://0177.0.0.1:PORT/fhir
http://127.0.0.1.:PORT/fhir
http://[::ffff:127.0.0.1]:PORT/fhir
http://[::ffff:7f00:1]:PORT/fhir
http://[0:0:0:0:0:0:0:1]:PORT/fhir
http://localhost.:PORT/fhir
http://LOCALHOST:PORT/fhir
http://ehr.example.org/fhir/R4
https://127.0.0.1:PORT/fhir/R4
https://ehr.example.org:PORT/fhir/R4
https://ehr.example.org/fhir/R4/../../admin
https://ehr.example.org/fhir/R4/%2e%2e/admin
https://ehr.example.org/fhir/R4%2f..%2fadmin
https://ehr.example.org/fhir/R4/./x
https://ehr.example.org//fhir/R4
https://ehr.example.org/fhir
https://ehr.example.org/fhir/R44
https://ehr.example.org/fhir/r4
https://ehr.example.org/fhir/R4/Patient
https://ehr.example.org/fhir/R4;x=1
https://ehr.example.org/fhir/R4?x=1
https://ehr.example.org/fhir/R4#x
https://ehr.example.org/fhir/R4?@127.0.0.1:PORT/
https://ehr.example.org@127.0.0.1:PORT/fhir/R4
https://ehr.example.org:443@127.0.0.1:PORT/fhir/R4
https://user:pass@ehr.example.org/fhir/R4
https://ehr.example.org\\@127.0.0.1:PORT/fhir/R4
https://127.0.0.1:PORT\\@ehr.example.org/fhir/R4
https://ehr.example.org.127.0.0.1.nip.io:PORT/fhir/R4
https://evil-ehr.example.org/fhir/R4
https://ehr.example.org.evil.example/fhir/R4
https://ehr.example.org:443:443/fhir/R4
https://ehr.example.org:0443/fhir/R4
https://ehr.example.org:/fhir/R4
https://ehr.example.org:99999/fhir/R4
https://ehr.example.org./fhir/R4
https://\u0435hr.example.org/fhir/R4
https://ehr\uff0eexample.org/fhir/R4
https://ehr.example.org/fhir/R4\u2028
https://ehr.example.org\t/fhir/R4
https://ehr.example.org/fhir/R4 x
https://ehr.example.org%00.evil.example/fhir/R4
https://[ehr.example.org]/fhir/R4
https:/ehr.example.org/fhir/R4
https:ehr.example.org/fhir/R4
//ehr.example.org/fhir/R4
ftp://ehr.example.org/fhir/R4
file:///etc/hostname
gopher://127.0.0.1:PORT/x
javascript:fetch(1)
""".strip("\n").split("\n")


class Listener:
    """Counts who connects, and keeps what they send."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard: list[bytes] = []
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(0.5)
                try:
                    self.heard.append(connection.recv(65536))
                except TimeoutError:
                    self.heard.append(b"")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


class Gate:
    """Lets everybody in, as that client."""

    def __init__(self, client: Client | None) -> None:
        self._admission = Admission(client)

    async def admit(self, *_: Any) -> Admission:
        return self._admission

    def listens_to(self, _: Admission) -> bool:
        return True


def served(request: dict[str, Any], client: Client | None = None, **settings: Any) -> tuple[int, Any]:
    """The answer to a call, through the gateway and with whatever connections it makes."""
    app = create_app(Settings(**settings), knowledge())
    call = Call(json.dumps(request).encode(), content_type="application/json")
    call.scope.path = path_of(request["hook"])
    call.scope.headers = _Headers(call.scope.headers)

    async def serve() -> None:
        fhir = FhirClient()
        await Gateway(app, MAX_BODY, gate=Gate(client), fetcher=Fetcher(fhir)).__rsgi__(call.scope, call)
        await fhir.close()

    asyncio.run(serve())
    return call.answer[0], json.loads(call.answer[2])


class _Headers(dict):
    def get_all(self, name: str) -> list[str]:
        return []


def test_there_are_forty_tricks():
    assert len(set(TRICKS)) >= 40


@pytest.mark.parametrize("trick", TRICKS)
def test_p6_a_trick_is_4xx_and_no_packet(trick: str, listener: Listener):
    request = lacking(trick.replace("PORT", str(listener.port)))
    status, answer = served(request, fhir_servers=(parse_base(LISTED),))
    assert status in (400, 412)
    assert "fhirServer" in [place for issue in answer["issue"] for place in issue["expression"]]
    assert TOKEN not in json.dumps(answer)
    assert listener.heard == []


@pytest.mark.parametrize("trick", TRICKS)
def test_p6_a_trick_is_never_the_listed_server_nor_this_machine(trick: str):
    try:
        base = parse_base(trick.replace("PORT", "8080"))
    except ValueError:
        return
    assert not may_ask(base, [parse_base(LISTED)], development=False)
    assert is_loopback(base) == (base.host in ("127.0.0.1", "localhost", "[::1]"))


@pytest.mark.parametrize(
    "url", [LISTED, LISTED + "/", "HTTPS://EHR.example.org/fhir/R4", "https://ehr.example.org:443/fhir/R4"]
)
def test_the_listed_server_may_be_spelled_in_these_ways(url: str):
    assert may_ask(parse_base(url), [parse_base(LISTED)], development=False)


@pytest.mark.parametrize("host", ["\u212aey.example.org", "\uff4bey.example.org", "k\u0435y.example.org"])
def test_letters_that_only_look_alike_are_refused(host: str):
    """The first becomes an ordinary k in lower case."""
    with pytest.raises(ValueError, match="absolute"):
        parse_base(f"https://{host}/fhir")


def test_http_is_for_development_on_this_machine_alone():
    for host in ("127.0.0.1", "localhost", "[::1]", "127.8.9.10"):
        base = parse_base(f"http://{host}:8080/fhir")
        assert may_ask(base, [], development=True)
        assert not may_ask(base, [base], development=False)
    for host in ("10.0.0.1", "fhir.internal", "[fe80::1]"):
        base = parse_base(f"http://{host}/fhir")
        assert not may_ask(base, [base], development=True)
        assert not may_ask(base, [base], development=False)


def test_each_client_has_its_own_servers(listener: Listener):
    """A may not name B's server, nor that of calls without a token."""
    theirs = Base("https", "127.0.0.1", listener.port, "/b")
    a = Client("a", jku=("https://a.example.org",))
    b = Client("b", jku=("https://b.example.org",), fhir_servers=(theirs,))
    assert served(lacking(str(theirs)), a, clients=(a, b), fhir_servers=(theirs,))[0] == 412
    assert listener.heard == []
    assert served(lacking(str(theirs)), b, clients=(a, b))[0] == 412  # it does not speak TLS, but it was asked
    assert listener.heard != []


def test_without_a_list_data_comes_from_prefetch_only(listener: Listener):
    status, answer = served(lacking(f"https://127.0.0.1:{listener.port}/fhir", "reports"))
    assert status == 200
    assert groups(answer)["emergency"] == "critical"
    assert listener.heard == []


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    """A service whose environment names a proxy and a .netrc, both for this machine too."""
    folder, proxy = tmp_path_factory.mktemp("outbound"), Listener()
    (folder / ".netrc").write_text("machine 127.0.0.1 login eve password mallory\n", "utf-8")
    environ = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environ |= {name: f"http://127.0.0.1:{proxy.port}", name.upper(): f"http://127.0.0.1:{proxy.port}"}
    environ |= {"NETRC": str(folder / ".netrc"), "HOME": str(folder)}
    with pytest.MonkeyPatch.context() as patch:  # the service's environment, not that of these tests
        patch.setattr("tests.service_rig.os", SimpleNamespace(environ=environ, pathsep=os.pathsep))
        with fetching(folder) as made:
            yield made
    assert proxy.heard == []
    proxy.close()


def test_row_19_neither_proxy_nor_netrc_is_used(there: Fetching):
    base = there.rig.base()
    assert there.ask(lacking(base)).status_code == 200
    assert {each.headers["authorization"] for each in there.rig.requests(base)} == {f"Bearer {TOKEN}"}
    base = there.rig.base()
    assert there.ask(lacking(base, fhirAuthorization=...)).status_code == 200
    assert not any("authorization" in each.headers for each in there.rig.requests(base))


@pytest.mark.parametrize("code", ["301", "302", "307", "308"])
def test_row_18_redirects_are_not_followed(there: Fetching, code: str):
    base = there.rig.base(code)
    assert there.ask(lacking(base)).status_code == 412
    assert not [each for each in there.rig.requests(base) if each.kind == "Elsewhere"]


def test_the_token_is_nowhere_else(there: Fetching):
    """Not in an answer, not in the log, not in a URL."""
    bases = [there.rig.base(fault) for fault in ("good", "500", "next-host", "302", "html", "reset")]
    requests = [lacking(base) for base in bases]
    with ThreadPoolExecutor(len(bases)) as pool:
        answers = list(pool.map(there.ask, requests))
    assert not any(TOKEN in answer.text or TOKEN in str(answer.headers) for answer in answers)
    assert TOKEN not in there.service.log
    assert not any(TOKEN in each.target for each in there.rig.requests())


def test_libraries_do_not_log_urls(tmp_path: Path):
    """At the level of debug, on the root logger too: no id of a patient, no token (row 33)."""
    with fhir_server(tmp_path, *record()) as rig, running(tmp_path, config='log_level = "debug"') as service:
        request = lacking(rig.base("400", "Procedure"))
        service.http.post(path_of(request["hook"]), json=request)
        log = service.log
    assert '"http-400"' in log
    assert "Patient" not in log.replace('"Patient"', "")
    assert "p1" not in log
    assert "127.0.0.1" not in log


def test_a_list_that_cannot_be_used_stops_the_start(tmp_path: Path):
    config = tmp_path / "site.toml"
    for line, said in (
        ('fhir_servers = ["https://ehr.example.org/fhir?x=1"]', "fhir_servers"),
        ('fhir_servers = ["http://ehr.example.org/fhir"]', "fhir_servers[0]"),
        ('fhir_ca_file = "nowhere.pem"', "nowhere.pem"),
        ('fhir_ca_file = "site.toml"', "PEM"),
    ):
        config.write_text(line, "utf-8")
        with pytest.raises(SettingsError, match=re.escape(said)):
            load_settings(config)


def test_a_list_is_read(tmp_path: Path):
    config = tmp_path / "site.toml"
    config.write_text(f'fhir_servers = ["{LISTED}/"]', "utf-8")
    assert load_settings(config).fhir_servers == (parse_base(LISTED),)


# --- the URLs themselves -------------------------------------------------------------------------------------

BASE = parse_base("https://ehr.example.org/fhir")


@pytest.mark.parametrize(
    "url",
    ["", "/", "?page=2", "/Condition?patient=p1&code=http://loinc.org|1-8", "/$page/a:b@c", "?x=/../..", "/Condition/"],
)
def test_pages_below_the_base_are_covered(url: str):
    assert covers(BASE, "https://ehr.example.org/fhir" + url)
    assert covers(BASE, "https://EHR.example.org:443/fhir" + url)


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example.org/fhir?page=2",
        "https://ehr.example.org:8443/fhir?page=2",
        "https://ehr.example.org/fhirx?page=2",
        "https://ehr.example.org/?page=2",
        "https://ehr.example.org/fhir/../admin",
        "https://ehr.example.org/fhir/..",
        "https://ehr.example.org/fhir/%2e%2e/admin",
        "https://ehr.example.org/fhir/.?x",
        "https://u@ehr.example.org/fhir",
        "https://ehr.example.org\\/fhir",
        "https://ehr.example.org/fhir#x",
        "https://ehr.example.org/fhir?a b",
        "https://ehr.example.org/fhir?a\r\nX: 1",
        "https://ehr.example.org/fhir?\u00e9",
        "/fhir?page=2",
        "",
        "https://ehr.example.org/fhir?" + "x" * 20_000,
    ],
)
def test_pages_elsewhere_are_not(url: str):
    assert not covers(BASE, url)


@given(st.text(alphabet="ehr.example.org/fhir:@\\?#%2e[]012 \u0435", max_size=40))
def test_a_base_says_again_what_it_is(text: str):
    """Whatever is taken for a base has one spelling, which is taken for the same base and covers what lies below."""
    try:
        base = parse_base("https://" + text)
    except ValueError:
        return
    assert parse_base(str(base)) == base
    assert covers(base, f"{base}/Patient/p1")


def test_r64_412_names_each_key_and_the_server_that_was_not_asked():
    status, answer = served(lacking(LISTED))
    assert status == 412
    assert [place for issue in answer["issue"] for place in issue["expression"]] == [
        *(f"prefetch.{key}" for key in KEYS),
        "fhirServer",
    ]
