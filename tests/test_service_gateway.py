"""Receiving bodies on the event loop: what is complete is passed on, what may not be received is refused (row 3)."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from hooks import gateway
from hooks.errand import ERRAND
from hooks.gateway import Gateway
from hooks.turns import IN_FLIGHT, WAITING, Turns
from tests.patience import PATIENCE

MOST = IN_FLIGHT + WAITING
"""Calls that a worker takes at once."""


class Call:
    """A client that sends chunks, and then goes on being silent if it `stalls`; it keeps what it was answered."""

    def __init__(self, *chunks: bytes, stalls: bool = False, method: str = "POST", **headers: str) -> None:
        self.chunks, self.stalls, self.taken = chunks, stalls, 0
        self.scope = SimpleNamespace(
            proto="http",
            method=method,
            path="/a%20b/%C3%A9",
            query_string="x=1",
            scheme="http",
            server="127.0.0.1:8080",
            http_version="1.1",
            client="10.0.0.9:1234",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        self.answer: Any = None
        self.is_whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            yield chunk
        if self.stalls:
            await asyncio.Event().wait()

    def __call__(self) -> asyncio.Future[bytes]:
        self.is_whole = True
        return asyncio.ensure_future(self._whole())

    async def _whole(self) -> bytes:
        return b"".join([chunk async for chunk in self])

    async def client_disconnect(self) -> None:
        await asyncio.Event().wait()

    def response_bytes(self, status: int, headers: list, body: bytes) -> None:
        self.answer = status, headers, body


class Application:
    """A WSGI application that echoes the body, or reports the status of why it may not read it."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environ = environ
        try:
            body = environ["wsgi.input"].read()
        except gateway.HTTPException as refused:
            start_response(f"{refused.code} Refused", [])
            return [b""]
        start_response("200 OK", [("X-Test", "1")])
        return [body[:1], body[1:]]


def served(*calls: Call, limit: int = 100, seconds: float = 30.0) -> tuple[Gateway, Application]:
    application = Application()
    made = Gateway(application, limit, seconds)

    async def serve() -> None:
        await asyncio.gather(*(made.__rsgi__(each.scope, each) for each in calls))

    asyncio.run(serve())
    return made, application


