"""That nobody notices a restart, and few the death of a worker (reliability.md, rows 42 and 44; P12).

    python -m tests.restarts rolling --times 20
    python -m tests.restarts deaths --times 10

Calls come steadily, as a proxy sends them on: to a server whose `/readyz` said yes when it was last asked, over
connections that are kept, each call once. rolling: again and again a new server takes over from the old one, which gets
SIGTERM. deaths: again and again one of two workers gets `kill -9`.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.bench.arrivals import BROKEN, Pool, arrive, get, post
from tests.bench.overload import CARDS, PATH, circumstances
from tests.bench.tables import Promise, promises, put, verdict
from tests.patience import PATIENCE, until
from tests.records import condition
from tests.service_rig import Server, call, free_port, running

RATE = 40.0
"""Calls a second: what a core has time for while servers start on it."""
DRAIN_SECONDS, LOOK_SECONDS = 5.0, 0.5  # what a server waits, and the proxy between two looks at a server's readiness
SILENT_LOOKS = 2
SETTLED_SECONDS = 7.0  # after a death: a worker that dies again within six seconds stops the server
UNREADY_SECONDS, GONE_SECONDS, BACK_SECONDS = 1, 20, 2

_READY = get("/readyz")


class Proxy:
    """Sends calls to the servers that are ready, from a thread of its own.

    calls: answered with cards. lost: when calls were sent that were reset, or answered with anything else (monotonic
    clock).
    """

    def __init__(self, rate: float = RATE, look_seconds: float = LOOK_SECONDS) -> None:
        self._rate = rate
        self._look_seconds = look_seconds
        self._request = post(PATH, json.dumps(call("patient-view", condition("osteoporosis"))).encode())
        self._pools: dict[int, Pool] = {}
        self._gone: list[Pool] = []
        self._ready: list[int] = []
        self._is_ended = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()))
        self.calls = 0
        self.lost: list[float] = []

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Returns once the last call is answered."""
        self._is_ended = True
        self._thread.join()

    def add(self, port: int) -> None:
        """Returns once calls are sent to this server too."""
        self._pools[port] = Pool(port, CARDS.encode())
        until(lambda: port in self._ready)

    def remove(self, port: int) -> None:
        """Returns once no calls are sent to this server any more."""
        until(lambda: port not in self._ready)
        self._gone.append(self._pools.pop(port))

    async def _send(self) -> None:
        looking = asyncio.ensure_future(self._look())
        while not self._ready and not self._is_ended:
            await asyncio.sleep(0.01)
        await arrive(self._ask, takewhile(lambda _: not self._is_ended, (each / self._rate for each in count())))
        looking.cancel()
        for pool in (*self._pools.values(), *self._gone):
            pool.close()

    async def _ask(self) -> int:
        sent = time.monotonic()
        pool = self._pools[self._ready[self.calls % len(self._ready)]] if self._ready else None
        status = await pool.ask(self._request) if pool else 503
        if status == 200:
            self.calls += 1
        else:
            self.lost.append(sent)
        return status

    async def _look(self) -> None:
        """A server that says no gets no more calls; one that does not answer, only when it is not the first time."""
        silent: Counter[int] = Counter()
        while True:
            ports = list(self._pools)
            statuses = await asyncio.gather(*(Pool(port, keeps=False).ask(_READY) for port in ports))
            for port, status in zip(ports, statuses, strict=True):
                silent[port] = silent[port] + 1 if status == BROKEN else 0
            said = {port for port, status in zip(ports, statuses, strict=True) if status == 200}
            patient = {port for port in self._ready if 0 < silent[port] < SILENT_LOOKS}
            self._ready = [port for port in ports if port in said | patient]
            await asyncio.sleep(self._look_seconds)


class Restart(NamedTuple):
    """Seconds from SIGTERM until `/readyz` said no, and until the server was gone; its exit code."""

    unready: float
    gone: float
    code: int


class Death(NamedTuple):
    """lost: calls that failed and had been sent before the worker was gone; later: calls sent afterwards that failed;
    back: seconds until there were as many workers as before."""

    lost: int
    later: int
    back: float


