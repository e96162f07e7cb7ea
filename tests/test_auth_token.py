"""A token, member by member: what is good, and everything one defect away from it (R150 to R167; rows 22 to 24)."""

import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hooks.auth import LEEWAY_SECONDS, Token, check_signature, check_token, read_token
from hooks.clients import Client
from hooks.errors import Unauthenticated
from hooks.jwks import parse_keys
from tests.jwks_rig import ISSUER, b64, jwk, jwks, private_key, signed

URL = "https://cds.example.org/cds-services/back-pain-patient-view"
JKU = "https://ehr.example.org/.well-known/jwks.json"
NOW = 1_800_000_000
CLIENT = Client(ISSUER, jku=(JKU,))
KEYS = parse_keys(json.dumps(jwks(jwk(), jwk("r", "rsa", "RS384"))).encode())


def payload(**others: Any) -> dict[str, Any]:
    made = {"iss": ISSUER, "aud": URL, "iat": NOW, "exp": NOW + 300, "jti": "j-1", **others}
    return {name: value for name, value in made.items() if value is not ...}


def judge(*authorizations: str, client: Client = CLIENT, keys: Any = KEYS, urls: tuple[str, ...] = (URL,)) -> Token:
    token = read_token(authorizations)
    check_token(token, client, urls, NOW)
    check_signature(token, keys.get(token.header.kid))
    return token


def accepted(text: str, **how: Any) -> Token:
    return judge(f"Bearer {text}", **how)


def reason(*authorizations: str, **how: Any) -> str:
    with pytest.raises(Unauthenticated) as refused:
        judge(*authorizations, **how)
    assert refused.value.status == 401
    return refused.value.reason


# --- good tokens ---------------------------------------------------------------------------------------


def test_r154_es384_and_rs384_are_good():
    assert accepted(signed(payload())).claims.jti == "j-1"
    assert accepted(signed(payload(), "r", "RS384", {"kid": "rsa"})).claims.jti == "j-1"


GOOD: dict[str, dict[str, Any]] = {
    "r157 one of several audiences": {"aud": ["https://elsewhere.example.org", URL]},
    "r165 claims nobody reads": {"sub": ISSUER, "nbf": NOW - 300, "fhirUser": {"a": [1]}, "azp": None},
    "a tenant, when none is listed": {"tenant": "north"},
    "fractions of a second": {"iat": NOW - 0.25, "exp": NOW + 299.75},
    "row 24: expired within the leeway": {"iat": NOW - 300, "exp": NOW - 59},
    "row 24: issued ahead within the leeway": {"iat": NOW + 60},
    "issued ahead, with its whole life": {"iat": NOW + 60, "exp": NOW + 360},
    "valid ahead within the leeway": {"nbf": NOW + 60},
    "no time before which": {"nbf": None},
    "issued long ago, still short of life": {"iat": NOW - 3600},
}


@pytest.mark.parametrize("others", GOOD.values(), ids=GOOD)
def test_good_claims(others: dict[str, Any]):
    accepted(signed(payload(**others)))


def test_the_registered_jku_and_any_spelling_of_the_fixed_words():
    accepted(signed(payload(), header={"jku": JKU, "typ": "jwt", "x-vendor": {"a": 1}}))
    judge(f"bearer {signed(payload())}")


# --- one defect away -----------------------------------------------------------------------------------

CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "r156 no iss": ({"iss": ...}, "no-iss"),
    "r156 no aud": ({"aud": ...}, "no-aud"),
    "r156 no exp": ({"exp": ...}, "no-exp"),
    "r156 no iat": ({"iat": ...}, "no-iat"),
    "r156 no jti": ({"jti": ...}, "no-jti"),
    "empty jti": ({"jti": ""}, "no-jti"),
    "jti is a number": ({"jti": 1}, "claims-malformed"),
    "exp is text": ({"exp": str(NOW + 300)}, "claims-malformed"),
    "exp is true": ({"exp": True}, "claims-malformed"),
    "iat is null": ({"iat": None}, "no-iat"),
    "aud is a number": ({"aud": 1}, "claims-malformed"),
    "aud holds a number": ({"aud": [URL, 1]}, "claims-malformed"),
    "empty list of audiences": ({"aud": []}, "aud"),
    "r157 another service": ({"aud": URL.replace("patient-view", "order-sign")}, "aud"),
    "r157 discovery": ({"aud": URL.rpartition("/")[0]}, "aud"),
    "r157 feedback": ({"aud": URL + "/feedback"}, "aud"),
    "r157 trailing slash": ({"aud": URL + "/"}, "aud"),
    "r157 plain http": ({"aud": URL.replace("https", "http")}, "aud"),
    "r157 query": ({"aud": URL + "?a=1"}, "aud"),
    "r157 upper case": ({"aud": URL.replace("cds.example", "CDS.example")}, "aud"),
    "r157 only the beginning": ({"aud": "https://cds.example.org"}, "aud"),
    "r158 expired beyond the leeway": ({"iat": NOW - 300, "exp": NOW - LEEWAY_SECONDS}, "expired"),
    "r158 issued in the future": ({"iat": NOW + 61}, "iat-in-the-future"),
    "r158 not yet valid": ({"nbf": NOW + 61}, "nbf-in-the-future"),
    "lives too long": ({"exp": NOW + 301}, "lives-too-long"),
    "lives too long, issued long ago": ({"iat": NOW - 3600, "exp": NOW + 301}, "lives-too-long"),
    "lives too long, issued ahead": ({"iat": NOW + 60, "exp": NOW + 361}, "lives-too-long"),
    "lives for years": ({"exp": 10**30}, "lives-too-long"),
}


