"""What the processes of one server know of each other without asking: a page of memory that they share.

The server's own process says when it is about to stop. Each worker has a seat, where it says again and again that its
event loop turns, and whether it would answer a call. Times are seconds of the monotonic clock, which processes of one
machine share.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_WORKERS = 64

_HEAD = 64
_DRAINING = struct.Struct("=?")
_SEAT = struct.Struct("=I?3xd")  # process id (0: free), whether it is ready, when its loop turned last


class Seat(NamedTuple):
    """A worker as it was last heard of."""

    process: int
    is_ready: bool
    beat: float


class Board:
    """path: of a file that all processes of the server open, and no other server. The first one makes it."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_HEAD + MAX_WORKERS * _SEAT.size)
            self._page = mmap.mmap(file.fileno(), 0)
        self._path = path

    @property
    def is_draining(self) -> bool:
        """Whether the server is about to stop."""
        return _DRAINING.unpack_from(self._page)[0]

    def drain(self) -> None:
        _DRAINING.pack_into(self._page, 0, True)

    def take_seat(self, process: int) -> int:
        """The number of a seat that is this worker's from now on: a free one, or that of one that has died."""
        with self._path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for number, seat in enumerate(self._all()):
                if not seat.process or not is_alive(seat.process):
                    self.say(number, Seat(process, False, 0.0))
                    return number
        raise RuntimeError(f"a server has at most {MAX_WORKERS} workers")

    def say(self, number: int, seat: Seat) -> None:
        _SEAT.pack_into(self._page, _HEAD + number * _SEAT.size, *seat)

    def seats(self) -> list[Seat]:
        """Those of the workers that are alive and whose loop has turned."""
        return [seat for seat in self._all() if seat.process and seat.beat and is_alive(seat.process)]

    def _all(self) -> Iterator[Seat]:
        return (Seat(*_SEAT.unpack_from(self._page, _HEAD + each * _SEAT.size)) for each in range(MAX_WORKERS))


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
