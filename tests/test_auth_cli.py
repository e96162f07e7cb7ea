"""`backpain-cds token` and `call --token`: a client of one's own (docs/cli.md)."""

import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from hooks.settings import load_settings
from tests import cli_rig
from tests.cli_rig import Cli, one_line
from tests.jwks_rig import jwk, private_key
from tests.records import AT
from tests.service_rig import call, path_of, running

cli = cli_rig.cli
URL = "https://cds.example.org/cds-services/x"


def made(cli: Cli, folder: Path, *options: str) -> tuple[str, str, str]:
    """A new key: what was printed, and its two files."""
    ran = cli("token", "--new-key", str(folder / "trial"), *options)
    assert ran.code == 0
    return ran.out, str(folder / "trial.jwk.json"), str(folder / "trial.jwks.json")


def parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, claims, _ = text.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, claims))


def test_a_new_key_can_be_registered_as_printed(cli: Cli, tmp_path: Path):
    printed, private, public = made(cli, tmp_path, "--issuer", 'https://"dev".example.org')
    (tmp_path / "site.toml").write_text(printed)
    (client,) = load_settings(tmp_path / "site.toml").clients
    assert (client.issuer, str(client.jwks_file)) == ('https://"dev".example.org', public)
    assert stat.S_IMODE(Path(private).stat().st_mode) == 0o600
    assert "d" not in json.loads(Path(public).read_text())["keys"][0]


def test_a_key_is_never_written_over(cli: Cli, tmp_path: Path):
    _, private, _ = made(cli, tmp_path)
    before = Path(private).read_bytes()
    ran = cli("token", "--new-key", str(tmp_path / "trial"))
    assert ran.code == 2
    assert one_line(ran.err)
    assert Path(private).read_bytes() == before


def test_a_token_is_one_line_and_says_what_was_asked(cli: Cli, tmp_path: Path):
    _, private, public = made(cli, tmp_path)
    options = ["--issuer", "me", "--tenant", "north", "--jku", "https://me.example.org/k", "--seconds", "60"]
    ran = cli("token", URL, "--key", private, *options)
    assert (ran.code, ran.err) == (0, "")
    header, claims = parts(ran.out.strip())
    key = jwt.PyJWKSet.from_dict(json.loads(Path(public).read_text())).keys[0]
    assert header == {"alg": "ES384", "typ": "JWT", "kid": key.key_id, "jku": "https://me.example.org/k"}
    jti = claims.pop("jti")
    now = int(AT.timestamp())
    assert claims == {"iss": "me", "aud": URL, "tenant": "north", "iat": now, "exp": now + 60}
    jwt.decode(
        ran.out.strip(),
        key,
        algorithms=["ES384"],
        options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
    )
    assert parts(cli("token", URL, "--key", private).out.strip())[1]["jti"] != jti


def test_an_rsa_key_signs_with_rs384(cli: Cli):
    handler = jwt.get_algorithm_by_name("RS384")
    key = handler.to_jwk(private_key("r", "RS384"), as_dict=True) | {"kid": "r"}
    header, _ = parts(cli("token", URL, "--key", cli.file(key)).out.strip())
    assert (header["alg"], header["kid"]) == ("RS384", "r")


@pytest.mark.parametrize(
    "key", ["{", "[]", {"kty": "EC"}, jwk(), {"kty": "oct", "k": "AAAA", "kid": "x"}, {**jwk(), "d": "?"}, b"\xff"]
)
def test_what_is_no_private_key(cli: Cli, key: Any):
    ran = cli("token", URL, "--key", cli.file(key))
    assert ran.code == 2
    assert one_line(ran.err)
    assert "no private key" in ran.err


def test_a_token_needs_a_url_and_a_key(cli: Cli):
    for options in ([], [URL], ["--key", "a"]):
        ran = cli("token", *options)
        assert ran.code == 2
        assert one_line(ran.err)


def test_a_call_with_a_token_of_ones_own(cli: Cli, tmp_path: Path):
    printed, private, _ = made(cli, tmp_path)
    config = f'development = false\npublic_url = "http://localhost"\n{printed}'
    with running(tmp_path, config=config) as server:
        chart = cli.file(call())
        assert "401" in cli("call", server.url, chart).err
        minted = cli("token", f"http://localhost{path_of('patient-view')}", "--key", private)
        header, claims = parts(minted.out.strip())
        claims |= {"iat": 0, "exp": 0}
        token = real_time(private, header, claims)
        (tmp_path / "t").write_text(token + "\n")
        assert cli("call", server.url, chart, "--token-file", str(tmp_path / "t"), "--json").code == 0
        assert "401" in cli("call", server.url, chart, "--token", token).err
        again = real_time(private, header, claims | {"jti": "2"})
        assert cli("call", server.url, chart, "--token", again, "--json").code == 0


def real_time(private: str, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The command's clock stands still in tests; the server's does not."""
    now = int(time.time())
    key = jwt.PyJWK.from_dict(json.loads(Path(private).read_text())).key
    return jwt.encode(claims | {"iat": now, "exp": now + 60}, key, header["alg"], {"kid": header["kid"]})


@pytest.mark.parametrize("text", ["", "a b", "a\nb", "é", "a\x7f"])
def test_what_is_no_token_is_not_sent(cli: Cli, text: str):
    ran = cli("call", "http://127.0.0.1:9", cli.file(call()), "--token-file", cli.file(text, "t"))
    assert ran.code == 2
    assert one_line(ran.err)
    assert "token" in ran.err
