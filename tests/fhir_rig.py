"""A FHIR server that can go wrong in many ways: a process of its own, real HTTP on loopback.

The base URL says what is wrong: `/<name>/<type>.<fault>/fhir`, where type is a FHIR type or `All` and fault one of
FAULTS; `good` is none. The name tells the tests' requests apart in the log that `Rig.requests` reads. Data are the
resources given at the start; a search returns those of the type with the id or of the patient asked for, in pages.
"""

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
_names = count(1)
_JSON = "application/fhir+json"
_OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


class Asked(NamedTuple):
    """A request that the server got. at: seconds of its monotonic clock."""

    target: str
    headers: dict[str, str]
    at: float

    @property
    def kind(self) -> str:
        """What was asked for below the base: `Condition`, or `Patient/p1`."""
        return urlsplit(self.target).path.split("/fhir", 1)[1].strip("/")

    @property
    def params(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


class Rig:
    """The running server. A base of it has a name of its own, and so its own breaker and log."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"

    def base(self, fault: str = "good", kind: str = "All", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/t{next(_names)}/{kind}.{fault}/fhir"

    def requests(self, base: str = "") -> list[Asked]:
        """What was asked so far, below a base; all without one."""
        log = httpx.get(f"{self.origin}/_log", trust_env=False, timeout=PATIENCE).json()
        return [Asked(*each) for each in log if each[0].startswith(urlsplit(base).path)]


@contextmanager
def fhir_server(folder: Path, *resources: Mapping[str, Any], delay: float = 0.0) -> Iterator[Rig]:
    """A server with these resources; each answer takes `delay` seconds."""
    data = folder / "fhir-data.json"
    data.write_text(json.dumps(resources), "utf-8")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        listener.set_inheritable(True)
        port, handle = listener.getsockname()[1], listener.fileno()
        arguments = [sys.executable, "-m", "tests.fhir_rig", str(handle), str(data), str(delay)]
        process = subprocess.Popen(arguments, pass_fds=[handle], cwd=ROOT)
    try:
        yield Rig(port)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


class Request(NamedTuple):
    """One request as a fault sees it. base: origin and path up to /fhir; arguments: of the query."""

    base: str
    kind: str
    arguments: dict[str, str]
    body: bytes
    write: asyncio.StreamWriter


Fault = Callable[[Request], Awaitable[None]]


def _answer(body: bytes, status: str = "200 OK", kind: str = _JSON, **headers: str) -> bytes:
    head = {"Content-Type": kind, "Content-Length": str(len(body)), "Set-Cookie": "sid=1; Path=/"}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def _sends(make: Callable[[Request], bytes]) -> Fault:
    async def send(request: Request) -> None:
        request.write.write(make(request))

    return send


def _status(code: int, **headers: Any) -> Fault:
    def make(request: Request) -> bytes:
        made = {name: value() if callable(value) else value for name, value in headers.items()}
        return _answer(json.dumps(_OUTCOME).encode(), f"{code} Fault", **made)

    return _sends(make)


def _redirect(code: int, to: str = "{base}/Elsewhere") -> Fault:
    return _sends(lambda request: _answer(b"", f"{code} Moved", Location=to.format(base=request.base)))


def _bundle(*links: str, entries: Any = (), **members: Any) -> bytes:
    made = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in entries]}
    return json.dumps(made | {"link": [{"relation": "next", "url": link} for link in links]} | members).encode()


def _page(link: Callable[[Request], str]) -> Fault:
    """Each page says that there is another."""
    return _sends(lambda request: _answer(_bundle(link(request))))


async def _hang(request: Request) -> None:
    await asyncio.sleep(300)


async def _slow(request: Request) -> None:
    await asyncio.sleep(4)
    request.write.write(_answer(request.body))


async def _drip(request: Request) -> None:
    whole = _answer(request.body)
    for position in range(len(whole)):
        request.write.write(whole[position : position + 1])
        await request.write.drain()
        await asyncio.sleep(1.0 if position % 2 else 0.3)


async def _stall(request: Request) -> None:
    """Half of the answer, and then silence."""
    whole = _answer(request.body)
    request.write.write(whole[: len(whole) // 2])
    await request.write.drain()
    await asyncio.sleep(300)


async def _reset(request: Request) -> None:
    request.write.transport.abort()


async def _cut_off(request: Request) -> None:
    """All of the answer but its last octets, and then the connection is closed."""
    request.write.write(_answer(request.body)[:-2])
    request.write.close()


async def _endless_body(request: Request) -> None:
    """A gibibyte that is announced and never ends."""
    request.write.write(f"HTTP/1.1 200 OK\r\nContent-Type: {_JSON}\r\nContent-Length: {2**30}\r\n\r\n[".encode())
    while True:
        request.write.write(b" " * 65536)
        await request.write.drain()


def _many(number: int) -> Fault:
    entries = [{"resourceType": "Basic", "id": str(each)} for each in range(number)]
    return _sends(lambda request: _answer(_bundle(entries=entries)))


def _foreign(to: str) -> Fault:
    """The first page, with a link to the next that lies elsewhere."""

    def make(request: Request) -> bytes:
        page = json.loads(request.body)
        page["link"] = [{"relation": "next", "url": to.format(base=request.base, port=urlsplit(request.base).port)}]
        return _answer(json.dumps(page).encode())

    return _sends(make)


@cache
def _bomb() -> bytes:
    return gzip.compress(b'{"resourceType":"Bundle","x":"' + b" " * (200 * 2**20) + b'"}', compresslevel=1)


def _there_and_back(request: Request) -> str:
    return f"{request.base}/{request.kind}?p=" + ("b" if request.arguments.get("p") == "a" else "a")


_failed: Counter[str] = Counter()
MENDED = 5
"""Requests after which a base with the fault "mends" is well."""


async def _mends(request: Request) -> None:
    """Fails five times, as often as opens a breaker, and then no more."""
    _failed[request.base] += 1
    await FAULTS["503" if _failed[request.base] <= MENDED else "good"](request)


FAULTS: dict[str, Fault] = {
    "mends": _mends,
    "good": _sends(lambda request: _answer(request.body)),
    "gzip": _sends(lambda request: _answer(gzip.compress(request.body), Content_Encoding="gzip")),
    "hang": _hang,
    "slow": _slow,
    "drip": _drip,
    "stall": _stall,
    "reset": _reset,
    "400": _status(400),
    "401": _status(401),
    "403": _status(403),
    "404": _status(404),
    "410": _status(410),
    "414": _status(414),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "429": _status(429),
    "429-1": _status(429, Retry_After="1"),
    "429-60": _status(429, Retry_After="60"),
    "503-3600": _status(503, Retry_After="3600"),
    "503-date": _status(503, Retry_After=lambda: formatdate(time.time() + 1.6, usegmt=True)),
    "503-past": _status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "503-garbage": _status(503, Retry_After="soon"),
    "301": _redirect(301),
    "302": _redirect(302),
    "307": _redirect(307),
    "308": _redirect(308),
    "html": _sends(lambda request: _answer(b"<html><body>Sign in</body></html>", kind="text/html")),
    "html-type": _sends(lambda request: _answer(request.body, kind="text/html")),
    "truncated": _sends(lambda request: _answer(request.body[: len(request.body) // 2])),
    "cut-off": _cut_off,
    "not-utf-8": _sends(lambda request: _answer(request.body.replace(b"searchset", b"\xff\xfe"))),
    "half-pair": _sends(
        lambda request: _answer(request.body.replace(b'{"resourceType"', b'{"x": "\\ud800", "resourceType"'))
    ),
    "empty": _sends(lambda request: _answer(b"")),
    "null": _sends(lambda request: _answer(b"null")),
    "outcome": _sends(lambda request: _answer(json.dumps(_OUTCOME).encode())),
    "outcome-entry": _sends(lambda request: _answer(_bundle(entries=[_OUTCOME]))),
    "other-type": _sends(lambda request: _answer(b'{"resourceType":"Basic","id":"p1"}')),
    "other-id": _sends(lambda request: _answer(request.body.replace(b'"id": "', b'"id": "x'))),
    "collection": _sends(lambda request: _answer(_bundle(type="collection"))),
    "deep": _sends(lambda request: _answer(b'{"resourceType":"Bundle","x":' + b"[" * 150 + b"]" * 150 + b"}")),
    "short": _sends(lambda request: _answer(_bundle(total=3))),
    "bomb": _sends(lambda request: _answer(_bomb(), Content_Encoding="gzip")),
    "not-gzip": _sends(lambda request: _answer(request.body, Content_Encoding="gzip")),
    "brotli": _sends(lambda request: _answer(request.body, Content_Encoding="br")),
    "gibibyte": _endless_body,
    "loop-self": _page(lambda request: f"{request.base}/{request.kind}"),
    "loop-ab": _page(_there_and_back),
    "growing": _page(lambda request: request.base.replace("/t", ":80/t", 1) + f"/{request.kind}?x=1"),
    "endless": _page(lambda request: f"{request.base}/{request.kind}?p={int(request.arguments.get('p', '0')) + 1}"),
    "many": _many(10_000),
    "next-host": _foreign("http://localhost:{port}/elsewhere/All.good/fhir/Next"),
    "next-path": _foreign("http://127.0.0.1:{port}/elsewhere/All.good/fhir/Next"),
    "next-dots": _foreign("{base}/../../../elsewhere/All.good/fhir/Next"),
    "next-https": _foreign("https://127.0.0.1:{port}/elsewhere/All.good/fhir/Next"),
    "next-user": _foreign("http://u:p@127.0.0.1:{port}/elsewhere/All.good/fhir/Next"),
    "next-bad": _foreign("http://[::"),
    "next-empty": _foreign(""),
}

HARMLESS = {"good", "gzip", "mends"} | {fault for fault in FAULTS if fault.startswith("next-")} | {"not-utf-8"}
"""Faults that leave something, the Patient at least, when everything has them."""


class _Server:
    """The process. Pages hold `_count` entries at most, and never more than 250."""

    def __init__(self, resources: list[dict[str, Any]], delay: float) -> None:
        self._resources = resources
        self._delay = delay
        self._log: list[tuple[str, dict[str, str], float]] = []

    async def serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listener, limit=2**20)
        async with server:
            await server.serve_forever()

    async def _connected(self, read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await read.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                target = head[0].split(" ")[1]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                if target == "/_log":
                    write.write(_answer(json.dumps(self._log).encode()))
                else:
                    self._log.append((target, headers, time.monotonic()))
                    await asyncio.sleep(self._delay)
                    await self._respond(target, headers, write)
                await write.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            write.close()

    async def _respond(self, target: str, headers: Mapping[str, str], write: asyncio.StreamWriter) -> None:
        url = urlsplit(target)
        way = url.path.split("/")
        if len(way) < 5:
            write.write(_answer(b"", "404 Not Found"))
            return
        where, _, fault = way[2].partition(".")
        arguments = {name: values[0] for name, values in parse_qs(url.query).items()}
        base = f"http://{headers['host']}" + "/".join(way[:4])
        body = self._body(base, way[4:], arguments)
        kind = "/".join(way[4:])
        is_hit = where in ("All", way[4]) and body is not None
        request = Request(base, kind, arguments, body or b"", write)
        if body is None:
            await _status(404)(request)
        else:
            await FAULTS[fault if is_hit else "good"](request)

    def _body(self, base: str, way: list[str], arguments: dict[str, str]) -> bytes | None:
        kind, *rest = way
        if rest:
            found = [each for each in self._resources if (each["resourceType"], each.get("id")) == (kind, rest[0])]
            return json.dumps(found[0]).encode() if found else None
        matches = [each for each in self._resources if each["resourceType"] == kind and _matches(each, arguments)]
        size, offset = min(int(arguments.get("_count", 20)), 250), int(arguments.get("_offset", 0))
        following = base + f"/{kind}?" + urlencode(arguments | {"_offset": str(offset + size)})
        links = [following] if offset + size < len(matches) else []
        return _bundle(*links, entries=matches[offset : offset + size], total=len(matches))


def _matches(resource: Mapping[str, Any], arguments: Mapping[str, str]) -> bool:
    if "_id" in arguments:
        return resource.get("id") in arguments["_id"].split(",")
    subject = resource.get("subject", {}).get("reference", "")
    return subject in ("", f"Patient/{arguments.get('patient')}")


def main(handle: str, data: str, delay: str) -> None:
    with socket.socket(fileno=int(handle)) as listener:
        listener.setblocking(False)
        resources = json.loads(Path(data).read_text("utf-8"))
        asyncio.run(_Server(resources, float(delay)).serve(listener))


if __name__ == "__main__":
    main(*sys.argv[1:])
