"""The form's part in SMART App Launch 2: discovery, authorization code with PKCE, token (Authlib speaks OAuth 2)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from hooks.errors import Unavailable
from hooks.fhir_client import FhirClient
from hooks.intake.options import IntakeServer
from hooks.intake.outward import is_endpoint, send
from hooks.services import SEARCH_KEYS

_WRITTEN = ("Observation", "QuestionnaireResponse")
_READ = ("Patient", *SEARCH_KEYS.values(), "Medication")
_SCOPES = tuple(f"patient/{kind}.{'crs' if kind in _WRITTEN else 'rs'}" for kind in _READ)
_OLD_SCOPES = (*(f"patient/{kind}.read" for kind in _READ), *(f"patient/{kind}.write" for kind in _WRITTEN))
_ERRORS = ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope")
_NOT_LONGER = 3600
_UNSTATED = 300
_TOKEN = re.compile(r"[!-~]+")  # what can stand in a header
_ID = re.compile(r"[A-Za-z0-9.-]{1,128}")  # of FHIR, for servers that allow longer ones
_SECONDS = re.compile(r"([0-9]{1,12})(?:\.[0-9]*)?")


class Endpoints(NamedTuple):
    """Where a server lets people sign in and gives tokens. version: 1 or 2, of the scopes that it understands."""

    authorize: str
    token: str
    version: int = 2


class Granted(NamedTuple):
    """What a token response brings. seconds: how long the token is good; asked: the link's appContext."""

    token: str
    patient: str
    scope: str
    seconds: int
    asked: str


class Denied(Exception):
    """There is no access. reason: an OAuth error code, or one of ours; never a text of the server."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Told(msgspec.Struct):
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    capabilities: list[str] = []


async def discover(client: FhirClient, server: IntakeServer, development: bool) -> Endpoints:
    """What the server's smart-configuration says. Raises Unavailable when it says nothing usable."""
    url = f"{server.base}/.well-known/smart-configuration"
    reply = await send(client, "GET", url, {"Accept": "application/json"})
    if reply.status != 200:
        raise Unavailable(f"http-{reply.status}")
    try:
        told = msgspec.convert(reply.json(), _Told)
    except msgspec.ValidationError:
        raise Unavailable("not-smart") from None
    if not all(is_endpoint(each, development) for each in (told.authorization_endpoint, told.token_endpoint)):
        raise Unavailable("not-smart")
    only_old = "permission-v1" in told.capabilities and "permission-v2" not in told.capabilities
    return Endpoints(told.authorization_endpoint, told.token_endpoint, 1 if only_old else 2)


def scopes(server: IntakeServer, is_launched: bool, version: int = 2) -> str:
    """What the form asks to be allowed: reading what the criteria read, and adding the answers."""
    asked = server.scopes or (_SCOPES if version == 2 else _OLD_SCOPES)
    return " ".join(["launch" if is_launched else "launch/patient", *asked])


def authorization_url(
    server: IntakeServer, endpoints: Endpoints, redirect_uri: str, iss: str, launch: str, state: str, verifier: str
) -> str:
    """Where the browser goes to sign in. launch: of an EHR launch, "" for a standalone one."""
    granted = scopes(server, bool(launch), endpoints.version)
    made = _Client(server, redirect_uri, granted)
    launched = {"launch": launch} if launch else {}
    url, _ = made.create_authorization_url(
        endpoints.authorize, state=state, code_verifier=verifier, aud=iss, **launched
    )
    return url


async def exchange(
    client: FhirClient, server: IntakeServer, token_url: str, redirect_uri: str, code: str, verifier: str
) -> Granted:
    """A code for a token. Raises Denied, and Unavailable when the authorization server cannot be reached."""
    made = _Client(server, redirect_uri, "", client)
    told = await made.fetch_token(token_url, grant_type="authorization_code", code=code, code_verifier=verifier)
    return _granted(told)


def _granted(told: Mapping[str, Any]) -> Granted:
    token, patient, stated = told.get("access_token"), told.get("patient"), told.get("expires_in")
    if not (isinstance(token, str) and _TOKEN.fullmatch(token)) or str(told.get("token_type", "")).lower() != "bearer":
        raise Denied("no-bearer-token")
    if not (isinstance(patient, str) and _ID.fullmatch(patient)):
        raise Denied("no-patient")
    seconds = _SECONDS.fullmatch(str(stated))
    usable = min(int(seconds[1]), _NOT_LONGER) if seconds else _UNSTATED
    asked = told.get("appContext")
    return Granted(token, patient, str(told.get("scope") or ""), usable, asked if isinstance(asked, str) else "")


class _Client(OAuth2Client):
    """Authlib's client, sending by the worker's own."""

    def __init__(self, server: IntakeServer, redirect_uri: str, scope: str, client: FhirClient | None = None) -> None:
        super().__init__(
            session=None,
            client_id=server.client_id,
            client_secret=server.key or server.secret or None,
            token_endpoint_auth_method="private_key_jwt" if server.key else None,
            scope=scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        headers = {"kid": server.key_id} if server.key_id else None
        self.register_client_auth_method(PrivateKeyJWT(headers=headers, alg=server.algorithm))
        self._client = client

    async def _fetch_token(self, url: str, body: str = "", auth: ClientAuth | None = None, **_: Any) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        url, headers, body = auth.prepare("POST", url, headers, body)
        reply = await send(self._client, "POST", url, headers, body.encode())
        if reply.status >= 500:
            raise Unavailable(f"http-{reply.status}")
        if not isinstance(told := reply.json(), dict):
            raise Denied("no-bearer-token")
        if (error := told.get("error")) is not None:
            raise Denied(error if error in _ERRORS else "refused")
        return told
