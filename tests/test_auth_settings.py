"""The registry of clients in the configuration, and how it is explained (row 50; issue items on the registry)."""

from pathlib import Path

import pytest

from hooks.clients import Client, audience_bases, check_trust
from hooks.errors import SettingsError
from hooks.outbound import parse_base
from hooks.settings import Settings, load_settings
from tests import cli_rig
from tests.cli_rig import Cli, one_line
from tests.jwks_rig import registered

cli = cli_rig.cli
EVERYTHING = """
development = false
public_url = "https://cds.example.org/backpain"
data_dir = "data"

[[clients]]
issuer = "https://ehr.example.org/fhir"
jku = "https://ehr.example.org/jwks.json"
jwks_file = "keys.json"
algorithms = ["RS256", "PS384"]
tenants = ["north"]
fhir_servers = ["https://ehr.example.org/fhir/R4"]
cors_origins = ["https://ehr.example.org"]
rate_per_second = 2.5
max_token_seconds = 3600

[[clients]]
issuer = "other"
jku = "https://other.example.org/jwks.json"
"""


def load(folder: Path, text: str) -> Settings:
    (folder / "site.toml").write_text(text, "utf-8")
    return load_settings(folder / "site.toml")


def client(*lines: str, keys: str = 'jku = "https://a.example.org/k"') -> str:
    return "\n".join(["[[clients]]", 'issuer = "a"', keys, *lines])


def test_every_key_is_taken(tmp_path: Path):
    (tmp_path / "data").mkdir()
    settings = load(tmp_path, EVERYTHING)
    assert settings.data_dir == tmp_path / "data"
    assert settings.clients == (
        Client(
            issuer="https://ehr.example.org/fhir",
            jwks_file=tmp_path / "keys.json",
            jku=("https://ehr.example.org/jwks.json",),
            algorithms=("RS256", "PS384"),
            tenants=("north",),
            fhir_servers=(parse_base("https://ehr.example.org/fhir/R4"),),
            cors_origins=("https://ehr.example.org",),
            rate_per_second=2.5,
            max_token_seconds=3600,
        ),
        Client(issuer="other", jku=("https://other.example.org/jwks.json",)),
    )


def test_the_defaults():
    default = Client("a")
    assert (default.algorithms, default.rate_per_second, default.max_token_seconds) == (("ES384", "RS384"), 50, 300)


