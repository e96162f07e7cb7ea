"""One call after the other, and not too many of them (hooks/turns.py; row 39)."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest

from hooks.turns import EXPECTED_SECONDS, IN_FLIGHT, STANDING, WAIT_SECONDS, WAITING, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_first_come_first_served_and_something_else_between():
    order: list[str] = []

    async def call(turns: Turns, name: str) -> None:
        async with turns:
            order.append(name)

    async def scene() -> None:
        turns, loop = Turns(), asyncio.get_running_loop()
        calls = [asyncio.ensure_future(call(turns, name)) for name in "abc"]
        await asyncio.sleep(0)
        loop.call_soon(order.append, "probe")
        await asyncio.gather(*calls)
        await asyncio.sleep(0)
        assert turns.waiting == 0

    asyncio.run(scene())
    assert order == ["a", "probe", "b", "c"]


def test_eight_and_sixteen_and_no_more():
    async def scene() -> None:
        turns = Turns()
        async with turns:
            waiting = []
            while not turns.are_taken:
                waiting.append(asyncio.ensure_future(turns.__aenter__()))
                await asyncio.sleep(0)
            assert turns.waiting == len(waiting) + 1 == IN_FLIGHT + WAITING
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scene())


def test_only_a_burst_may_fill_the_whole_queue():
    """More come than go: once a full house was served fewer are let in, until there was time to take breath."""
    full = IN_FLIGHT + WAITING

    async def flood(turns: Turns, calls: int) -> list[int]:
        """How many there were at each turn, when as many came meanwhile as were let in."""
        tasks: list[asyncio.Task] = []
        there: list[int] = []

        async def call() -> None:
            async with turns:
                while len(tasks) < calls and not turns.are_taken:
                    tasks.append(asyncio.ensure_future(call()))
                    await asyncio.sleep(0)
                there.append(turns.waiting)

        await call()
        while len(there) <= calls:
            await asyncio.sleep(0)
        return there

    async def scene() -> tuple[list[int], list[int]]:
        turns = Turns(Clock())
        return await flood(turns, 4 * full), await flood(turns, full)

    long, after = asyncio.run(scene())
    assert long[:full] == [full] * full
    assert long[2 * full : 3 * full] == [STANDING] * full
    assert max(after) == full


@pytest.mark.parametrize(("seconds", "taken"), [(WAIT_SECONDS * 0.9, False), (WAIT_SECONDS * 1.1, True)])
def test_who_would_wait_too_long_by_what_calls_took_lately_is_told_so(seconds: float, taken: bool):
    """One call more than may be in flight; each took `seconds`."""

    async def scene() -> bool:
        clock = Clock()
        turns = Turns(clock)
        for _ in range(100):
            async with turns:
                clock.now += seconds
            await asyncio.sleep(0)
        async with turns:
            waiting = [asyncio.ensure_future(turns.__aenter__()) for _ in range(IN_FLIGHT)]
            await asyncio.sleep(0)
            is_taken = turns.are_taken
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return is_taken

    assert asyncio.run(scene()) is taken


@pytest.mark.parametrize("already_given", [True, False], ids=["its turn was just given to it", "it still waits"])
def test_who_goes_away_keeps_nobody_waiting(already_given: bool):
    async def scene() -> list[str]:
        turns, served = Turns(), []

        async def call(name: str) -> None:
            async with turns:
                served.append(name)

        async with turns:
            calls = [asyncio.ensure_future(call(name)) for name in "ab"]
            await asyncio.sleep(0)
            if not already_given:
                calls[0].cancel()
        if already_given:
            await asyncio.sleep(0)  # the turn has been given to "a", which does not know it yet
            calls[0].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0)
        assert turns.waiting == 0
        return served

    assert asyncio.run(scene()) == ["b"]


@pytest.mark.parametrize(
    ("here", "seconds_ago", "promised"),
    [(IN_FLIGHT, 0.0, True), (IN_FLIGHT - 1, 0.0, False), (IN_FLIGHT, EXPECTED_SECONDS, False)],
    ids=["a full house", "room for more", "they take their time"],
)
def test_who_is_on_the_way_takes_a_place_for_a_moment_of_a_full_house(here: int, seconds_ago: float, promised: bool):
    async def scene() -> tuple[bool, bool]:
        now = Clock()
        turns = Turns(Clock(), now)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(turns)
            waiting = [asyncio.ensure_future(turns.__aenter__()) for _ in range(here - 1)]
            await asyncio.sleep(0)
            with ExitStack() as arrivals:
                for _ in range(IN_FLIGHT + WAITING):
                    arrivals.enter_context(turns.expected())
                now.now += seconds_ago
                during = turns.are_promised
            after = turns.are_promised
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return during, after

    assert asyncio.run(scene()) == (promised, False)
