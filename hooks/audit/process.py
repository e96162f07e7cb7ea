"""The process that files what the workers keep (reliability.md, rows 37 and 38).

A thread in a worker would take turns with its calls: a call that shares its interpreter with a database takes longer by
several times what filing its row does. The server starts this process, and again should it die; it ends when its
standard input does, which server and workers hold: with the last of them.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from hooks.alarm import Alarm
from hooks.audit.filing import ASIDE, Filer
from hooks.audit.identifiers import Identifiers, load_key
from hooks.audit.spool import FOLDER, waiting
from hooks.errors import LedgerUnavailable
from hooks.ledger.database import open_ledger
from hooks.log import configure_logging, flush_log, log_alarm

FILING_SECONDS = 0.5
"""Between two looks at what there is to file."""
AGAIN_SECONDS = 5.0
"""How soon a process that died is started again: it may die again at once."""
_END_SECONDS = 5.0
_COMMAND = (sys.executable, "-P", "-m", "hooks.audit.process")


class Task(msgspec.Struct):
    """What the process is told, one line of JSON. folder: with key and spool; url: of the ledger, password and all."""

    folder: str
    url: str
    log_level: str


class FilingProcess:
    """The server's side of it. Raises OSError where no process can be had."""

    def __init__(self, task: Task, clock: Callable[[], float] = time.monotonic) -> None:
        self._task = task
        self._clock = clock
        self._start()

    def tend(self) -> None:
        """Start it again where it has died."""
        if self._process.poll() is None or self._clock() - self._started < AGAIN_SECONDS:
            return
        log_alarm("filing-ended", code=self._process.returncode)
        self._lifeline.close()
        with suppress(OSError):  # no process can be had now
            self._start()

    def end(self) -> None:
        """Let it finish what it is at, for a while; what it leaves it has not touched."""
        self._lifeline.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._started = self._clock()
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(_COMMAND, bufsize=0, stdin=subprocess.PIPE, env=environ)  # noqa: S603
        self._lifeline = cast(IO[bytes], self._process.stdin)
        self._lifeline.write(msgspec.json.encode(self._task) + b"\n")


class Rounds:
    """Files again and again. Whatever is wrong is told in the log, and the next round tries again."""

    def __init__(self, folder: Path, filer: Filer, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._filer = filer
        self._alarm = Alarm("audit-not-filed", clock)
        self._aside = Alarm("audit-rows-aside", clock)

    def file(self) -> None:
        """One round."""
        try:
            self._filer.file()
        except (LedgerUnavailable, SQLAlchemyError, OSError) as error:
            self._alarm.sound(error=type(error).__name__, waiting=self._waiting())
        if (self._folder / ASIDE).exists():
            self._aside.sound()

    def _waiting(self) -> int | None:
        try:
            return waiting(self._folder)
        except OSError:
            return None


def main() -> int:
    """What the process does. Signals that all processes of a server get are for the server, which then ends it."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    configure_logging(task.log_level)
    spool = Path(task.folder) / FOLDER
    ledger = open_ledger(task.url)
    rounds = Rounds(spool, Filer(spool, ledger, Identifiers(load_key(Path(task.folder))).chain_key))
    while not select.select([sys.stdin], [], [], FILING_SECONDS)[0]:  # nothing more is said: it only ends
        rounds.file()
    ledger.close()
    flush_log()
    return 0


if __name__ == "__main__":
    sys.exit(main())
