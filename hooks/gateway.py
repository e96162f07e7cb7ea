"""Between the server's event loop and the WSGI application (reliability.md, section 2 and rows 2 and 3).

Bodies are received by the event loop, so that two hundred clients that drip a byte a second keep nobody waiting.
The application is called once a body is complete, or at once with an input that fails when it may not be received;
so its errors look alike, whoever found them.
"""

import asyncio
import io
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, RequestTimeout, ServiceUnavailable

from hooks.auth import ADMISSION, NOBODY, Admission
from hooks.errand import ERRAND, Errand
from hooks.fetch import Fetcher
from hooks.gate import Gate
from hooks.log import ISSUER

RECEIVE_SECONDS = 10.0
RECEIVED_AT_ONCE = 64 * 1024 * 1024
"""Bytes of unfinished bodies that one worker holds; more are refused until some are done."""

RECEIVED_WHOLE = 256 * 1024
"""Octets of a declared body that is taken in one piece: most calls, and twice as quick as chunk by chunk."""
WAITING_AT_ONCE = 24
"""Complete calls that one worker lets wait for their turn; what comes beyond is told to come again (row 39)."""

Answer = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body

_BODILESS = frozenset(("GET", "HEAD", "OPTIONS"))
_UNREAD = ("Connection", "close")  # what was not received stands in the way of the next request on the connection
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
    fetcher: who gets what a call lacks, if anybody does."""

    def __init__(
        self,
        app: Callable,
        max_body: int,
        receive_seconds: float = RECEIVE_SECONDS,
        gate: Gate | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._app = app
        self._max_body = max_body
        self._receive_seconds = receive_seconds
        self._gate = gate
        self._fetcher = fetcher
        self.held = 0
        self.waiting = 0

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            return
        admission = await self._admitted(scope)
        unheard = scope.method in _BODILESS or not (self._gate is None or self._gate.listens_to(admission))
        body = b"" if unheard else await self._in_turn(await self._receive(scope, protocol))
        environ = {**_environ(scope, body), ADMISSION: admission, ISSUER: admission.issuer}
        status, headers, content = await self._answered(environ)
        if isinstance(body, Refused) or (unheard and scope.method not in _BODILESS):
            headers = [*headers, _UNREAD]
        protocol.response_bytes(status, headers, content)

    async def _answered(self, environ: dict[str, Any]) -> Answer:
        """Of a call that lacks something the first answer says only that: it counts again when the errand was run."""
        if self._fetcher is None:
            return self._called(environ)
        errand = environ[ERRAND] = Errand()
        answer = self._called(environ)
        if not errand.lacking:
            return answer
        self.held += len(errand.body)
        try:
            await self._fetcher.run(errand)
        finally:
            self.held -= len(errand.body)
        return self._called(environ)

    async def _in_turn(self, body: bytes | Refused) -> bytes | Refused:
        """The body, once what came in meanwhile has been counted; too many waiting refuse the rest at once.

        Calls are answered one after the other, so that without this a burst would wait as long as it is.
        """
        if self.waiting >= WAITING_AT_ONCE:
            return Refused(ServiceUnavailable(retry_after=1))
        self.waiting += 1
        try:
            await asyncio.sleep(0)
        finally:
            self.waiting -= 1
        return body

    async def _admitted(self, scope: Any) -> Admission:
        if self._gate is None:
            return NOBODY
        return await self._gate.admit(scope.path, scope.headers.get_all("authorization"))

    async def _receive(self, scope: Any, protocol: Any) -> bytes | Refused:
        declared = scope.headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else None
        if size is not None and size > self._max_body:
            return Refused(RequestEntityTooLarge())
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._receive_seconds):
                if size is not None and size <= RECEIVED_WHOLE:
                    return await protocol()
                return await self._received(chunks, protocol)
        except TimeoutError:
            return Refused(RequestTimeout())
        finally:
            self.held -= sum(map(len, chunks))

    async def _received(self, chunks: list[bytes], protocol: Any) -> bytes | Refused:
        size = 0
        async for chunk in protocol:
            chunks.append(chunk)
            size += len(chunk)
            self.held += len(chunk)
            if size > self._max_body:
                return Refused(RequestEntityTooLarge())
            if self.held > RECEIVED_AT_ONCE:
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
