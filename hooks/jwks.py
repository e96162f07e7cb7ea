"""The public keys of a client: where they come from, how long they hold, when they are asked for again (R155, R163).

Asking blocks, so it is done in a thread and never on the event loop. The workers of a server share what one of them
fetched, through a locked file each client: together they ask no more often than one would.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx
import msgspec
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from hooks.clients import Client
from hooks.errors import SettingsError, TrustUnavailable
from hooks.tls import tls_context

FETCH_SECONDS = 2.0
MAX_OCTETS = 64 * 1024
FRESH_SECONDS = 600.0
"""How long keys hold when their server does not say."""
SHORTEST_SECONDS = 1.0
"""Keys that may not be kept at all are kept that long, so that a burst of calls is one question."""
LONGEST_SECONDS = 3600.0
UNKNOWN_SECONDS = 60.0
"""Between two questions that only an unknown `kid` caused."""
FAILED_SECONDS = 5.0
"""After a question that failed."""

_LATE_SECONDS = 60.0  # a call that waited looks at what was noted while it did, which is later than its own instant
_MIN_RSA_BITS = 2048
_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})', re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)

KINDS = {
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
}
"""Signature algorithm -> the kind of key it takes: a curve, or RSA."""


class Key(NamedTuple):
    """A public key. alg: the one algorithm it is for, "" for all of its kind."""

    kind: str
    alg: str
    public: Any

    def fits(self, alg: str) -> bool:
        """Whether a signature of that algorithm may be checked with it (R153)."""
        return KINDS.get(alg) == self.kind and self.alg in ("", alg)


class KeySet(NamedTuple):
    """Keys by `kid`, and from when until when they hold (seconds since the epoch)."""

    keys: Mapping[str, Key] = {}
    fetched: float = 0.0
    expires: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether they hold; not when they come from the future, as after a clock was set back."""
        return now < self.expires and _is_past(self.fetched, now)


def _is_past(noted: float, now: float) -> bool:
    return noted - _LATE_SECONDS <= now


def _is_recent(noted: float, now: float, seconds: float) -> bool:
    return _is_past(noted, now) and now < noted + seconds


class KeySource(Protocol):
    """Where one worker has the keys of one client from."""

    def find(self, kid: str, now: float) -> Key | None:
        """A key that is at hand and holds; never blocks."""

    def ask(self, kid: str, now: float) -> Key | None:
        """The same after asking, where that is due; blocks. Raises TrustUnavailable when no keys hold."""


def key_sources(
    clients: tuple[Client, ...], folder: Path, ca_file: Path | None = None
) -> dict[str, Mapping[str, KeySource]]:
    """Issuer -> URL -> the keys that are there; a file has the URL "".

    folder: where workers share what they fetched; ca_file: authorities besides the public ones.
    Raises SettingsError for an unusable file of keys.
    """
    tls = tls_context(ca_file) if any(not client.jwks_file for client in clients) else None
    sources: dict[str, Mapping[str, KeySource]] = {}
    for index, client in enumerate(clients):
        if not client.jwks_file:
            sources[client.issuer] = {url: FetchedKeys(client.issuer, url, folder, tls) for url in client.jku}
            continue
        try:
            sources[client.issuer] = {"": FileKeys(client.jwks_file)}
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SettingsError(
                f"clients[{index}].jwks_file: {client.jwks_file}: {reason}; it should be a JWK Set with public keys"
            ) from None
    return sources