def rolling(proxy: Proxy, folder: Path, times: int, drain_seconds: float = DRAIN_SECONDS) -> list[Restart]:
    """Restarts, one after the other, with calls all the while."""
    config = f'development = true\ndata_dir = "."\n[operations]\ndrain_seconds = {drain_seconds:g}\n'
    restarts = []
    with ExitStack() as running_now:
        old = running_now.enter_context(running(folder, 1, config))
        proxy.add(old.port)
        for _ in range(times):
            new = running_now.enter_context(running(folder, 1, config))
            proxy.add(new.port)
            restarts.append(_stop(old))
            proxy.remove(old.port)
            old = new
        proxy.end()
    return restarts


def _stop(server: Server) -> Restart:
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    until(lambda: server.http.get("/readyz").status_code == 503)
    unready = time.monotonic() - began
    code = server.process.wait(PATIENCE)
    return Restart(unready, time.monotonic() - began, code)


def deaths(proxy: Proxy, folder: Path, times: int, settled_seconds: float = SETTLED_SECONDS) -> list[Death]:
    """Workers killed, one after the other, with calls all the while."""
    operations = free_port()
    config = f"development = true\n[operations]\nport = {operations}\n"
    with running(folder, 2, config) as server, httpx.Client(base_url=f"http://127.0.0.1:{operations}") as http:

        def are_complete() -> bool:
            said = re.search(r"^backpain_cds_workers (\d)", http.get("/metrics").text, re.MULTILINE)
            return bool(said) and int(said[1]) == 2

        until(are_complete)
        proxy.add(server.port)
        died = []
        for number in range(times):
            time.sleep(settled_seconds if number else 1.0)
            died.append(_kill(proxy, server, are_complete))
        proxy.end()
    return died


def _kill(proxy: Proxy, server: Server, are_complete: Callable[[], bool]) -> Death:
    before, answered = set(server.workers), len(proxy.lost)
    victim, began = min(before), time.monotonic()
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in server.workers)
    gone = time.monotonic()
    until(lambda: len(server.workers) == len(before) and are_complete())
    back = time.monotonic() - began
    failed = proxy.lost[answered:]
    return Death(sum(sent <= gone for sent in failed), sum(sent > gone for sent in failed), back)


def restarts_table(proxy: Proxy, restarts: Sequence[Restart]) -> str:
    unready, gone = max(each.unready for each in restarts), max(each.gone for each in restarts)
    codes = sum(each.code != 0 for each in restarts)
    rows: list[Promise] = [
        ("calls", str(proxy.calls), "", None),
        ("calls failed or reset", str(len(proxy.lost)), "0", not proxy.lost),
        ("longest until not ready, s", f"{unready:.2f}", f"≤ {UNREADY_SECONDS}", unready <= UNREADY_SECONDS),
        ("longest until gone, s", f"{gone:.1f}", f"≤ {GONE_SECONDS}", gone <= GONE_SECONDS),
        ("exit codes other than 0", str(codes), "0", not codes),
    ]
    return promises(f"{len(restarts)} rolling restarts", rows)


def deaths_table(proxy: Proxy, died: Sequence[Death]) -> str:
    lost, later = max(each.lost for each in died), sum(each.later for each in died)
    back = max(each.back for each in died)
    rows: list[Promise] = [
        ("calls", str(proxy.calls), "", None),
        ("most calls that one took with it", str(lost), "", None),
        ("calls lost that were sent later", str(later), "0", not later),
        ("longest until a new worker answers, s", f"{back:.2f}", f"≤ {BACK_SECONDS}", back <= BACK_SECONDS),
    ]
    return promises(f"{len(died)} workers killed, one of two each time", rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rolling", "deaths"))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rate", type=float, default=RATE, help="calls a second (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Proxy(options.rate) as proxy:
        if options.what == "rolling":
            table = restarts_table(proxy, rolling(proxy, Path(folder), options.times))
        else:
            table = deaths_table(proxy, deaths(proxy, Path(folder), options.times))
    command = f"python -m tests.restarts {options.what} --times {options.times} --rate {options.rate:g}"
    text = f"{circumstances(command)}\n\n{table}"
    print(text)
    if options.write:
        put(options.what, text)
    return 1 if verdict(False) in table else 0


if __name__ == "__main__":
    sys.exit(main())
