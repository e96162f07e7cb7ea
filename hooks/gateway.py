"""Between the server's event loop and the WSGI application (reliability.md, section 2 and rows 2, 3, 39, 42).

Bodies are received by the event loop, so that two hundred clients that drip a byte a second keep nobody waiting.
The application is called once a body is complete and its turn has come, or at once with an input that fails when it may
not be received; so its errors look alike, whoever found them.
"""

import asyncio
import io
import sys
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.exceptions import (
    HTTPException,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    Unauthorized,
)

from hooks.aside import ASIDE, Aside, Asides
from hooks.auth import ADMISSION, NOBODY, Admission
from hooks.clerk import FILING, Clerk, Filing
from hooks.errand import ERRAND, Errand
from hooks.fetch import Fetcher
from hooks.gate import Gate
from hooks.leftovers import Leftovers
from hooks.log import ISSUER, flush_log
from hooks.tracing import describe, span
from hooks.turns import Turns

RECEIVE_SECONDS = 10.0
RECEIVED_AT_ONCE = 64 * 1024 * 1024
"""Bytes of unfinished bodies that one worker holds; more are refused until some are done."""

RECEIVED_WHOLE = 256 * 1024
"""Octets of a declared body that is always taken in one piece: most calls, and twice as quick as chunk by chunk."""
PROMISED_AT_ONCE = 32 * 1024 * 1024
"""Octets of declared bodies up to which larger ones are taken in one piece too; what is only declared holds no memory,
but may come at any moment."""

Answer = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body

_BODILESS = frozenset(("GET", "HEAD", "OPTIONS"))
_CLOSE = ("Connection", "close")
_BASE = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


class Refused(io.RawIOBase):
    """The input of a request whose body is not taken: reading it raises why."""

    def __init__(self, why: HTTPException) -> None:
        super().__init__()
        self._why = why

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise self._why