BAD = {
    "no issuer": ('[[clients]]\njku = "https://a.example.org/k"', "clients[0]: 'issuer'"),
    "empty issuer": ('[[clients]]\nissuer = ""', "clients[0].issuer:"),
    "no keys": (client(keys=""), "clients[0]: the keys of a are not named; it should have jku or jwks_file"),
    "twice the same issuer": (client() + "\n" + client(), "clients[1].issuer: a is registered twice"),
    "unknown key": (client('tenant = "x"'), "clients[0].tenant: unknown key; did you mean tenants?"),
    "a symmetric algorithm": (client('algorithms = ["ES384", "HS256"]'), "clients[0].algorithms[1]:"),
    "no algorithm": (client('algorithms = ["none"]'), "clients[0].algorithms[0]:"),
    "algorithms are empty": (client("algorithms = []"), "clients[0].algorithms:"),
    "tenants are empty": (client("tenants = []"), "clients[0].tenants:"),
    "tenants are text": (client('tenants = "north"'), "clients[0].tenants:"),
    "keys by plain http": (client(keys='jku = "http://a.example.org/k"'), "clients[0].jku:"),
    "keys from this machine": (
        client(keys='jku = "http://localhost:9/k"'),
        "clients[0].jku: keys are fetched over https",
    ),
    "keys at no host": (client(keys='jku = "https://[::zz]/k"'), "clients[0].jku: 'https://[::zz]/k' is not a URL"),
    "keys at no port": (client(keys='jku = "https://a.example.org:99999/k"'), "clients[0].jku:"),
    "keys by file URL": (client(keys='jku = "file:///keys"'), "clients[0].jku:"),
    "a FHIR server with a query": (
        client('fhir_servers = ["https://a.example.org/fhir?x=1"]'),
        "clients[0].fhir_servers[0]: this should be an absolute",
    ),
    "any origin": (client('cors_origins = ["*"]'), "clients[0].cors_origins[0]:"),
    "no calls": (client("rate_per_second = 0"), "clients[0].rate_per_second:"),
    "endless calls": (client("rate_per_second = inf"), "clients[0].rate_per_second:"),
    "not a number of calls": (client("rate_per_second = nan"), "clients[0].rate_per_second:"),
    "tokens for a day": (client("max_token_seconds = 86400"), "clients[0].max_token_seconds:"),
    "tokens for ever": (client("max_token_seconds = 0"), "clients[0].max_token_seconds:"),
    "clients is a table": ('[clients]\nissuer = "a"', "clients:"),
    "a data folder that is none": ('data_dir = "site.toml"', "data_dir:"),
    "an empty data folder": ('data_dir = ""', "data_dir:"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_what_stops_the_start_up(tmp_path: Path, text: str, said: str):
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_in_development_keys_may_come_from_this_machine(tmp_path: Path):
    load(tmp_path, "development = true\n" + client(keys='jku = "http://localhost:9/k"'))


def test_production_needs_somebody_to_trust_and_a_name_of_its_own():
    known = (Client("a", jku=("https://a.example.org/k",)),)
    check_trust(development=False, clients=known, public_url="https://cds.example.org")
    check_trust(development=True, clients=(), public_url="")
    for clients, url, key in (((), "https://cds.example.org", "clients:"), (known, "", "public_url:")):
        with pytest.raises(SettingsError, match=f"^{key}"):
            check_trust(development=False, clients=clients, public_url=url)


def test_r157_what_an_audience_may_begin_with():
    assert audience_bases("https://cds.example.org/x/", False, 8000) == ("https://cds.example.org/x",)
    assert audience_bases("", False, 8000) == ()
    local = ("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000")
    assert audience_bases("", True, 8000) == local
    assert audience_bases("https://cds.example.org", True, 8000) == ("https://cds.example.org", *local)


def documented_keys() -> set[str]:
    page = (Path(__file__).parent.parent / "docs" / "authentication.md").read_text("utf-8")
    return {name for name in Client.__dataclass_fields__ if f"| `{name}` |" in page}


def test_every_key_is_documented():
    assert documented_keys() == set(Client.__dataclass_fields__)


# --- the command line ----------------------------------------------------------------------------------


def test_check_config_explains_the_clients(cli: Cli, tmp_path: Path):
    more = {"tenants": ["north"], "fhir_servers": ["https://ehr.example.org/fhir"], "rate_per_second": 5}
    ran = cli("check-config", cli.file(registered(tmp_path, **more), "site.toml"))
    assert ran.code == 0
    said = " ".join(ran.out.split())
    for part in (
        "a call needs a token of one of them",
        "keys.json",
        "north",
        "https://ehr.example.org/fhir",
        "5 calls",
    ):
        assert part in said


def test_check_config_says_what_would_stop_the_start(cli: Cli, tmp_path: Path):
    assert "nobody is registered" in " ".join(cli("check-config").out.split())
    config = cli.file(registered(tmp_path), "site.toml")
    (tmp_path / "keys.json").write_text("{}")
    ran = cli("check-config", config)
    assert ran.code == 2
    assert one_line(ran.err)
    assert "clients[0].jwks_file" in ran.err


def test_serve_says_what_is_missing_before_it_says_that_it_serves(cli: Cli):
    ran = cli("serve", "--host", "0.0.0.0", "--port", "1")
    assert ran.code == 2
    assert one_line(ran.err)
    assert "nobody is registered" in ran.err
