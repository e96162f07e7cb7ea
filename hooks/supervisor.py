"""The server's own process: it starts workers, replaces those that died or are stuck, and stops them in good order.

granian does most of it. Added here are the pause in which a proxy notices that the server is about to go
(reliability.md, row 42), and the end of workers whose event loop no longer turns (row 44).
"""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from granian import Granian

from hooks.board import Board
from hooks.log import log_alarm, log_event

LOOK_SECONDS = 0.2


class Interrupt(threading.Event):
    """Wakes the main thread when a signal came or a worker died.

    A signal that arrives just before a thread begins to wait for ever does not wake it, and one that arrives while it
    holds the lock of an ordinary event would wait for itself. So it looks again and again.
    """

    def wait(self, timeout: float | None = None) -> bool:
        while not self.is_set():
            time.sleep(LOOK_SECONDS)
        return True


def held_back(start: Callable[[], None]) -> Callable[[], None]:
    """SIGTERM waits while a process is made: the new one would only take note of it, and be killed for that much later.

    It stays so in the new process until that has its own way to end.
    """

    def start_held_back() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    return start_held_back


class Supervisor(Granian):
    """drain_seconds: between SIGTERM and the end of listening; a second signal cuts it short, and so does SIGINT.

    stuck_seconds: how long a worker's loop may stand still. beside: what is started once the workers are, in this
    process: it must not block. tend: what else has to be looked after as often as the workers.
    """

    def __init__(
        self,
        board: Board,
        drain_seconds: float,
        stuck_seconds: float,
        beside: Sequence[Callable[[], None]] = (),
        tend: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._board = board
        self._drain_seconds = drain_seconds
        self._stuck_seconds = stuck_seconds
        self._beside = beside
        self._tend = tend
        self._stops_at = float("inf")
        self.main_loop_interrupt = Interrupt()

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        """Threads start after the first workers: a process is best copied while it has one."""
        super().startup(spawn_target, target_loader)
        for start in self._beside:
            start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _spawn_worker(self, *args: Any, **kwargs: Any) -> Any:
        worker = super()._spawn_worker(*args, **kwargs)
        worker.start = held_back(worker.start)
        return worker

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        is_first = not self._board.is_draining
        self._board.drain()
        if is_first and args[0] == signal.SIGTERM and self._drain_seconds:
            self._stops_at = time.monotonic() + self._drain_seconds
        else:
            super().signal_handler_interrupt(*args, **kwargs)

    def _watch(self) -> None:
        """End the pause when it is over, and workers that are stuck: they are replaced like those that died."""
        while not self.interrupt_signal:
            time.sleep(LOOK_SECONDS)
            if time.monotonic() >= self._stops_at:
                super().signal_handler_interrupt()
            self._tend()
            since = time.monotonic() - self._stuck_seconds
            stuck = {seat.process for seat in self._board.seats() if seat.beat < since}
            for child in multiprocessing.active_children() if stuck else ():
                if child.pid in stuck:
                    log_alarm("worker-stuck", seconds=self._stuck_seconds)
                    child.kill()
                    log_event("worker-ended", process=child.pid)
