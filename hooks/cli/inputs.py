"""Files and streams that the commands read: JSON, plain or gzip, whole or line by line."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hooks.cli.terminal import Unusable

MAX_BYTES = 256 * 1024 * 1024  # of one document, unpacked
STDIN = "-"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


class Line(NamedTuple):
    """A line that is not blank, with its number from 1; `body` is None when it is longer than MAX_BYTES."""

    number: int
    body: bytes | None


class Input(NamedTuple):
    """An opened file or stream. content: unpacked; raw: as stored; size: as stored, None where that is not known.

    What is read raises Unusable when the source fails or is no whole gzip.
    """

    name: str
    content: BinaryIO
    raw: BinaryIO
    size: int | None

    def read(self) -> bytes:
        """All of it, up to one byte more than MAX_BYTES."""
        with _readable(self.name):
            return self.content.read(MAX_BYTES + 1)

    def lines(self) -> Iterator[Line]:
        """The lines one by one, in memory for one line; what is too long is passed over up to its end."""
        number = 0
        while body := self._line(MAX_BYTES):
            number += 1
            if len(body) == MAX_BYTES and not body.endswith(b"\n"):
                self._skip_rest()
                yield Line(number, None)
            elif body.strip():
                yield Line(number, body.removeprefix(_BYTE_ORDER_MARK).strip())

    def position(self) -> int:
        """How many stored bytes have been read; 0 where the source does not say."""
        return self.raw.tell() if self.size is not None else 0

    def _line(self, most: int) -> bytes:
        with _readable(self.name):
            return self.content.readline(most)

    def _skip_rest(self) -> None:
        while (rest := self._line(2**20)) and not rest.endswith(b"\n"):
            pass


def read_document(path: str) -> bytes:
    """The whole content of a file or of stdin. Raises Unusable for what cannot be read."""
    with opened(path) as source:
        body = source.read()
    if len(body) > MAX_BYTES:
        most = f"{MAX_BYTES // 2**20} MiB"
        raise Unusable(f"{named(path)} is larger than {most}: many charts are read line by line with --ndjson")
    return body.removeprefix(_BYTE_ORDER_MARK)


@contextmanager
def opened(path: str) -> Iterator[Input]:
    """A file or stdin, unpacked when it is gzip. Raises Unusable for one that cannot be opened."""
    if path == STDIN:
        yield _unpacked(named(path), sys.stdin.buffer, None)
        return
    with _readable(path):
        raw = Path(path).open("rb")  # noqa: SIM115 (closed below; only the opening may fail here)
    with raw:
        yield _unpacked(path, raw, Path(path).stat().st_size if raw.seekable() else None)


def named(path: str) -> str:
    """A file as messages call it."""
    return "stdin" if path == STDIN else path


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Unusable(f"{name} begins as gzip but cannot be unpacked: it is damaged or cut off") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _unpacked(name: str, raw: BinaryIO, size: int | None) -> Input:
    with _readable(name):
        packed = isinstance(raw, BufferedReader) and raw.peek(2)[:2] == _GZIP
    return Input(name, gzip.open(raw) if packed else raw, raw, size)