class Gateway:
    """An RSGI application in front of a WSGI one. max_body: octets of a request body; gate: who judges tokens, if any;
    fetcher: who gets what a call lacks, if anybody does; clerk: who keeps the feedback that it brings, if anybody does.

    is_draining: whether clients should go elsewhere with their next call. background: what runs beside the calls, each
    a task of the worker's event loop from its start to its end. open_paths: where anybody may post; open_below:
    what such paths begin with.
    """

    def __init__(
        self,
        app: Callable,
        max_body: int,
        receive_seconds: float = RECEIVE_SECONDS,
        gate: Gate | None = None,
        fetcher: Fetcher | None = None,
        clerk: Clerk | None = None,
        is_draining: Callable[[], bool] = lambda: False,
        background: Sequence[Callable[[], Coroutine]] = (),
        open_paths: Collection[str] = (),
        open_below: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._max_body = max_body
        self._receive_seconds = receive_seconds
        self._gate = gate
        self._fetcher = fetcher
        self._clerk = clerk
        self._is_draining = is_draining
        self._say_busy = getattr(app, "say_busy", say_busy)
        self._leftovers = Leftovers(receive_seconds)
        self._background = (*background, self._leftovers.watch)
        self._open_paths = open_paths
        self._open_below = open_below
        self._asides = Asides()
        self._tasks: list[asyncio.Task] = []
        self.turns = Turns()
        self.held = 0
        self._promised = 0

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._tasks = [loop.create_task(each()) for each in self._background]

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        for task in self._tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        flush_log()
        if self._gate:
            self._gate.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            return
        if self.turns.are_promised and scope.method not in _BODILESS:
            self._turn_away(scope, protocol)
            return
        admission, body = await self._entered(scope, protocol)
        environ = {**_environ(scope, body), ADMISSION: admission, ISSUER: admission.issuer}
        with span("call") as made:
            status, headers, content = await self._with_aside(environ, body, protocol)
            describe(made, status=status)
        if self._is_draining() or isinstance(body, Refused):  # what was not read is in the next request's way
            headers = [*headers, _CLOSE]
        protocol.response_bytes(status, headers, content)

    async def _entered(self, scope: Any, protocol: Any) -> tuple[Admission, bytes | Refused]:
        """Who calls, and the body as far as it is taken."""
        if scope.method in _BODILESS:
            return await self._admitted(scope), b""
        with self.turns.expected():
            admission = await self._admitted(scope)
            is_open = scope.path in self._open_paths or scope.path.startswith(self._open_below)
            is_heard = self._gate is None or self._gate.listens_to(admission) or is_open
            return admission, await self._receive(scope, protocol) if is_heard else Refused(Unauthorized())

    async def _with_aside(self, environ: dict[str, Any], body: bytes | Refused, protocol: Any) -> Answer:
        """A page may need something from elsewhere first: then its first answer says only that."""
        aside = environ[ASIDE] = Aside()
        answer = await self._answered(environ, body, protocol)
        if aside.work is None:
            return answer
        await self._asides.run(aside)
        environ["wsgi.input"].seek(0)
        return await self._called_in_turn(environ)

    async def _answered(self, environ: dict[str, Any], body: bytes | Refused, protocol: Any) -> Answer:
        """The first answer may say only that something is to be fetched or kept: it counts again when that was done.

        Only what has a body waits for its turn: probes and refusals are answered at once.
        """
        if not body or isinstance(body, Refused):
            return self._called(environ)
        if self.turns.are_taken:  # since the body began to come
            return self._say_busy(environ.get("HTTP_ORIGIN"), environ["PATH_INFO"])
        errand, filing = Errand(body=body), Filing()
        environ |= {ERRAND: errand} if self._fetcher else {}
        environ |= {FILING: filing} if self._clerk else {}
        answer = await self._called_in_turn(environ)
        if self._clerk and filing.rows:
            await self._clerk.file(filing)
            return await self._called_in_turn(environ)
        if not (self._fetcher and errand.is_open):
            return answer
        self.held += len(errand.body)
        try:
            await self._run(self._fetcher, errand, protocol)
        finally:
            self.held -= len(errand.body)
        return await self._called_in_turn(environ)

    async def _called_in_turn(self, environ: dict[str, Any]) -> Answer:
        async with self.turns:
            return self._called(environ)

    async def _run(self, fetcher: Fetcher, errand: Errand, protocol: Any) -> None:
        """Fetch, unless the client goes away: nobody would see what that brings."""
        fetching = asyncio.ensure_future(_traced(fetcher, errand))
        leaving = asyncio.ensure_future(protocol.client_disconnect())
        try:
            await asyncio.wait((fetching, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not fetching.done():
                errand.failed = {each.key: "client-gone" for each in errand.lacking}
        finally:
            leaving.cancel()
            fetching.cancel()
            with suppress(asyncio.CancelledError):
                await fetching

    async def _admitted(self, scope: Any) -> Admission:
        if self._gate is None:
            return NOBODY
        return await self._gate.admit(scope.path, scope.headers.get_all("authorization"))

    def _turn_away(self, scope: Any, protocol: Any) -> None:
        """Of one call too many neither the token is used up nor anything is computed: refusing has to be cheap."""
        status, headers, content = self._say_busy(scope.headers.get("origin"), scope.path)
        size = _declared(scope)
        is_taken = size is not None and size <= RECEIVED_WHOLE
        if is_taken:  # who is cut off while sending may never read the answer
            self._leftovers.take(protocol)
        if not is_taken or self._is_draining():
            headers = [*headers, _CLOSE]
        protocol.response_bytes(status, headers, content)

    async def _receive(self, scope: Any, protocol: Any) -> bytes | Refused:
        size = _declared(scope)
        if size is not None and size > self._max_body:
            return Refused(RequestEntityTooLarge())
        promised = size if size is not None and self._has_room(size) else 0
        self._promised += promised
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._receive_seconds):
                return await (protocol() if promised else self._received(chunks, protocol))
        except TimeoutError:
            return Refused(RequestTimeout())
        finally:
            self._promised -= promised
            self.held -= sum(map(len, chunks))

    def _has_room(self, size: int) -> bool:
        return size <= RECEIVED_WHOLE or self._promised + size <= PROMISED_AT_ONCE

    async def _received(self, chunks: list[bytes], protocol: Any) -> bytes | Refused:
        size = 0
        async for chunk in protocol:
            chunks.append(chunk)
            size += len(chunk)
            self.held += len(chunk)
            if size > self._max_body:
                return Refused(RequestEntityTooLarge())
            if self.held + self._promised > RECEIVED_AT_ONCE:
                return Refused(ServiceUnavailable(retry_after=1))
        return b"".join(chunks)

    def _called(self, environ: dict[str, Any]) -> Answer:
        answered: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            answered[:] = int(status[:3]), headers

        content = self._app(environ, start_response)
        try:
            body = b"".join(content)
        finally:
            if hasattr(content, "close"):
                content.close()
        status, headers = answered
        return status, headers, body


async def _traced(fetcher: Fetcher, errand: Errand) -> None:
    with span("fetch"):
        await fetcher.run(errand)


def say_busy(origin: str | None, path: str) -> Answer:
    """503, for an application that has nothing of its own to say."""
    return 503, [("Retry-After", "1")], b""


def _declared(scope: Any) -> int | None:
    """Octets of the body, where it is said."""
    declared = scope.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else None


def _environ(scope: Any, body: bytes | Refused) -> Mapping[str, Any]:
    """The WSGI environment (PEP 3333) of a request."""
    host, _, port = scope.server.rpartition(":")
    environ = {
        **_BASE,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": unquote_to_bytes(scope.path).decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": body if isinstance(body, Refused) else io.BytesIO(body),
    }
    for name, value in scope.headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    if not isinstance(body, Refused):
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
