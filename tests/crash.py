"""Promise P11: feedback that was acknowledged survives whatever dies, and a batch is there whole or not at all.

    python -m tests.crash --kills 200 --database sqlite

Clients send batches all the time; at a random moment something gets `kill -9`: the workers, the whole server, with
PostgreSQL also one of its processes or all of them. At the end the ledger is compared with what was acknowledged.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
from sqlalchemy import func, select, text

from hooks.ledger.database import open_ledger, sqlite_url
from hooks.ledger.schema import feedback
from tests.postgres_rig import Postgres, postgres_server
from tests.service_rig import Server, await_ready, children, path_of, running

URL = f"{path_of('patient-view')}/feedback"
CLIENTS, WORKERS = 4, 2
LARGEST_BATCH = 20
_PAUSES = (0.02, 0.4)  # seconds of load before each kill


class Found(NamedTuple):
    """What is in the ledger beside what was acknowledged. lost: items; halves: batches."""

    kills: int
    acknowledged: int
    lost: int
    halves: int
    twice: int
    integrity: str

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.halves or self.twice) and self.integrity == "ok"


class Load:
    """Clients that send batch after batch, and remember which were acknowledged (card id of a batch -> its size)."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.seconds: list[float] = []

    @contextmanager
    def on(self, server: Server) -> Iterator[None]:
        over = threading.Event()
        clients = [threading.Thread(target=self._send, args=(server.port, over)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            over.set()
            for client in clients:
                client.join()

    def _send(self, port: int, over: threading.Event) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=15) as http:
            while not over.is_set():
                name, size = str(uuid4()), random.randint(1, LARGEST_BATCH)
                self.sent[name] = size
                began = time.perf_counter()
                try:
                    answer = http.post(URL, json=batch(name, size))
                except httpx.TransportError:
                    over.wait(0.01)
                    continue
                if answer.status_code == 200:
                    self.acknowledged[name] = size
                    self.seconds.append(time.perf_counter() - began)
                else:
                    assert answer.status_code == 503, answer.text


def batch(name: str, size: int) -> dict:
    """Items that differ in their suggestion alone; the card is the batch."""
    item = {"card": name, "outcome": "accepted", "outcomeTimestamp": "2026-11-20T12:00:00Z"}
    return {"feedback": [item | {"acceptedSuggestions": [{"id": str(place)}]} for place in range(size)]}


def crash(kills: int, folder: Path, url: str, postgres: Postgres | None = None) -> tuple[Found, Load]:
    """Kill that often, and look. folder: for the server's files."""
    load, done = Load(), 0
    while done < kills:
        with running(folder, WORKERS, f'development = true\ndatabase_url = "{url}"\n') as server, load.on(server):
            for kill in _ways(server, postgres)[-(kills - done) :]:
                time.sleep(random.uniform(*_PAUSES))
                kill()
                done += 1
    return _compared(done, load, url), load


def _ways(server: Server, postgres: Postgres | None) -> list[Callable[[], None]]:
    """The last takes the server away."""
    whole = [lambda: os.killpg(server.process.pid, signal.SIGKILL)]
    workers = [lambda: _kill_workers(server)]  # once: soon after, granian takes it for a fault of the program
    database = [lambda: _kill_backend(postgres), lambda: _restart(postgres)] if postgres else []
    return [*workers, *database, *whole]


def _kill_workers(server: Server) -> None:
    for worker in server.workers:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    await_ready(server)


def _kill_backend(postgres: Postgres) -> None:
    """PostgreSQL takes the death of one process for the worst and starts itself anew."""
    backends = children(postgres.pid)
    with suppress(ProcessLookupError):
        os.kill(random.choice(backends), signal.SIGKILL)
    postgres.await_ready()


def _restart(postgres: Postgres) -> None:
    postgres.kill()
    postgres.start()


def _compared(kills: int, load: Load, url: str) -> Found:
    ledger = open_ledger(url, patience=60)
    try:
        with ledger.read() as connection:
            kept = Counter(connection.scalars(select(feedback.c.card)))
            digests = connection.scalar(select(func.count(func.distinct(feedback.c.digest)))) or 0
            integrity = _integrity(connection)
    finally:
        ledger.close()
    lost = sum(size - min(size, kept[name]) for name, size in load.acknowledged.items())
    halves = sum(kept[name] not in (0, size) for name, size in load.sent.items())
    return Found(kills, sum(load.acknowledged.values()), lost, halves, kept.total() - digests, integrity)


def _integrity(connection) -> str:
    if connection.dialect.name == "sqlite":
        return connection.scalar(text("PRAGMA integrity_check"))
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS amcheck"))
    connection.execute(
        text(
            "SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
            "JOIN pg_am a ON a.oid = c.relam WHERE indrelid = 'feedback'::regclass AND amname = 'btree'"
        )
    )
    return "ok"  # bt_index_check raises what it finds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with postgres_server() if args.database == "postgresql" else nullcontext() as postgres:
            url = postgres.new_database() if postgres else sqlite_url(folder / "ledger.sqlite3")
            found, load = crash(args.kills, folder, url, postgres)
    seconds = sorted(load.seconds)
    print(f"{args.database}: {found._asdict()}")
    print(
        f"acknowledged after: median {seconds[len(seconds) // 2]:.4f} s, p99 {seconds[len(seconds) * 99 // 100]:.4f} s"
    )
    return 0 if found.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
