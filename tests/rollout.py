"""A safe roll-out and a stop that works (promise P14; reliability.md, rows 48 and 49), in full size.

    python -m tests.rollout silent [--requests 1000] [--rounds 15]
    python -m tests.rollout stop [--workers 4] [--threads 8]

silent: half of the criteria silent and the same ones off, on so many requests, sample charts whole and in parts: how
many answers differ in a byte, and how much longer silent takes. stop: `backpain-cds switch` under load, and how long
until the last worker has followed, one way and the other.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from cds.catalogue import CRITERIA
from fhir_profiles import samples
from hooks.pipeline import Caller, Site, answer, load_site
from hooks.request import HookRequest, parse_request
from hooks.services import SERVICES, Service
from hooks.settings import Settings
from hooks.states import OFF, SILENT
from tests.patience import PATIENCE
from tests.records import AT, condition, knowledge
from tests.service_rig import HOOKS, ROOT, Server, call, call_from, groups, path_of, running

HALF = tuple(CRITERIA)[::2]


class Asked(NamedTuple):
    """A request, understood."""

    body: bytes
    request: HookRequest
    service: Service


def charts() -> Iterator[dict[str, Any]]:
    """Calls of all hooks for the sample charts, whole and with some resources left out, always in the same order."""
    chance = random.Random(1)
    while True:
        for name in samples.names():
            request = call_from(samples.load(name), samples.story(name)["hook"])
            for value in filter(None, request["prefetch"].values()):
                if "entry" in value:
                    value["entry"] = [each for each in value["entry"] if chance.random() < 0.8]
            yield request


def asked(count: int) -> list[Asked]:
    """So many requests."""
    told = []
    for _, request in zip(range(count), charts(), strict=False):
        service = next(each for each in SERVICES.values() if each.hook == request["hook"])
        body = json.dumps(request).encode()
        told.append(Asked(body, parse_request(body, service), service))
    return told


@cache
def site() -> Site:
    return load_site(Settings(), knowledge())


def answered(each: Asked, state: str, at: datetime = AT) -> bytes:
    """The answer while half of the criteria are in that state; ids are always the same ones."""
    states = dict.fromkeys(HALF, state)
    return answer(each.body, each.request, each.service, site(), at, iter(range(1000)).__next__, Caller(states)).body


def differing(requests: list[Asked]) -> int:
    """How many answers with silent criteria are not, byte for byte, those with the same ones off."""
    return sum(answered(each, SILENT) != answered(each, OFF) for each in requests)


def seconds(requests: list[Asked], rounds: int) -> dict[str, float]:
    """What the requests take in each state: of every request the quickest of all rounds, in which both take turns."""
    quickest = {state: [float("inf")] * len(requests) for state in (SILENT, OFF)}
    for number in range(rounds):
        for index, each in enumerate(requests):
            for state in (SILENT, OFF) if number % 2 else (OFF, SILENT):
                started = time.perf_counter()
                answered(each, state)
                quickest[state][index] = min(quickest[state][index], time.perf_counter() - started)
    return {state: sum(took) for state, took in quickest.items()}


def compare(requests: int, rounds: int) -> bool:
    """Print both; whether P14 holds."""
    told = asked(requests)
    different = differing(told)
    shown = sum(bool(json.loads(answered(each, OFF))["cards"]) for each in told)
    took = seconds(told, rounds)
    slower = 100 * (took[SILENT] / took[OFF] - 1)
    print(f"{requests} requests, {shown} of them answered with cards: {different} answers differ")
    means = ", ".join(f"{state} {1e6 * each / requests:.0f} µs" for state, each in took.items())
    print(f"silent against off: {slower:+.2f} % time (a request takes {means}; quickest of {rounds} rounds)")
    return different == 0 and slower <= 5


# --- stop -------------------------------------------------------------------------------------------------------------


class Load:
    """Threads that call a server again and again. seen: when each worker's answer had the card and when it had not."""

    def __init__(self, server: Server, threads: int) -> None:
        self._server = server
        self._ended = threading.Event()
        self._body = json.dumps(call("patient-view", condition("urinary-retention", 3))).encode()
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]
        self.calls = self.faults = 0
        self.last: dict[bool, float] = {}

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        """A connection each time: the next may be another worker's."""
        while not self._ended.is_set():
            try:
                response = httpx.post(self._server.url + path_of(HOOKS[0]), content=self._body, timeout=PATIENCE)
                has_card = "emergency" in groups(response.json())
            except (httpx.TransportError, KeyError):
                self.faults += 1
                continue
            self.calls += 1
            self.last[has_card] = max(self.last.get(has_card, 0.0), time.monotonic())

    def until_settled(self, has_card: bool, since: float, quiet: float = 5.0, most: float = 60.0) -> float:
        """Seconds from `since` to the last answer that was otherwise, once none was for `quiet` seconds."""
        deadline = since + most + quiet
        while time.monotonic() < deadline:
            otherwise = self.last.get(not has_card, 0.0)
            if self.last.get(has_card, 0.0) > max(otherwise, since) + quiet:
                return max(otherwise - since, 0.0)
            time.sleep(0.05)
        raise RuntimeError(f"not all workers have followed {most:g} seconds later")


def switch(config: Path, state: str) -> float:
    """As an operator does it; when the file was changed (monotonic clock)."""
    command = [sys.executable, "-m", "hooks.cli", "switch", "cauda-equina", state, "--why", "a trial", "--who", "tests"]
    subprocess.run([*command, "--config", str(config)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    changed = (config.parent / "switches.toml").stat().st_mtime
    return time.monotonic() - (time.time() - changed)


def followed(
    folder: Path, workers: int, threads: int, quiet: float = 5.0, then: Callable[[Server], None] = lambda _: None
) -> list[float]:
    """Seconds until all workers had followed a switch off, and one on again, under load."""
    config = f'data_dir = "{folder}"\n'
    with running(folder, workers, config) as server, Load(server, threads) as load:
        took = []
        for state in ("off", "on"):
            load.until_settled(state == "off", time.monotonic(), quiet)
            since = switch(folder / "settings.toml", state)
            took.append(load.until_settled(state == "on", since, quiet))
        then(server)
        print(f"{workers} workers, {load.calls} calls, {load.faults} faults: off after {took[0]:.2f} s", end=", ")
        print(f"on after {took[1]:.2f} s")
        return took


def main() -> int:
    parser = argparse.ArgumentParser(description="A safe roll-out and a stop that works.")
    commands = parser.add_subparsers(dest="command", required=True)
    silent = commands.add_parser("silent")
    silent.add_argument("--requests", type=int, default=1000)
    silent.add_argument("--rounds", type=int, default=10)
    stop = commands.add_parser("stop")
    stop.add_argument("--workers", type=int, default=4)
    stop.add_argument("--threads", type=int, default=8)
    args = parser.parse_args()
    if args.command == "silent":
        return 0 if compare(args.requests, args.rounds) else 1
    with tempfile.TemporaryDirectory() as folder:
        return 0 if max(followed(Path(folder), args.workers, args.threads)) <= 60 else 1


if __name__ == "__main__":
    sys.exit(main())
