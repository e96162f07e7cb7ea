"""The server process: granian's workers, each with the application loaded (reliability.md, rows 2, 3, 42 to 44)."""

import ipaddress
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from hooks.audit.setup import kept_audit
from hooks.board import Board
from hooks.clients import check_trust
from hooks.errors import LedgerUnavailable, SettingsError
from hooks.gateway import Gateway
from hooks.ledger.database import ledger_url
from hooks.ledger.migrate import migrate
from hooks.log import configure_logging
from hooks.metrics import Metrics
from hooks.operations import Operations, listen
from hooks.replay import open_store
from hooks.settings import Running, Settings, load_settings
from hooks.supervisor import Supervisor
from hooks.switchboard import Switchboard
from hooks.worker import BOARD, COUNTS, check_app, load_worker, make_gate

_HEADER_MS = 10_000
_FINISH_SECONDS = 12  # for calls under way: with the pause before it less than twenty
_CONNECTIONS = 1024


def serve(host: str, port: int, workers: int, settings_path: Path | None, operations_port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT; what is being answered is finished first.

    operations_port: for metrics and probes, where it is another than the configuration's.
    Raises SettingsError or KnowledgeError before anything listens. Exits with 1 when workers keep failing.
    """
    development = is_loopback(host)
    settings = check_app(load_settings(settings_path, development))
    check_trust(settings.development, settings.clients, settings.public_url)
    warn_if_open(host, settings)
    with shared_folder(settings) as folder, tempfile.TemporaryDirectory(prefix="backpain-cds-run-") as run:
        make_gate(settings, port, folder)
        Switchboard(settings, folder)
        prepare_ledger(settings, folder)
        board = Board(Path(run) / BOARD)
        beside = _beside(settings, operations_port, board, Path(run))
        with kept_audit(settings, folder) as filing:
            load = partial(load_worker, settings_path, development, port, folder, Path(run))
            _serve(host, port, workers, settings.operations, board, beside, filing.tend, load)


def _beside(settings: Settings, operations_port: int | None, board: Board, run: Path) -> list[Callable[[], None]]:
    """What runs in the server's own process once the workers do. Raises SettingsError for a port that is taken."""
    started = [partial(configure_logging, settings.log_level)]
    running = settings.operations
    if port := running.port if operations_port is None else operations_port:
        (run / COUNTS).mkdir()
        said = Operations(board, Metrics(run / COUNTS), running.stuck_seconds).say
        started.append(listen(running.host, port, said))
    return started


def _serve(
    host: str,
    port: int,
    workers: int,
    running: Running,
    board: Board,
    beside: list[Callable[[], None]],
    tend: Callable[[], None],
    load: Callable[[], Gateway],
) -> None:
    server = Supervisor(
        board,
        running.drain_seconds,
        running.stuck_seconds,
        beside,
        tend,
        target="hooks.server",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS),
        websockets=False,
        loop=Loops.uvloop,
        workers=workers,
        workers_kill_timeout=_FINISH_SECONDS,
        respawn_failed_workers=True,
        backlog=_CONNECTIONS,
        backpressure=_CONNECTIONS,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=load, wrap_loader=False)


@contextmanager
def shared_folder(settings: Settings) -> Iterator[Path]:
    """Where the workers keep what they know together; without a data_dir it goes when the server does.

    Raises SettingsError for one in which nothing can be kept.
    """
    temporary = None if settings.data_dir else tempfile.TemporaryDirectory(prefix="backpain-cds-")
    with temporary or nullcontext(settings.data_dir) as folder:
        try:
            open_store(Path(folder)).close()
        except sqlite3.Error as error:
            raise SettingsError(f"data_dir: {folder}: {error}; the service should be able to write there") from None
        yield Path(folder)


def prepare_ledger(settings: Settings, folder: Path) -> None:
    """Before any worker. Raises SettingsError for tables of a newer release.

    A database that is away is said and no more: cards need none, and whoever needs it brings it up to date then.
    """
    try:
        migrate(ledger_url(settings, folder))
    except LedgerUnavailable as error:
        print(f"WARNING: the database of feedback and audit cannot be used: {error.cause}", file=sys.stderr)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def warn_if_open(host: str, settings: Settings) -> None:
    """Say loudly what others can reach, and what is not kept."""
    warnings = []
    if not is_loopback(host):
        warnings.append(
            f"Other machines can reach the service at {host}, and calls are not encrypted: a proxy must do it."
        )
        if settings.development:
            warnings.append("development = true: any web page may call the service, nobody is asked who they are.")
    if not (settings.development or settings.data_dir):
        warnings.append("There is no data_dir: feedback is lost at a restart, and a used token is good again.")
    if warnings:
        rule = "!" * 79
        print(rule, *(f"WARNING: {each}" for each in warnings), rule, sep="\n", file=sys.stderr)
