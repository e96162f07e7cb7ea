"""GET requests to FHIR servers, each within limits (reliability.md, section 2 and rows 10 to 19).

One client a worker process: it holds connections, slots and breakers. One access a call: it holds the token, the
deadline and what the call may still use. Nothing here follows a redirect, keeps a cookie, asks a proxy of the
environment or a .netrc, or writes a log line.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from random import Random
from typing import Any

import httpx

from hooks.breaker import Breaker
from hooks.errors import Unavailable
from hooks.outbound import Base, Server, covers
from hooks.tls import tls_context

CONNECT_SECONDS = 1.0
GAP_SECONDS = 1.0  # between two parts of a body
REQUEST_SECONDS = 2.5
RETRIES = 2  # a call; one a request
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.2
SLOTS_PER_CALL, SLOTS_PER_HOST = 6, 20
MAX_OCTETS = 20 * 1024 * 1024
MAX_RESOURCES = 5000
HELD_AT_ONCE = 128 * 1024 * 1024
"""Octets of answers, inflated, that one worker holds for calls that are not answered yet."""

_DOWN = frozenset((502, 503, 504))  # the server says that it is not up to anything now
_PASSING = _DOWN | {429}
_JSON = frozenset(("application/fhir+json", "application/json", "application/json+fhir", ""))
_HEADERS = {"Accept": "application/fhir+json", "Accept-Encoding": "gzip", "User-Agent": "backpain-cds"}

# They log URLs, which hold the ids of patients, and headers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class FhirClient:
    """random: of the pauses before retries; wall_clock: what dates in Retry-After are compared with."""

    def __init__(
        self,
        ca_file: Path | None = None,
        random: Random | None = None,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = httpx.AsyncClient(
            verify=tls_context(ca_file),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers=_HEADERS,
            timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=SLOTS_PER_HOST, keepalive_expiry=15),
        )
        self.random = random or Random()  # noqa: S311 - spreads retries, protects nothing
        self.wall_clock = wall_clock
        self.held = 0
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._breakers: dict[Base, Breaker] = {}

    def access(self, server: Server, deadline: float) -> "Access":
        """What one call uses. deadline: in seconds of the monotonic clock."""
        breaker = self._breakers.setdefault(server.base, Breaker())
        slots = self._slots.setdefault(server.base.origin, asyncio.Semaphore(SLOTS_PER_HOST))
        return Access(self, server, deadline, breaker, slots)

    def circuits(self) -> dict[Base, bool]:
        """Each server that was asked so far, and whether it is being left alone."""
        return {base: breaker.is_open for base, breaker in dict(self._breakers).items()}

    async def close(self) -> None:
        await self.http.aclose()


class Access:
    """One call's way to one FHIR server. Use it with `with`, so that what it holds is given back."""

    def __init__(
        self, client: FhirClient, server: Server, deadline: float, breaker: Breaker, slots: asyncio.Semaphore
    ) -> None:
        self.server = server
        self.deadline = deadline
        self.resources_left = MAX_RESOURCES
        self._client = client
        self._headers = {"Authorization": server.authorization} if server.authorization else {}
        self._breaker = breaker
        self._slots_here, self._slots_there = asyncio.Semaphore(SLOTS_PER_CALL), slots
        self._octets = 0
        self._retries_left = RETRIES
        self._not_before = 0.0  # what the server said with Retry-After

    def __enter__(self) -> "Access":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.held -= self._octets

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> bytes:
        """The JSON text at an absolute URL below the base. Raises Unavailable with why it could not be had."""
        if not covers(self.server.base, url):
            raise Unavailable("foreign-url")
        target = httpx.URL(url, params=params) if params else httpx.URL(url)
        if not covers(self.server.base, str(target)):  # as it would be sent
            raise Unavailable("foreign-url")
        try:
            return await self._in_turn(target)
        except Unavailable as failure:
            await asyncio.sleep(self._pause_after(failure))
        return await self._in_turn(target)

    async def _in_turn(self, url: httpx.URL) -> bytes:
        async with self._slots_here:
            wait = self._not_before - time.monotonic()
            if wait > 0 and self._fits(wait):
                await _until(self._not_before)
            async with self._slots_there:
                if time.monotonic() < self._not_before:
                    raise Unavailable("retry-later")
                if not self._breaker.admits(time.monotonic()):
                    raise Unavailable("circuit-open")
                return await self._watched(url)

    async def _watched(self, url: httpx.URL) -> bytes:
        """One request, whose outcome the breaker learns in every case."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                body = await self._exchange(url)
        except asyncio.CancelledError:
            self._breaker.abandoned(time.monotonic())
            raise
        except (TimeoutError, Unavailable) as error:
            failure = error if isinstance(error, Unavailable) else Unavailable("timeout")
            if failure.is_up:
                self._breaker.succeeded()
            else:
                self._breaker.failed(time.monotonic())
            raise failure from None
        self._breaker.succeeded()
        return body

    async def _exchange(self, url: httpx.URL) -> bytes:
        request = self._client.http.build_request("GET", url, headers=self._headers)
        try:
            response = await self._client.http.send(request, stream=True)
        except httpx.TimeoutException:
            raise Unavailable("timeout") from None
        except httpx.TransportError:  # no connection, or one that was closed before it answered
            raise Unavailable("connect", passing=True) from None
        try:
            self._check(response)
            return await self._body(response)
        except (httpx.TransportError, zlib.error):
            raise Unavailable("cut-off") from None
        finally:
            await response.aclose()

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status != 200:
            after = _retry_after(response.headers.get("retry-after", ""), self._client.wall_clock)
            if status in _PASSING and after:
                self._not_before = max(self._not_before, time.monotonic() + after)
            raise Unavailable(f"http-{status}", passing=status in _PASSING, is_up=status not in _DOWN)
        if response.headers.get("content-type", "").partition(";")[0].strip().lower() not in _JSON:
            raise Unavailable("not-json", is_up=True)

    async def _body(self, response: httpx.Response) -> bytes:
        inflated = _inflating(response.headers.get("content-encoding", "identity").strip().lower())
        parts, body = response.aiter_raw(), bytearray()
        while part := await _next(parts):
            room = min(MAX_OCTETS - self._octets, HELD_AT_ONCE - self._client.held)
            if room <= 0:  # to the inflater 0 would be no limit
                raise Unavailable("too-large", is_up=True)
            piece = inflated(part, room)
            self._octets += len(piece)
            self._client.held += len(piece)
            body += piece
        return bytes(body)

    def _pause_after(self, failure: Unavailable) -> float:
        """How long to wait for the one retry; raises the failure again where there is none."""
        jitter = self._client.random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)
        pause = max(jitter, self._not_before - time.monotonic())
        if not (failure.passing and self._retries_left and self._fits(pause)):
            raise failure
        self._retries_left -= 1
        return pause

    def _fits(self, wait: float) -> bool:
        """Half of what is left should remain for the answer."""
        return wait <= (self.deadline - time.monotonic()) / 2


async def _until(moment: float) -> None:
    """Of the monotonic clock, and not sooner: timers of the event loop go by whole milliseconds and may be early."""
    while (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(max(left, 0.001))


async def _next(parts: Any) -> bytes:
    async with asyncio.timeout(GAP_SECONDS):
        return await anext(parts, b"")


def _inflating(encoding: str) -> Callable[[bytes, int], bytes]:
    """Part of a body, and how much may come of it at most -> that part inflated."""
    if encoding in ("identity", ""):
        return lambda part, _: part
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    raise Unavailable("not-json", is_up=True)


def _retry_after(stated: str, wall_clock: Callable[[], datetime]) -> float | None:
    """Seconds from now (RFC 9110, 10.2.3); None for a header that is absent or says nothing."""
    if stated.isascii() and stated.isdecimal():
        return float(stated[:9])
    try:
        date = parsedate_to_datetime(stated)
    except ValueError:
        return None
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - wall_clock()).total_seconds())
