"""The server process: granian's workers, each with the application loaded (reliability.md, rows 2, 3, 42 to 44)."""

import gc
import ipaddress
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from hooks.app import MAX_BODY, create_app
from hooks.clients import audience_bases, check_trust
from hooks.errors import SettingsError
from hooks.fetch import Fetcher
from hooks.fhir_client import FhirClient
from hooks.gate import Gate
from hooks.gateway import Gateway
from hooks.log import configure_logging
from hooks.replay import open_store
from hooks.settings import Settings, load_settings

_HEADER_MS = 10_000
_DRAIN_SECONDS = 15
_CONNECTIONS = 1024
_GC_THRESHOLD = (50_000, 20, 50)


def serve(host: str, port: int, workers: int, settings_path: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; what is being answered is finished first.

    Raises SettingsError or KnowledgeError before anything listens. Exits with 1 when workers keep failing.
    """
    development = is_loopback(host)
    settings = create_app(load_settings(settings_path, development)).site.settings
    check_trust(settings.development, settings.clients, settings.public_url)
    warn_if_open(host, settings)
    with shared_folder(settings) as folder:
        make_gate(settings, port, folder)
        _serve(host, port, workers, partial(load_worker, settings_path, development, port, folder))


def _serve(host: str, port: int, workers: int, load: Callable[[], Gateway]) -> None:
    server = Granian(
        target="hooks.server",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS),
        websockets=False,
        loop=Loops.asyncio,
        workers=workers,
        workers_kill_timeout=_DRAIN_SECONDS,
        respawn_failed_workers=True,
        backlog=_CONNECTIONS,
        backpressure=_CONNECTIONS,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=load, wrap_loader=False)


def load_worker(settings_path: Path | None, development: bool, port: int, folder: Path) -> Gateway:
    """What one worker runs. Loaded in the worker itself, so that a worker started later is the same as the first."""
    die_when_told_while_loading()
    app = create_app(load_settings(settings_path, development))
    settings = app.site.settings
    configure_logging(settings.log_level)
    fetcher = Fetcher(FhirClient(settings.fhir_ca_file))
    gateway = Gateway(app, MAX_BODY, gate=make_gate(settings, port, folder), fetcher=fetcher)
    spare_the_collector()
    return gateway


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


def make_gate(settings: Settings, port: int, folder: Path) -> Gate:
    """Raises SettingsError for a file of keys that cannot be used."""
    bases = audience_bases(settings.public_url, settings.development, port)
    return Gate(settings.clients, bases, folder, not settings.development, settings.fhir_ca_file)


def die_when_told_while_loading() -> None:
    """A worker inherits the handlers of its parent, which only take note: until it has its own, SIGTERM should end it.

    SIGINT reaches the whole terminal; the parent passes it on as SIGTERM.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def spare_the_collector() -> None:
    """What is loaded stays: the garbage collector need not look at it again, nor often at the rest.

    A chart makes many short-lived objects and no cycles; looking for cycles would cost more than reading it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)


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
        warnings.append("There is no data_dir: a token that was used can be used once more after a restart.")
    if warnings:
        rule = "!" * 79
        print(rule, *(f"WARNING: {each}" for each in warnings), rule, sep="\n", file=sys.stderr)
