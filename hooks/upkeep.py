"""What a worker does beside its calls, so that switches reach it and a criterion that fell silent is noticed."""

import asyncio
from collections.abc import Callable

from hooks.errors import LedgerUnavailable
from hooks.ledger.changes import file_switches
from hooks.ledger.database import Ledger
from hooks.log import log_alarm
from hooks.selftest import SelfTest
from hooks.states import Switch
from hooks.switchboard import LOOK_SECONDS, Switchboard

RETRY_SECONDS = 60.0
"""How long to leave a ledger alone that could not be written to."""


async def follow_switches(board: Switchboard, ledger: Ledger) -> None:
    """Until cancelled: look at the switch file, whether or not calls come in, and keep in the ledger what was new."""
    clock = asyncio.get_running_loop().time
    kept: tuple[Switch, ...] = ()
    again_at = clock()
    while True:
        board.refresh()
        if board.switches != kept and clock() >= again_at:
            switches = board.switches
            if await _file(ledger, switches):
                kept = switches
            else:
                again_at = clock() + RETRY_SECONDS
        await asyncio.sleep(LOOK_SECONDS)


async def _file(ledger: Ledger, switches: tuple[Switch, ...]) -> bool:
    """Whether they are in the ledger now."""
    try:
        await asyncio.to_thread(file_switches, ledger, switches)
    except LedgerUnavailable as error:
        log_alarm("switches-not-filed", reason=error.reason)
        return False
    return True


async def keep_testing(selftest: SelfTest, report: Callable[[str, bool], None]) -> None:
    """Until cancelled: ask one criterion after the other, and tell what came of it."""
    while True:
        await asyncio.sleep(selftest.seconds)
        selftest.step()
        report("self-test", not selftest.failing)