class FileKeys:
    """Keys from a file, which is read again when it changed. Raises OSError or ValueError for one without keys."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp, keys = self._read()
        if not keys:
            raise ValueError("it has no usable key")
        self._held = KeySet(keys)

    def find(self, kid: str, now: float) -> Key | None:
        return self._held.keys.get(kid) if self._held.is_fresh(now) else None

    def ask(self, kid: str, now: float) -> Key | None:
        try:
            if self._stamp_now() != self._stamp:
                self._stamp, keys = self._read()
                self._held = self._held._replace(keys=keys)
            self._held = self._held._replace(fetched=now, expires=now + FRESH_SECONDS)
        except (OSError, ValueError):
            if not self._held.is_fresh(now):
                raise TrustUnavailable("keys-unavailable") from None
        return self._held.keys.get(kid)

    def _read(self) -> tuple[tuple[int, ...], Mapping[str, Key]]:
        stamp = self._stamp_now()
        return stamp, parse_keys(self._path.read_bytes())

    def _stamp_now(self) -> tuple[int, ...]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino


class _Shared(msgspec.Struct):
    """What the workers know together of one client's keys. unknown, failed: when they last asked for an unknown `kid`,
    and when in vain."""

    jwks: str = ""
    fetched: float = 0.0
    expires: float = 0.0
    unknown: float = 0.0
    failed: float = 0.0


class FetchedKeys:
    """Keys from the registered URL. Nothing else is ever fetched, whatever a token says (R161)."""

    def __init__(self, issuer: str, url: str, folder: Path, tls: ssl.SSLContext) -> None:
        self._url = url
        self._tls = tls
        self._file = folder / f"jwks-{hashlib.sha256(f'{issuer} {url}'.encode()).hexdigest()[:32]}.json"
        self._shared = _Shared()
        self._held = KeySet()

    def find(self, kid: str, now: float) -> Key | None:
        return self._held.keys.get(kid) if self._held.is_fresh(now) else None

    def ask(self, kid: str, now: float) -> Key | None:
        with suppress(OSError), _locked(self._file.with_suffix(".lock")):
            self._recall()
            if self._is_due(kid, now):
                self._fetch(now)
        if not self._held.is_fresh(now):
            raise TrustUnavailable("keys-unavailable")
        return self._held.keys.get(kid)

    def _recall(self) -> None:
        """Learn what another worker was told meanwhile; a damaged file says nothing."""
        try:
            shared = msgspec.json.decode(self._file.read_bytes(), type=_Shared)
            if shared.fetched != self._shared.fetched:
                self._held = KeySet(parse_keys(shared.jwks.encode()), shared.fetched, shared.expires)
        except (FileNotFoundError, ValueError):
            return
        self._shared = shared

    def _is_due(self, kid: str, now: float) -> bool:
        """Whether to ask: the keys no longer hold, or this one may be new. A clock set back stops no asking."""
        if not self._held.is_fresh(now):
            return not _is_recent(self._shared.failed, now, FAILED_SECONDS)
        return kid not in self._held.keys and not _is_recent(self._shared.unknown, now, UNKNOWN_SECONDS)

    def _fetch(self, now: float) -> None:
        """Ask and tell the others. Keys that still hold are kept when it fails."""
        if self._held.is_fresh(now):
            self._shared.unknown = now
        try:
            jwks, seconds = asyncio.run(_download(self._url, self._tls))
            self._held = KeySet(parse_keys(jwks), now, now + seconds)
            self._shared = _Shared(jwks.decode(), now, now + seconds, self._shared.unknown)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            self._shared.failed = now
        draft = self._file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self._shared))
        os.replace(draft, self._file)


async def _download(url: str, tls: ssl.SSLContext) -> tuple[bytes, float]:
    """The body, and how many seconds it holds. Raises httpx.HTTPError, OSError or ValueError for anything but a set.

    One deadline for all of it, since a server may send an octet a second. No proxy, no redirect, no compression.
    """
    headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(FETCH_SECONDS),
        httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, headers=headers) as http,
        http.stream("GET", url) as response,
    ):
        if response.status_code != 200 or "content-encoding" in response.headers:
            raise ValueError(f"answered {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_OCTETS:
                raise ValueError("too long")
        return bytes(body), held_seconds(response.headers)


def held_seconds(headers: Mapping[str, str]) -> float:
    """How long keys may be kept, by the Cache-Control and Age of their answer (RFC 9111, 4.2)."""
    control, age = headers.get("cache-control", ""), headers.get("age", "0")
    if _UNCACHED.search(control):
        return SHORTEST_SECONDS
    if stated := _MAX_AGE.search(control):
        left = int(stated[1]) - (int(age) if age.isascii() and age.isdigit() and len(age) < 11 else 0)
        return min(max(float(left), SHORTEST_SECONDS), LONGEST_SECONDS)
    return FRESH_SECONDS


def parse_keys(jwks: bytes) -> dict[str, Key]:
    """`kid` -> key, of a JWK Set: the public ones for signatures, each alone with their `kid`. Others are left out.

    Raises ValueError for what is no JWK Set.
    """
    try:
        stated = msgspec.json.decode(jwks, type=dict[str, Any])["keys"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        raise ValueError("it is not a JWK Set") from None
    if not isinstance(stated, list):
        raise ValueError("it is not a JWK Set")
    named = [jwk for jwk in stated if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str)]
    times = Counter(jwk["kid"] for jwk in named)
    found = {jwk["kid"]: _key(jwk) for jwk in named if times[jwk["kid"]] == 1}
    return {kid: key for kid, key in found.items() if key}


def _key(jwk: dict[str, Any]) -> Key | None:
    operations = jwk.get("key_ops")
    for_signatures = jwk.get("use", "sig") == "sig" and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )
    if not for_signatures or "d" in jwk:
        return None
    try:
        kind, public = _public(jwk)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    alg = jwk.get("alg", "")
    return Key(kind, alg, public) if kind in KINDS.values() and isinstance(alg, str) else None


def _public(jwk: dict[str, Any]) -> tuple[str, Any]:
    if jwk["kty"] == "EC":
        return jwk["crv"], ECAlgorithm.from_jwk(jwk)
    public = RSAAlgorithm.from_jwk(jwk)
    if public.key_size < _MIN_RSA_BITS:
        raise ValueError("too short")
    return "RSA", public


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One worker at a time; the system gives the lock back when a worker dies."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
