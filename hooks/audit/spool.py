"""Where rows of the audit wait for the ledger: files that a worker appends to, a line a call.

A line is written with one system call before the call is answered, so that it survives the death of the worker. A
worker holds a lock on the segment it writes to. When it ends the segment, or dies, the lock is gone: whoever sees that
may file the segment.
"""

import ctypes
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "audit"
SUFFIX = ".ndjson"
_NEW = ".new"

_SHORT = 16 * 1024
"""Octets of a line, as of nearly all: for a moment's work the interpreter is not handed over, which takes longer."""
_write = ctypes.PyDLL(None).write  # as os.write, but it keeps the interpreter, and says -1 for an error
_write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_write.restype = ctypes.c_ssize_t


class Spool:
    """The segments of one worker. folder: that of all workers; limit: octets that may wait there, of all together."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._file: int | None = None
        self._size = 0
        self._others = 0

    def append(self, line: bytes) -> bool:
        """Keep a line, which ends with a line feed; False when there is no room or the disk does not take it."""
        if self._others + self._size + len(line) > self._limit:
            return False
        try:
            if self._file is None:
                self._file = _new_segment(self._folder)
            is_whole = _put(self._file, line) == len(line)
        except OSError:
            is_whole = False
        if is_whole:
            self._size += len(line)
        else:
            self._take_back()
        return is_whole

    def turn(self) -> None:
        """End the segment at hand, so that it can be filed, and look how much is waiting. Raises OSError."""
        if self._file is not None and self._size:
            os.close(self._file)
            self._file, self._size = None, 0
        self._others = waiting(self._folder)

    def _take_back(self) -> None:
        """A line that is not whole has no other after it: neither would be read."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            os.close(self._file)
            self._others += self._size
            self._file, self._size = None, 0


def waiting(folder: Path) -> int:
    """Octets of all segments. Raises OSError."""
    with os.scandir(folder) as entries:
        return sum(_size(entry) for entry in entries if entry.name.endswith(SUFFIX))


@contextmanager
def ended_segments(folder: Path) -> Iterator[list[Path]]:
    """The segments that nobody writes to any more, oldest first, and nobody else while they are looked at.

    Empty while another process looks at them. Raises OSError.
    """
    with _locked(folder / "filing.lock", os.O_CREAT) as is_ours:
        segments = sorted(folder.glob(f"*{SUFFIX}")) if is_ours else []
        yield [segment for segment in segments if _is_ended(segment)]


def _put(file: int, line: bytes) -> int:
    """How many octets were written: fewer where there is no more room. Raises OSError."""
    done = max(_write(file, line, len(line)), 0) if len(line) <= _SHORT else 0
    return done if done == len(line) else done + os.write(file, line[done:])


def _new_segment(folder: Path) -> int:
    """Locked before anybody can see it."""
    name = folder / f"{time.time_ns():020}-{os.getpid()}{SUFFIX}"
    made = name.with_suffix(_NEW)
    file = os.open(made, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(made, name)
    except OSError:
        os.close(file)
        raise
    return file


def _is_ended(segment: Path) -> bool:
    with _locked(segment) as is_ours:
        return is_ours


@contextmanager
def _locked(path: Path, more: int = 0) -> Iterator[bool]:
    """Whether the lock of a file could be had at once; it is held for the block."""
    file = os.open(path, os.O_RDWR | more, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


def _size(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # filed meanwhile
        return 0
