"""The switch file: who switched which criterion, when and why (reliability.md, row 49).

TOML, one `[[switch]]` table a decision, oldest first: it is the history, too. Nothing in it is ever changed by the
service; `backpain-cds switch` appends.
"""

import difflib
import fcntl
import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hooks.errors import SettingsError
from hooks.states import ALL, CRITERION_IDS, Switch

_Said = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    who: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    why: _Said
    criterion: str
    state: Literal["off", "silent", "on"]
    client: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    switch: list[_Entry] = []


def read_switches(path: Path, issuers: Collection[str]) -> tuple[Switch, ...]:
    """All switches, oldest first. issuers: of the clients there are.

    Raises SettingsError, for the file as a whole, when any part of it cannot be used.
    """
    return parse_switches(read_text(path), path, issuers)


def read_text(path: Path) -> str:
    """Raises SettingsError for a file that is none, or no text."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: the switch file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: the switch file is not UTF-8 text") from None


def parse_switches(text: str, path: Path, issuers: Collection[str]) -> tuple[Switch, ...]:
    """The switches in the text of a switch file. Raises as `read_switches` does; path: for the message."""
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).switch
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: the switch file is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: the switch file: {error}") from None
    for number, entry in enumerate(entries):
        check_known(entry.criterion, entry.client, issuers, f"{path}: switch[{number}].")
    return tuple(
        Switch(each.at.astimezone(UTC), each.who, each.why, each.client, each.criterion, each.state) for each in entries
    )


def check_known(criterion: str, client: str, issuers: Collection[str], place: str = "") -> None:
    """Raises SettingsError, with all that there are, for a criterion or a client that there is not."""
    if criterion != ALL and criterion not in CRITERION_IDS:
        raise SettingsError(f"{place}criterion: {criterion!r} is not a criterion id{_known(criterion, CRITERION_IDS)}")
    if client and client not in issuers:
        raise SettingsError(f"{place}client: {client!r} is not a registered client{_known(client, issuers)}")


def _known(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return (f"; did you mean {close[0]}?" if close else ";") + f" known are {', '.join(sorted(known)) or 'none'}"


def append_switch(path: Path, switch: Switch, issuers: Collection[str]) -> None:
    """Add a switch to the file, which is made when there is none: wholly or not at all, one writer at a time.

    Raises SettingsError for a file that cannot be used as it is, OSError for one that cannot be written.
    """
    path = path.resolve()
    with _locked(path):
        before = read_text(path) if path.exists() else _HEAD
        parse_switches(before, path, issuers)
        after = f"{before.rstrip()}\n\n{_written(switch)}"
        parse_switches(after, path, issuers)
        replace_file(path, after)


def digest(switch: Switch) -> str:
    """What tells one switch from any other, for the ledger."""
    said = [switch.at.isoformat(), *switch[1:]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, and so does the next start after a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, path.stat().st_mode & 0o777 if path.exists() else 0o644)
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; the lock is that of a file beside it, for the file itself is replaced."""
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_HEAD = """\
# Which criteria are off, silent or on, decided when, by whom and why. The last entry is the newest.
# `backpain-cds switch` adds to it; running servers notice within seconds.
"""


def _written(switch: Switch) -> str:
    """A switch as TOML; a JSON string of printable characters is a TOML string, too."""
    lines = {"at": switch.at.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    lines |= {name: _quoted(getattr(switch, name)) for name in ("who", "why", "client", "criterion", "state")}
    return "\n".join(["[[switch]]", *(f"{name} = {value}" for name, value in lines.items())]) + "\n"


def _quoted(text: str) -> str:
    if not text.isprintable():
        raise SettingsError("who and why should be one line of plain text each")
    return json.dumps(text, ensure_ascii=False)
