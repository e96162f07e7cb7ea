"""Bodies of refused calls are let through, and neither kept nor waited for (hooks/leftovers.py; row 39)."""

import asyncio
import weakref
from collections.abc import Callable, Coroutine

import pytest

from hooks import leftovers
from hooks.leftovers import Leftovers
from tests.patience import PATIENCE

LONG = 3600.0


def run(scene: Callable[[], Coroutine]) -> None:
    asyncio.run(asyncio.wait_for(scene(), PATIENCE))


class Body:
    """What a client sends when it likes; it is held by whoever asked for it, and by nobody else."""

    def __call__(self) -> asyncio.Future[bytes]:
        future = asyncio.get_running_loop().create_future()
        self._future = weakref.ref(future)
        return future

    @property
    def future(self) -> asyncio.Future[bytes]:
        held = self._future()
        assert held is not None
        return held

    @property
    def is_held(self) -> bool:
        return self._future() is not None


def test_of_many_that_came_few_are_held():
    async def scene() -> None:
        held = Leftovers(LONG)
        slow, quick = [Body() for _ in range(5)], [Body() for _ in range(100)]
        for each in slow:
            held.take(each)
        for each in quick:
            held.take(each)
            each.future.set_result(b"x")
        assert not any(each.future.done() for each in slow)
        assert sum(each.is_held for each in quick) <= len(slow)

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
        while came.is_held or failed.is_held:
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
        future = slow.future
        assert not future.done()
        await asyncio.wait([future])
        assert future.cancelled()
        del future
        assert not slow.is_held
        watching.cancel()

    run(scene)
