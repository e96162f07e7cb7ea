"""The switches in force in one worker: read again whenever the switch file changes (reliability.md, row 49).

A file that cannot be used, or is gone, changes nothing but raises an alarm: what was read last stays in force. The last
good file is kept in the folder that the workers share, for one that starts while the file is bad; a server as a whole
does not start on a bad one.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from hooks.alarm import ALARM_SECONDS
from hooks.errors import SettingsError
from hooks.log import log_alarm, log_event
from hooks.settings import Settings
from hooks.states import OFF, States, Switch, states_in_force
from hooks.switches import parse_switches, read_switches, read_text, replace_file

LOOK_SECONDS = 1.0
"""How often a call looks whether the file has changed, at most."""
REREAD_SECONDS = 30.0
"""How often the file is read although it looks unchanged."""
KEPT_FILE = "switches.kept.toml"

_NEVER = float("-inf")

Signature = tuple[int, int, int]


class Switchboard:
    """Which criteria are off or silent, for whom.

    switches: in force, oldest first. fault: why the switch file cannot be used at this moment; "" when it can.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path | None = None,
        falls_back: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """folder: where the last good file is to be kept, if anywhere; falls_back: start with that one where need be.

        Without a folder nothing is kept, but what a server keeps in `data_dir` is known, so that a command does not
        take a file that has vanished for one that never was.
        Raises SettingsError for a file that cannot be used. clock: monotonic, in seconds.
        """
        self._settings = settings
        self._issuers = [client.issuer for client in settings.clients]
        self._path = settings.switch_file
        kept = folder or settings.data_dir
        self._kept = kept / KEPT_FILE if kept else None
        self._keeps = folder is not None
        self._clock = clock
        self._seen: Signature | None = None
        self._look_at = self._reread_at = self._alarm_at = _NEVER
        self._states: dict[str, States] = {}
        self.switches: tuple[Switch, ...] = ()
        self.fault = ""
        self._start(falls_back)

    def states(self, issuer: str = "") -> States:
        """What holds for a client, or for a call without one."""
        self.refresh()
        return self._states.get(issuer, self._states[""])

    def left_out(self) -> frozenset[str]:
        """The criteria that nobody depends on: disabled, or off for everybody."""
        off = ({id_ for id_, state in states.items() if state == OFF} for states in self._states.values())
        return self._settings.disabled.union(set.intersection(*off))

    def refresh(self) -> None:
        """Read the file again if it has changed; to be called often."""
        now = self._clock()
        if self._path is None or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        try:
            self._look(now)
            self.fault = ""
        except SettingsError as error:
            self._alarm(str(error), now)

    def _start(self, falls_back: bool) -> None:
        self._take(())
        try:
            self._look(self._clock())
        except SettingsError as error:
            if not (falls_back and self._kept and self._kept.exists()):
                raise SettingsError(f"{error}{self._remedy()}") from None
            self._take(read_switches(self._kept, self._issuers))
            self._alarm(str(error), self._clock())

    def _remedy(self) -> str:
        """What to do about a file of which something better is known."""
        if not (self._kept and os.path.exists(self._kept)):  # nor where that cannot be told
            return ""
        return f"; its last good state is {self._kept}: put it back, or an empty file to begin anew"

    def _look(self, now: float) -> None:
        """Raises SettingsError for a file that cannot be used, or that is gone."""
        if self._path is None or not (_is_there(self._path) or self._was_there()):
            return
        signature = _signature(self._path)
        if signature == self._seen and now < self._reread_at and not self.fault:
            return
        text = read_text(self._path)
        switches = parse_switches(text, self._path, self._issuers)
        if switches != self.switches:
            self._take(switches)
            log_event("switches", entries=len(switches), off_or_silent=sorted(self._states[""]))
        self._keep(text)
        self._seen, self._reread_at = signature, now + REREAD_SECONDS

    def _was_there(self) -> bool:
        return self._seen is not None or bool(self._kept and _is_there(self._kept))

    def _keep(self, text: str) -> None:
        """Another worker may do the same at the same time: each writes the whole file."""
        if not self._keeps:
            return
        try:
            if not self._kept.exists() or self._kept.read_text("utf-8") != text:
                replace_file(self._kept, text)
        except OSError as error:
            raise SettingsError(f"{self._kept}: cannot be written: {error.strerror}") from None

    def _take(self, switches: tuple[Switch, ...]) -> None:
        common = dict(self._settings.states)
        configured = {"": common} | {each.issuer: common | dict(each.states) for each in self._settings.clients}
        self._states = {issuer: states_in_force(own, switches, issuer) for issuer, own in configured.items()}
        self.switches = switches

    def _alarm(self, fault: str, now: float) -> None:
        if now >= self._alarm_at or fault != self.fault:
            self._alarm_at = now + ALARM_SECONDS
            log_alarm("switch-file", problem=fault, in_force="what was read last")
        self.fault = fault


def _is_there(path: Path) -> bool:
    """Raises SettingsError where that cannot be told: a folder that may not be entered is not an empty one."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SettingsError(f"{path}: whether there is such a file cannot be told: {error.strerror}") from None
    return True


def _signature(path: Path) -> Signature | None:
    """What changes when the file does; None for no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
