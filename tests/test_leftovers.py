"""Bodies of refused calls are let through, and neither kept nor waited for (hooks/leftovers.py; row 39)."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from hooks import leftovers
from hooks.leftovers import Leftovers
from tests.patience import PATIENCE

LONG = 3600.0


def run(scene: Callable[[], Coroutine]) -> None:
    asyncio.run(asyncio.wait_for(scene(), PATIENCE))


class Body:
    """What a client sends when it likes."""

    def __init__(self) -> None:
        self.future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def __call__(self) -> asyncio.Future[bytes]:
        return self.future


def test_of_many_that_came_few_are_held():
    async def scene() -> None:
        held = Leftovers(LONG)
        slow = [Body() for _ in range(5)]
        for each in slow:
            held.take(each)
        for _ in range(100):
            body = Body()
            held.take(body)
            body.future.set_result(b"x")
        assert len(held) <= 2 * len(slow)
        assert not any(each.future.done() for each in slow)

    run(scene)


def test_the_last_ones_are_let_go_without_another_call(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leftovers, "_PAUSE_SECONDS", 0.001)

    async def scene() -> None:
        held, came, failed = Leftovers(LONG), Body(), Body()
        watching = asyncio.ensure_future(held.watch())
        held.take(came)
        held.take(failed)
        came.future.set_result(b"x")
        failed.future.set_exception(OSError())
        failed.future.exception()
        while len(held):
            await asyncio.sleep(0.001)
        watching.cancel()

    run(scene)


def test_one_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leftovers, "_PAUSE_SECONDS", 0.001)

    async def scene() -> None:
        held, slow = Leftovers(0.01), Body()
        watching = asyncio.ensure_future(held.watch())
        held.take(slow)
        await asyncio.sleep(0)
        assert not slow.future.done()
        await asyncio.wait([slow.future])
        assert slow.future.cancelled()
        assert len(held) == 0
        watching.cancel()

    run(scene)
