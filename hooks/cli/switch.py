"""`backpain-cds switch`: turn a criterion off, silent or on in running servers, and see what holds since when."""

import argparse
import getpass
from datetime import UTC
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from hooks.cli.site import settings_of
from hooks.cli.terminal import Terminal, Unusable, table
from hooks.errors import SettingsError
from hooks.settings import Settings
from hooks.states import ALL, Switch
from hooks.switchboard import Switchboard
from hooks.switches import append_switch, check_known

_STYLES = {"off": "bold red", "silent": "yellow", "on": "green"}


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Append to the switch file, or show what it says."""
    settings = settings_of(args.config)
    path = _switch_file(settings)
    board = _board(settings)  # before anything is appended: a file that has vanished is not begun anew unasked
    if not args.list:
        _append(args, settings, path, terminal)
        board = _board(settings)
    if args.json:
        terminal.write_json(_as_json(board, settings))
    elif args.list:
        terminal.show(_in_force(board, settings), _history(board.switches))
    else:
        terminal.show(_in_force(board, settings))
    return 0


def _append(args: argparse.Namespace, settings: Settings, path: Path, terminal: Terminal) -> None:
    if not (args.criterion and args.state and args.why):
        raise Unusable("switch takes CRITERION, a state (off, silent or on) and --why TEXT; or --list")
    switch = Switch(
        terminal.clock().astimezone(UTC).replace(microsecond=0),
        args.who or _login(),
        args.why,
        args.client or "",
        args.criterion,
        args.state,
    )
    issuers = [client.issuer for client in settings.clients]
    try:
        check_known(switch.criterion, switch.client, issuers)
        append_switch(path, switch, issuers)
    except SettingsError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"{path}: the switch file cannot be written: {error.strerror}") from None
    if switch.criterion in settings.disabled:
        terminal.remark(f"{switch.criterion} is in `disabled` of the configuration and stays left out of every answer")


def _switch_file(settings: Settings) -> Path:
    if settings.switch_file is None:
        raise Unusable("switch_file: the configuration names no switch file; it should have switch_file or data_dir")
    return settings.switch_file


def _board(settings: Settings) -> Switchboard:
    try:
        return Switchboard(settings)
    except SettingsError as error:
        raise Unusable(str(error)) from None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        raise Unusable("--who: the name of this user is not known; it should say who decides") from None


def _as_json(board: Switchboard, settings: Settings) -> dict[str, Any]:
    own = {client.issuer: board.states(client.issuer) for client in settings.clients}
    return {
        "states": board.states(),
        "clients": own,
        "switches": [{**switch._asdict(), "at": _instant(switch)} for switch in board.switches],
    }


def _in_force(board: Switchboard, settings: Settings) -> Table:
    """What is off or silent, for whom: what clients have in common stands once."""
    shown = table("criterion", "state", "for", caption="What is not named is on.")
    common = board.states()
    for id_, state in common.items():
        shown.add_row(id_, Text(state, _STYLES[state]), "all clients" if settings.clients else "all")
    for client in settings.clients:
        own = board.states(client.issuer)
        for id_ in (*own, *(id_ for id_ in common if id_ not in own)):
            state = own.get(id_, "on")
            if state != common.get(id_, "on"):
                shown.add_row(id_, Text(state, _STYLES[state]), client.issuer)
    if not shown.row_count:
        shown.add_row("every criterion", Text("on", _STYLES["on"]), "all")
    return shown


def _history(switches: tuple[Switch, ...]) -> Table:
    shown = table("when", "who", "criterion", "state", "for", "why")
    for each in switches:
        criterion = "all" if each.criterion == ALL else each.criterion
        state = Text(each.state, _STYLES[each.state])
        shown.add_row(_instant(each), each.who, criterion, state, each.client or "all clients", each.why)
    return shown


def _instant(switch: Switch) -> str:
    return switch.at.isoformat().replace("+00:00", "Z")
