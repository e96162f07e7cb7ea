"""The server process: granian's workers, each with the application loaded (reliability.md, rows 2, 3, 42 to 44)."""

import gc
import ipaddress
import signal
import sys
from functools import partial
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from hooks.app import MAX_BODY, create_app
from hooks.gateway import Gateway
from hooks.log import configure_logging
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
    app = create_app(load_settings(settings_path, development))
    warn_if_open(host, app.site.settings, settings_path)
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
    server.serve(target_loader=partial(load_worker, settings_path, development), wrap_loader=False)


def load_worker(settings_path: Path | None, development: bool) -> Gateway:
    """What one worker runs. Loaded in the worker itself, so that a worker started later is the same as the first."""
    die_when_told_while_loading()
    app = create_app(load_settings(settings_path, development))
    configure_logging(app.site.settings.log_level)
    spare_the_collector()
    return Gateway(app, MAX_BODY)


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


def warn_if_open(host: str, settings: Settings, settings_path: Path | None) -> None:
    """Say loudly what others can reach without a configuration that was meant for them."""
    if is_loopback(host):
        return
    warnings = ["Calls are neither encrypted nor authenticated: a proxy in front must do both."]
    if settings_path is None:
        warnings.append("No configuration file is given: thresholds, time zone and origins are the defaults.")
    if settings.development:
        warnings.append("development = true: any web page may call the service. Set it to false.")
    rule = "!" * 79
    print(rule, f"WARNING: other machines can reach the service at {host}.", *warnings, rule, sep="\n", file=sys.stderr)
