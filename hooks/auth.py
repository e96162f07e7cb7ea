"""Who calls: the JSON Web Token of a registered CDS client, member by member (R150 to R167; rows 22 to 24).

Pure: the clock, the keys and the URL called come in as arguments. PyJWT checks signatures and nothing else; what a
token must say is stricter here than there.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from hooks.clients import Client
from hooks.errors import RequestError, Unauthenticated
from hooks.jwks import KINDS, Key

ADMISSION = "backpain_cds.admission"
"""Where the WSGI environment of a call keeps its Admission."""
LEEWAY_SECONDS = 60
"""How far the clocks of the two sides may be apart."""
MAX_OCTETS = 8 * 1024
"""Of header and claims together."""

_MAX_LENGTH = 16 * 1024  # of the whole token, in base64
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED = ("iss", "aud", "exp", "iat", "jti")
_FORBIDDEN = ("crit", "b64", "jwk", "x5u", "x5c")
_jws = PyJWS(algorithms=list(KINDS))


class Header(msgspec.Struct):
    """The header members that are read. Of the forbidden ones it counts that they are there."""

    alg: str = ""
    kid: str = ""
    typ: str = ""
    jku: str | None = None
    crit: Any = msgspec.UNSET
    b64: Any = msgspec.UNSET
    jwk: Any = msgspec.UNSET
    x5u: Any = msgspec.UNSET
    x5c: Any = msgspec.UNSET


class Claims(msgspec.Struct):
    """The claims that are read; others are no reason to refuse (R165). Times are seconds since the epoch."""

    iss: str | None = None
    aud: str | list[str] | None = None
    exp: int | float | None = None
    iat: int | float | None = None
    jti: str | None = None
    nbf: int | float | None = None
    tenant: str | None = None


class Token(NamedTuple):
    """A token that was read and not yet believed."""

    text: str
    header: Header
    claims: Claims


class Admission(NamedTuple):
    """What the token of a call came to. client: who calls, None for nobody; error: why the call goes no further.

    issuer: that of the registered client whom the token names, whether it was believed or not; tenant: the one that a
    believed token names.
    """

    client: Client | None = None
    error: RequestError | None = None
    issuer: str = ""
    tenant: str = ""


NOBODY = Admission()


def read_token(authorizations: Sequence[str]) -> Token:
    """The token of the Authorization headers of a call. Raises Unauthenticated."""
    if len(authorizations) != 1:
        raise Unauthenticated("several-authorization-headers")
    scheme, _, text = authorizations[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("not-bearer")
    if len(text) > _MAX_LENGTH:
        raise Unauthenticated("too-long")
    if not _TOKEN.fullmatch(text):
        raise Unauthenticated("not-a-jwt")
    header, claims = (_decoded(part) for part in text.split(".")[:2])
    if len(header) + len(claims) > MAX_OCTETS:
        raise Unauthenticated("too-long")
    return Token(text, _typed(header, Header, "header"), _typed(claims, Claims, "claims"))


def check_token(token: Token, client: Client, audiences: Collection[str], now: float) -> None:
    """All that a token must say; who signed it is another matter. audiences: the spellings of the URL called.

    Raises Unauthenticated.
    """
    _check_header(token.header, client)
    _check_names(token.claims, client, audiences)
    _check_times(token.claims, client, now)


def check_signature(token: Token, key: Key | None) -> None:
    """Raises Unauthenticated unless the token was signed with that key by the algorithm it is for (R152, R153)."""
    if key is None:
        raise Unauthenticated("unknown-kid")
    if not key.fits(token.header.alg):
        raise Unauthenticated("alg-does-not-fit-key")
    try:
        _jws.decode(token.text, key.public, algorithms=[token.header.alg])
    except (PyJWTError, ValueError):
        raise Unauthenticated("signature") from None


def _decoded(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise Unauthenticated("not-a-jwt") from None


def _typed(octets: bytes, kind: type, name: str) -> Any:
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unauthenticated(f"{name}-malformed") from None


def _check_header(header: Header, client: Client) -> None:
    if any(getattr(header, name) is not msgspec.UNSET for name in _FORBIDDEN):
        raise Unauthenticated("header-not-supported")
    if header.typ.upper() != "JWT":
        raise Unauthenticated("typ")
    if header.alg not in client.algorithms:
        raise Unauthenticated("alg")
    if header.jku is not None and header.jku not in client.jku:
        raise Unauthenticated("jku")


def _check_names(claims: Claims, client: Client, audiences: Collection[str]) -> None:
    for name in _REQUIRED:
        if getattr(claims, name) in (None, ""):
            raise Unauthenticated(f"no-{name}")
    stated = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if not any(audience in audiences for audience in stated):
        raise Unauthenticated("aud")
    if client.tenants and claims.tenant not in client.tenants:
        raise Unauthenticated("tenant")


def _check_times(claims: Claims, client: Client, now: float) -> None:
    """A client whose clock is ahead, within the leeway, has the whole life of its tokens all the same."""
    if claims.exp <= now - LEEWAY_SECONDS:
        raise Unauthenticated("expired")
    if claims.iat > now + LEEWAY_SECONDS:
        raise Unauthenticated("iat-in-the-future")
    if claims.nbf is not None and claims.nbf > now + LEEWAY_SECONDS:
        raise Unauthenticated("nbf-in-the-future")
    if claims.exp > max(now, claims.iat) + client.max_token_seconds:
        raise Unauthenticated("lives-too-long")