@pytest.mark.parametrize(("others", "expected"), CLAIMS.values(), ids=CLAIMS)
def test_claims_that_are_refused(others: dict[str, Any], expected: str):
    assert reason(f"Bearer {signed(payload(**others))}") == expected


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "r155 no kid": ({"kid": ...}, "unknown-kid"),
    "r155 unknown kid": ({"kid": "key-2"}, "unknown-kid"),
    "kid is a number": ({"kid": 1}, "header-malformed"),
    "r155 no typ": ({"typ": ...}, "typ"),
    "r155 another typ": ({"typ": "at+jwt"}, "typ"),
    "r155 no alg": ({"alg": ...}, "alg"),
    "r152 none": ({"alg": "none"}, "alg"),
    "r152 None": ({"alg": "None"}, "alg"),
    "r152 nOnE": ({"alg": "nOnE"}, "alg"),
    "r153 HS384": ({"alg": "HS384"}, "alg"),
    "es384 in lower case": ({"alg": "es384"}, "alg"),
    "not registered": ({"alg": "ES256"}, "alg"),
    "r153 alg of another kind of key": ({"alg": "RS384"}, "alg-does-not-fit-key"),
    "another jku": ({"jku": "https://evil.example.org/jwks.json"}, "jku"),
    "jku with a slash more": ({"jku": JKU + "/"}, "jku"),
    "empty jku": ({"jku": ""}, "jku"),
    "embedded key": ({"jwk": jwk()}, "header-not-supported"),
    "key by URL": ({"x5u": JKU}, "header-not-supported"),
    "embedded certificate": ({"x5c": ["AAAA"]}, "header-not-supported"),
    "crit": ({"crit": ["exp"]}, "header-not-supported"),
    "empty crit": ({"crit": []}, "header-not-supported"),
    "crit is null": ({"crit": None}, "header-not-supported"),
    "b64": ({"b64": False}, "header-not-supported"),
}


@pytest.mark.parametrize(("members", "expected"), HEADERS.values(), ids=HEADERS)
def test_headers_that_are_refused(members: dict[str, Any], expected: str):
    assert reason(f"Bearer {signed(payload(), header=members)}") == expected


def hs_with_the_public_key() -> str:
    """The classic: the public key, which everybody knows, as the secret of a symmetric algorithm (R153)."""
    public = private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = b64(json.dumps({"alg": "HS384", "typ": "JWT", "kid": "key-1"}).encode())
    signing_input = f"{head}.{b64(json.dumps(payload()).encode())}"
    return f"{signing_input}.{b64(hmac.digest(public, signing_input.encode(), 'sha384'))}"


def other_payload() -> str:
    head, _, signature = signed(payload()).split(".")
    return f"{head}.{b64(json.dumps(payload(jti='j-2')).encode())}.{signature}"


def other_header() -> str:
    _, body, signature = signed(payload(), header={"a": 1}).split(".")
    return f"{b64(json.dumps({'alg': 'ES384', 'typ': 'JWT', 'kid': 'key-1'}).encode())}.{body}.{signature}"


