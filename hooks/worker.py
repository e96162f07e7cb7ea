"""What one worker process of the server runs: the application with all that stands around it."""

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from cds.evaluation import CATALOGUE_VERSION
from hooks.app import MAX_BODY, App, create_app, utc_now
from hooks.audit.identifiers import load_key
from hooks.audit.setup import open_audit
from hooks.audit.spool import FOLDER, waiting
from hooks.board import Board
from hooks.clerk import Clerk
from hooks.clients import audience_bases
from hooks.counters import SEPARATOR, leave_counts
from hooks.fetch import Fetcher
from hooks.fhir_client import FhirClient
from hooks.gate import Gate
from hooks.gateway import Gateway
from hooks.housekeeping import keep_house
from hooks.intake.blueprint import BELOW
from hooks.intake.desk import Desk
from hooks.intake.options import LAUNCH
from hooks.ledger.database import ledger_url, open_ledger
from hooks.ledger.memory import Errands, Memory
from hooks.log import configure_logging, lines_dropped
from hooks.outbound import Base
from hooks.pulse import Pulse, try_ledger
from hooks.readiness import Readiness
from hooks.release import release_version
from hooks.replay import write_to_store
from hooks.selftest import SelfTest
from hooks.settings import Settings, load_settings
from hooks.switchboard import Switchboard
from hooks.tracing import configure_tracing
from hooks.upkeep import follow_switches, keep_testing
from hooks.workbench.blueprint import FORMS