def test_a_complete_body_is_passed_on():
    call = Call(b"ab", b"", b"cd", content_type="application/json", x_other="y", content_length="4")
    _, application = served(call)
    assert call.answer == (200, [("X-Test", "1")], b"abcd")
    environ = application.environ
    assert environ["CONTENT_LENGTH"] == "4"
    assert environ["CONTENT_TYPE"] == "application/json"
    assert environ["HTTP_X_OTHER"] == "y"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert (environ["QUERY_STRING"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("x=1", "127.0.0.1", "8080")
    assert environ["REMOTE_ADDR"] == "10.0.0.9"


def test_the_body_is_handed_over_as_it_came():
    """Reading it from the input again would copy a large one several times."""
    body, application = b"x" * 90, Application()
    made, call = Gateway(application, 100, fetcher=Mock()), Call(body, content_length="90")
    asyncio.run(made.__rsgi__(call.scope, call))
    assert application.environ[ERRAND].body == body


def test_a_get_is_not_waited_for():
    call = Call(stalls=True, method="GET")
    served(call)
    assert call.answer[0] == 200


def test_a_body_that_does_not_come_is_408():
    call = Call(b"{", stalls=True)
    made, _ = served(call, seconds=0.01)
    assert call.answer[0] == 408
    assert made.held == 0


@pytest.mark.parametrize(("length", "status"), [("100", 200), ("101", 413), ("9" * 30, 413)])
def test_a_declared_length_beyond_the_limit_is_413_unread(length: str, status: int):
    call = Call(b"x", content_length=length)
    served(call)
    assert call.answer[0] == status
    assert call.taken == (1 if status == 200 else 0)


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
def test_chunks_beyond_the_limit_are_413(size: int, status: int):
    call = Call(*[b"x"] * size, b"" if size == 100 else b"never taken")
    made, _ = served(call)
    assert call.answer[0] == status
    assert call.taken == 101
    assert made.held == 0


def test_a_worker_holds_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "RECEIVED_AT_ONCE", 150)
    waiting, refused = Call(b"x" * 90, stalls=True), Call(b"x" * 90)
    made, _ = served(waiting, refused, seconds=0.05)
    assert (waiting.answer[0], refused.answer[0]) == (408, 503)
    assert gateway._CLOSE in waiting.answer[1]
    assert made.held == 0


def test_large_bodies_are_taken_in_one_piece_while_no_more_than_so_much_may_come(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "RECEIVED_WHOLE", 10)
    monkeypatch.setattr(gateway, "PROMISED_AT_ONCE", 150)
    stalled = Call(b"x" * 80, stalls=True, content_length="90")
    beside, small, later = (Call(b"y" * size, content_length=str(size)) for size in (90, 10, 90))
    made = Gateway(Application(), 100, 0.05)

    async def serve() -> None:
        await asyncio.gather(*(made.__rsgi__(each.scope, each) for each in (stalled, beside, small)))
        await made.__rsgi__(later.scope, later)

    asyncio.run(serve())
    assert [call.is_whole for call in (stalled, beside, small, later)] == [True, False, True, True]
    assert [call.answer[0] for call in (stalled, beside, small, later)] == [408, 200, 200, 200]


def test_more_calls_at_once_than_may_wait_are_told_to_come_again():
    calls = [Call(b"ab") for _ in range(MOST + 6)]
    made, _ = served(*calls)
    statuses = [call.answer[0] for call in calls]
    assert (statuses.count(200), statuses.count(503)) == (MOST, 6)
    assert made.turns.waiting == 0


class Looks(Turns):
    """They are taken, or not, each time that somebody looks."""

    def __init__(self, *are_taken: bool) -> None:
        super().__init__()
        self._looks = iter(are_taken)

    @property
    def are_taken(self) -> bool:
        return next(self._looks)


def test_of_a_call_too_many_nobody_looks_at_the_token():
    call, gate = Call(b"ab", content_length="2"), Mock()
    made = Gateway(Application(), 100, gate=gate)
    made.turns = Looks(True)
    asyncio.run(made.__rsgi__(call.scope, call))
    assert call.answer[0] == 503
    assert call.is_whole
    assert not gate.mock_calls


def test_a_refusal_does_not_wait_for_the_body():
    """Which is taken all the same, so that the connection is good for the next call."""
    call = Call(b"a", stalls=True, content_length="2")
    made = Gateway(Application(), 100)
    made.turns = Looks(True)
    asyncio.run(made.__rsgi__(call.scope, call))
    assert call.answer[0] == 503
    assert call.is_whole
    assert gateway._CLOSE not in call.answer[1]


@pytest.mark.parametrize("headers", [{}, {"content_length": str(gateway.RECEIVED_WHOLE + 1)}], ids=["unknown", "large"])
def test_of_a_call_too_many_a_body_that_may_be_large_is_not_taken(headers: dict[str, str]):
    call = Call(b"ab", **headers)
    made = Gateway(Application(), 100)
    made.turns = Looks(True)
    asyncio.run(made.__rsgi__(call.scope, call))
    assert call.answer[0] == 503
    assert not call.is_whole
    assert gateway._CLOSE in call.answer[1]


def test_a_server_that_stops_takes_the_body_of_a_call_too_many_and_closes():
    call = Call(b"ab", content_length="2")
    made = Gateway(Application(), 100, is_draining=lambda: True)
    made.turns = Looks(True)
    asyncio.run(made.__rsgi__(call.scope, call))
    assert gateway._CLOSE in call.answer[1]
    assert call.is_whole


def test_calls_whose_bodies_are_on_their_way_take_places_of_a_full_house():
    """Else one place that becomes free brings in all who ask just then, to be refused once their bodies are here."""
    here = [Call(b"ab", content_length="2") for _ in range(IN_FLIGHT)]
    under_way = [Call(b"a", stalls=True, content_length="2") for _ in range(WAITING)]
    late = Call(b"ab", content_length="2")
    made = Gateway(Application(), 100, 0.5)
    made.turns = Turns(now=lambda: 0.0)

    async def serve() -> None:
        async with made.turns:  # somebody else's, so that the others wait
            calls = [asyncio.ensure_future(made.__rsgi__(each.scope, each)) for each in here[1:] + under_way]
            while made.turns.waiting < IN_FLIGHT:
                await asyncio.sleep(0)
            await made.__rsgi__(here[0].scope, here[0])
        await asyncio.gather(*calls)
        await made.__rsgi__(late.scope, late)

    asyncio.run(asyncio.wait_for(serve(), PATIENCE))
    assert here[0].answer[0] == 503
    assert {each.answer[0] for each in here[1:]} == {200}
    assert {each.answer[0] for each in under_way} == {408}
    assert late.answer[0] == 200


def test_a_body_of_a_call_too_many_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hooks.leftovers._PAUSE_SECONDS", 0.001)
    taken: list[asyncio.Future] = []

    class Slow(Call):
        def __call__(self) -> asyncio.Future[bytes]:
            taken.append(super().__call__())
            return taken[0]

    loop, call = asyncio.new_event_loop(), Slow(b"a", stalls=True, content_length="2")
    made = Gateway(Application(), 100, 0.01)
    made.turns = Looks(True)
    made.__rsgi_init__(loop)
    loop.run_until_complete(made.__rsgi__(call.scope, call))
    loop.run_until_complete(asyncio.wait(taken, timeout=PATIENCE))
    made.__rsgi_del__(loop)
    loop.close()
    assert taken[0].cancelled()


def test_the_gate_is_closed_at_the_end():
    gate, loop = Mock(), asyncio.new_event_loop()
    made = Gateway(Application(), 100, gate=gate)
    made.__rsgi_init__(loop)
    made.__rsgi_del__(loop)
    loop.close()
    gate.close.assert_called_once_with()


def test_a_call_that_found_room_until_its_body_came_is_one_too_many():
    call, application = Call(b"ab"), Application()
    made = Gateway(application, 100)
    made.turns = Looks(False, True)
    asyncio.run(made.__rsgi__(call.scope, call))
    assert call.answer[0] == 503
    assert application.environ == {}


def test_probes_do_not_wait_behind_calls():
    calls = [Call(b"ab") for _ in range(MOST + 1)]
    probe = Call(method="GET")
    served(*calls, probe)
    assert probe.answer[0] == 200


class DeafGate:
    """Listens to nobody."""

    async def admit(self, path: str, authorizations: Any) -> gateway.Admission:
        return gateway.NOBODY

    def listens_to(self, admission: gateway.Admission) -> bool:
        return False


@pytest.mark.parametrize(("method", "closes"), [("POST", True), ("GET", False)])
def test_a_connection_with_an_unread_body_is_not_used_again(method: str, closes: bool):
    """A client that reused it would lose its next call."""
    call = Call(b"ab", method=method)
    call.scope.headers = SimpleNamespace(get_all=lambda name: [], items=dict, get=lambda name, default="": default)
    made = Gateway(Application(), 100, gate=DeafGate())
    asyncio.run(made.__rsgi__(call.scope, call))
    assert call.taken == 0
    assert (("Connection", "close") in call.answer[1]) == closes


@pytest.mark.parametrize(("path", "status"), [("/a%20b/%C3%A9", 200), ("/other", 401)])
def test_an_open_path_is_listened_to_without_a_token(path: str, status: int):
    call = Call(b"ab", content_length="2")
    call.scope.headers = Headers(call.scope.headers)
    made = Gateway(Application(), 100, gate=DeafGate(), open_paths=(path,))
    asyncio.run(made.__rsgi__(call.scope, call))
    assert call.answer[0] == status


class Headers(dict):
    def get_all(self, name: str) -> list[str]:
        return [self[name]] if name in self else []