GOOD_TOKEN = signed(payload())
TOKENS: dict[str, tuple[str, str]] = {
    "another key": (signed(payload(), "b"), "signature"),
    "the key of another kid": (signed(payload(), "r", "RS384"), "alg-does-not-fit-key"),
    "HS384 with the public key": (hs_with_the_public_key(), "alg"),
    "another payload": (other_payload(), "signature"),
    "another header": (other_header(), "signature"),
    "a signature of nothing": (GOOD_TOKEN.rpartition(".")[0] + "." + b64(bytes(96)), "signature"),
    "half a signature": (GOOD_TOKEN[:-64], "signature"),
    "a signature in DER": (GOOD_TOKEN.rpartition(".")[0] + "." + b64(b"0" * 104), "signature"),
    "no signature": (GOOD_TOKEN.rpartition(".")[0] + ".", "not-a-jwt"),
    "two parts": (GOOD_TOKEN.rpartition(".")[0], "not-a-jwt"),
    "four parts": (GOOD_TOKEN + ".AAAA", "not-a-jwt"),
    "padded": (GOOD_TOKEN + "=", "not-a-jwt"),
    "plain base64": ("+" + GOOD_TOKEN[1:], "not-a-jwt"),
    "a length that base64 cannot have": ("A." + GOOD_TOKEN.partition(".")[2], "not-a-jwt"),
    "a line feed": (GOOD_TOKEN + "\n", "not-a-jwt"),
    "empty": ("", "not-a-jwt"),
    "claims are no object": (signed("[]"), "claims-malformed"),
    "claims are no JSON": (signed("{"), "claims-malformed"),
    "claims are nested deeply": (signed('{"a":' * 1000), "claims-malformed"),
    "claims with an endless number": (signed(json.dumps(payload())[:-1] + ', "nbf": 1e999}'), "claims-malformed"),
    "half a character": (signed('{"jti": "\\ud800"}'), "claims-malformed"),
    "header is no object": (f"{b64(b'1')}.{GOOD_TOKEN.partition('.')[2]}", "header-malformed"),
    "header and claims beyond 8 KiB": (signed(payload(x="x" * 8192)), "too-long"),
    "a token beyond reason": ("A" * 20_000, "too-long"),
}


@pytest.mark.parametrize(("text", "expected"), TOKENS.values(), ids=TOKENS)
def test_tokens_that_are_refused(text: str, expected: str):
    assert reason(f"Bearer {text}") == expected


def test_headers_of_http_that_are_refused():
    assert reason(f"Bearer {GOOD_TOKEN}", f"Bearer {GOOD_TOKEN}") == "several-authorization-headers"
    assert reason(f"Basic {GOOD_TOKEN}") == "not-bearer"
    assert reason(GOOD_TOKEN) == "not-bearer"
    assert reason("Bearer") == "not-a-jwt"
    assert reason(f"Bearer  {GOOD_TOKEN}") == "not-a-jwt"


def test_just_8_kib_are_read():
    room = 8192 - len(json.dumps(payload(x=""))) - len(json.dumps({"alg": "ES384", "typ": "JWT", "kid": "key-1"}))
    accepted(signed(payload(x="x" * room)))
    assert reason(f"Bearer {signed(payload(x='x' * (room + 1)))}") == "too-long"


# --- what the registry decides -------------------------------------------------------------------------


def test_r167_tenants():
    client = Client(ISSUER, tenants=("north", "south"))
    accepted(signed(payload(tenant="south")), client=client)
    for tenant in ("east", "", None, ...):
        assert reason(f"Bearer {signed(payload(tenant=tenant))}", client=client) == "tenant"


def test_a_client_may_have_longer_tokens():
    client = Client(ISSUER, max_token_seconds=3600)
    accepted(signed(payload(exp=NOW + 3600)), client=client)
    assert reason(f"Bearer {signed(payload(exp=NOW + 3601))}", client=client) == "lives-too-long"


@pytest.mark.parametrize("alg", ["ES256", "ES512", "RS256", "RS512", "PS256", "PS384", "PS512"])
def test_other_algorithms_by_registration(alg: str):
    text = signed(payload(), "other", alg)
    keys = parse_keys(json.dumps(jwks(jwk("other", alg=alg))).encode())
    accepted(text, client=Client(ISSUER, algorithms=(alg,)), keys=keys)
    assert reason(f"Bearer {text}", keys=keys) == "alg"


def test_r153_a_key_is_for_the_algorithm_that_it_says():
    keys = parse_keys(json.dumps(jwks(jwk("r", alg="RS384"))).encode())
    client = Client(ISSUER, algorithms=("RS256", "RS384", "PS384"))
    accepted(signed(payload(), "r", "RS384"), client=client, keys=keys)
    for alg in ("RS256", "PS384"):
        assert reason(f"Bearer {signed(payload(), 'r', alg)}", client=client, keys=keys) == "alg-does-not-fit-key"
    silent = {name: value for name, value in jwk("r", alg="RS384").items() if name != "alg"}
    for alg in ("RS256", "PS384"):
        accepted(signed(payload(), "r", alg), client=client, keys=parse_keys(json.dumps(jwks(silent)).encode()))


def test_r153_a_key_that_does_not_say_is_for_the_algorithms_of_its_kind():
    silent = {name: value for name, value in jwk().items() if name != "alg"}
    keys = parse_keys(json.dumps(jwks(silent)).encode())
    client = Client(ISSUER, algorithms=("ES256", "ES384", "RS384"))
    accepted(signed(payload()), client=client, keys=keys)
    for alg in ("ES256", "RS384"):
        text = signed(payload(), header={"alg": alg})
        assert reason(f"Bearer {text}", client=client, keys=keys) == "alg-does-not-fit-key"


def test_r157_every_spelling_of_the_url_called():
    local = "http://localhost:8000/cds-services"
    assert accepted(signed(payload(aud=local)), urls=(URL, local))
    assert reason(f"Bearer {signed(payload(aud=local))}") == "aud"