BOARD = "board"
COUNTS = "counts"
"""In the folder of the server's run: what its processes know of each other, and what they count, if metrics are on."""
_GC_THRESHOLD = (50_000, 20, 50)
_MALLOC_OPTIONS = {-1: 16 * 2**20, -3: 4 * 2**20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD; octets
_SWITCH_SECONDS = 0.001
"""After which a thread that waits for the interpreter is let in, above all the one that receives: a call takes longer.
It then takes in all that has come. Python's own five milliseconds would keep it waiting past several calls."""
_LOOKUP_THREADS = "16"
"""Of uvloop's threads, half of which look up names. With its usual four, two names that no name server answers for
would keep the names of all other FHIR servers waiting."""


def load_worker(settings_path: Path | None, development: bool, port: int, folder: Path, run: Path) -> Gateway:
    """What one worker runs. Loaded in the worker itself, so that a worker started later is the same as the first.

    folder: what outlives the server, where the site has a data_dir; run: what this server's processes share meanwhile.
    """
    die_when_told_while_loading()
    settings = with_own_url(load_settings(settings_path, development), port)
    configure_logging(settings.log_level)
    configure_tracing(os.environ, release_version())
    app = create_app(settings, switches=Switchboard(settings, folder, falls_back=True))
    selftest = pass_selftest(app)
    client = FhirClient(settings.fhir_ca_file)
    fetcher = Fetcher(client)
    ledger = open_ledger(ledger_url(settings, folder))
    app.audit = audit = open_audit(app.site, folder, release_version(), utc_now)
    app.desk = Desk(client, load_key(folder))
    board = Board(run / BOARD)
    stores = {"tokens": partial(write_to_store, folder), "ledger": partial(try_ledger, ledger)}
    app.readiness = Readiness(settings.may_fetch, lambda: board.is_draining)
    pulse = Pulse(board, app.readiness, stores)
    counting = [partial(leave_counts, app.counters, run / COUNTS)] if (run / COUNTS).is_dir() else []
    gateway = Gateway(
        app,
        MAX_BODY,
        gate=make_gate(settings, port, folder),
        fetcher=Errands(fetcher, Memory(ledger)),
        clerk=Clerk(ledger),
        is_draining=lambda: board.is_draining,
        background=(
            pulse.beat,
            pulse.try_stores,
            audit.hand_over,
            *counting,
            hear_signals,
            partial(keep_house, ledger, settings.retention, utc_now),
            partial(follow_switches, app.switches, ledger),
            partial(keep_testing, selftest, app.readiness.report),
        ),
        open_paths=FORMS if settings.workbench else (),
        open_below=BELOW if settings.intake.is_on else (),
    )
    app.counters.gauges |= _gauges(app, gateway, fetcher, client, folder / FOLDER)
    spare_the_collector()
    keep_freed_memory()
    sys.setswitchinterval(_SWITCH_SECONDS)
    os.environ.setdefault("UV_THREADPOOL_SIZE", _LOOKUP_THREADS)
    hold_signals()
    return gateway


def _gauges(
    app: App, gateway: Gateway, fetcher: Fetcher, client: FhirClient, spool: Path
) -> dict[str, Callable[[], Mapping[str, float]]]:
    """What the metrics say of this moment, by metric and label."""
    build = SEPARATOR.join((release_version(), CATALOGUE_VERSION, app.site.knowledge.version))
    return {
        "build": lambda: {build: 1},
        "waiting": lambda: {"": gateway.turns.waiting},
        "fetching": lambda: {"": fetcher.waiting},
        "circuit_open": lambda: _servers(client.circuits(), app.site.settings),
        "audit_waiting_octets": lambda: {"": waiting(spool)},
        "audit_rows_lost": lambda: {"": app.audit.lost},
        "log_lines_dropped": lambda: {"": lines_dropped()},
        "alarm": lambda: {"switch-file": int(bool(app.switches.fault))} | dict.fromkeys(app.readiness.wrong(), 1),
    }


def _servers(circuits: Mapping[Base, bool], settings: Settings) -> dict[str, float]:
    """Only servers that the site names are labels."""
    listed = {*settings.fhir_servers, *(base for client in settings.clients for base in client.fhir_servers)}
    return {str(base): int(is_open) for base, is_open in circuits.items() if base in listed}


def check_app(settings: Settings) -> Settings:
    """The settings, with which the application works; otherwise raises SettingsError or KnowledgeError."""
    pass_selftest(create_app(settings))
    return settings


def pass_selftest(app: App) -> SelfTest:
    """Whether every criterion speaks. Raises SettingsError naming those that do not."""
    selftest = SelfTest(app.site.knowledge, app.switches.left_out)
    selftest.run()
    return selftest


def with_own_url(settings: Settings, port: int) -> Settings:
    """On one's own machine links lead to this server where the site names no other URL."""
    if settings.public_url or not settings.development:
        return settings
    own = f"http://localhost:{port}"
    return replace(settings, public_url=own, intake_url=settings.intake_url or own + LAUNCH)


def make_gate(settings: Settings, port: int, folder: Path) -> Gate:
    """Raises SettingsError for a file of keys that cannot be used."""
    bases = audience_bases(settings.public_url, settings.development, port)
    return Gate(settings.clients, bases, folder, not settings.development, settings.fhir_ca_file)


def die_when_told_while_loading() -> None:
    """A worker inherits the handlers of its parent, which only take note: until it has its own, SIGTERM should end it.

    SIGINT reaches the whole terminal; the parent passes it on as SIGTERM. One that came since the worker was made was
    held back (`hooks.supervisor.held_back`), and counts now.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def hold_signals() -> None:
    """SIGTERM waits from here until the event loop turns: uvloop passes over one that comes before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


async def hear_signals() -> None:
    """As a task of the event loop: it turns, so signals that were held may come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def spare_the_collector() -> None:
    """What is loaded stays: the garbage collector need not look at it again, nor often at the rest.

    A chart makes many short-lived objects and no cycles; looking for cycles would cost more than reading it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)


def keep_freed_memory() -> None:
    """What one body has left is there for the next, where the C library is glibc; larger ones are given back at once.

    By itself glibc gives the system back what a body of some 200 KB took, and asks for it again page by page for the
    next one, while whoever does that has the interpreter.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, octets in _MALLOC_OPTIONS.items():
            mallopt(option, octets)
