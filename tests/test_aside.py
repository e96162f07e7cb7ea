"""Pages that need something from elsewhere first: the loop serves others meanwhile, and the view gets what came."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from flask import Flask, request
from werkzeug.exceptions import ServiceUnavailable

from hooks.aside import AT_ONCE, Asides, awaited
from hooks.gateway import Gateway
from tests.test_service_gateway import Call


class Pages:
    """An application with one view, which reads what was sent, waits for `work`, and answers with both."""

    def __init__(self, work: Callable[[], Awaitable[str]]) -> None:
        app = Flask(__name__)
        self.views = 0

        @app.route("/<path:_>", methods=["GET", "POST"])
        def view(_: str) -> str:
            self.views += 1
            sent = request.get_data(as_text=True)
            try:
                return f"{sent}{awaited(work)}"
            except KeyError as error:
                return f"raised {error}"

        self.gateway = Gateway(app, 100)

    def serve(self, *calls: Call, seconds: float = 5.0) -> None:
        async def serve() -> None:
            self.gateway._asides = Asides(seconds)
            await asyncio.gather(*(self.gateway.__rsgi__(each.scope, each) for each in calls))

        asyncio.run(serve())


async def soon() -> str:
    await asyncio.sleep(0)
    return "done"


@pytest.mark.parametrize(("call", "body"), [(Call(method="GET"), b"done"), (Call(b"a=1"), b"a=1done")])
def test_a_view_gets_the_result_and_the_body_once_more(call: Call, body: bytes):
    pages = Pages(soon)
    pages.serve(call)
    assert call.answer[0] == 200
    assert call.answer[2] == body
    assert pages.views == 2


def test_a_view_gets_what_the_work_raises():
    async def fail() -> str:
        raise KeyError("what")

    call = Call(method="GET")
    Pages(fail).serve(call)
    assert call.answer[2] == b"raised 'what'"


def test_others_are_served_meanwhile():
    """Each waits for the other: one at a time they would never end."""
    met = asyncio.Barrier(2)

    async def meet() -> str:
        await met.wait()
        return "met"

    calls = Call(method="GET"), Call(method="GET")
    Pages(meet).serve(*calls)
    assert [each.answer[2] for each in calls] == [b"met", b"met"]


def test_nobody_waits_for_ever():
    async def never() -> str:
        return await asyncio.Event().wait()

    call = Call(method="GET")
    Pages(never).serve(call, seconds=0.01)
    assert call.answer[0] == 500, "a view that does not expect it"


def test_more_than_may_wait_are_told_to_come_again():
    asked = 0

    async def all_of_them() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        return "done"

    calls = [Call(method="GET") for _ in range(AT_ONCE + 3)]
    Pages(all_of_them).serve(*calls)
    statuses = sorted(each.answer[0] for each in calls)
    assert statuses == [200] * AT_ONCE + [503] * 3
    assert asked == AT_ONCE


def test_without_a_loop_there_is_no_such_page():
    with Flask(__name__).test_request_context("/"), pytest.raises(ServiceUnavailable):
        awaited(soon)
