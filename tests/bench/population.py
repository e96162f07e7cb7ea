"""`python -m tests.bench.population`: patients a second and core, and memory, of `backpain-cds replay`.

The population is made from the sample charts: each patient is one of them, moved by some weeks, with ids of its own and
years of routine care. The same seed and size give the same files.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

from fhir_profiles import samples
from tests.bench.bodies import request_body

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MEMORY_GROWTH = 1.25
"""How much more memory ten times as many patients may take."""
_MARK = "~"  # stands for the patient's number; no sample chart has it
_WEEKS = (0, 3, 9, 40)
_MOST_ROUTINE = 60
_SAMPLED_SECONDS = 0.2


class Run(NamedTuple):
    """One replay. seconds: whole; busy: of processor time; peak: octets of resident memory of all its processes."""

    patients: int
    processes: int
    seconds: float
    busy: float
    peak: int

    @property
    def rate(self) -> float:
        """Patients a second of one core: others on the machine do not change it much."""
        return self.patients / self.busy


def write_population(folder: Path, patients: int, seed: int = 7) -> None:
    """Bulk Data of so many patients: a file a resource type."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = Random(seed)
    charts, routine = _charts(), _routine()
    kinds = {kind for each in (*charts, routine) for kind, _ in each}
    files = {kind: (folder / f"{kind}.ndjson").open("w") for kind in sorted(kinds)}
    for number in range(patients):
        lines = [*chance.choice(charts), *chance.sample(routine, chance.randint(0, _MOST_ROUTINE))]
        for kind, line in lines:
            files[kind].write(line.replace(_MARK, f"-{number}"))
    for file in files.values():
        file.close()


@cache
def _charts() -> list[list[tuple[str, str]]]:
    """Type and JSON of the resources of each chart, ids with a mark at their end."""
    moved = (
        samples.shifted(samples.load(name), AT - timedelta(weeks=weeks)) for name in samples.names() for weeks in _WEEKS
    )
    return [[*_lines([entry["resource"] for entry in chart["entry"]])] for chart in moved]


@cache
def _routine() -> list[tuple[str, str]]:
    """Years of routine care of nobody in particular."""
    prefetch = json.loads(request_body(500, AT))["prefetch"]
    resources = [entry["resource"] for found in prefetch.values() for entry in found.get("entry", ())]
    return [*_lines([each for each in resources if each["id"].startswith("h")])]


def _lines(resources: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for resource in resources:
        marked = _marked(resource)
        if resource["resourceType"] != "Patient" and "subject" in marked:
            marked["subject"] = {"reference": f"Patient/p{_MARK}"}
        elif resource["resourceType"] == "Patient":
            marked["id"] = f"p{_MARK}"
        elif "patient" in marked:
            marked["patient"] = {"reference": f"Patient/p{_MARK}"}
        yield resource["resourceType"], json.dumps(marked, separators=(",", ":")) + "\n"


def _marked(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _marked(child, key) for key, child in value.items()}
    if isinstance(value, list):
        return [_marked(child) for child in value]
    return value + _MARK if name in ("id", "reference") and isinstance(value, str) and value[0] != "#" else value


def measure(folder: Path, patients: int, processes: int) -> Run:
    """One replay in processes of its own."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "hooks.cli", "replay", str(folder), "--at", AT.isoformat()]
        command += ["--output", f"{output}/out", "--processes", str(processes)]
        begun = time.perf_counter()
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watch = _Watch(run.pid)
        watch.start()
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begun
        watch.join()
        if run.returncode != 0:
            raise RuntimeError(f"replay ended with {run.returncode}")
    return Run(patients, processes, seconds, used.ru_utime + used.ru_stime, watch.peak)


class _Watch(threading.Thread):
    """Adds up the memory of a process and of those below it, as long as it runs (Linux)."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.peak = 0
        self._pid = pid

    def run(self) -> None:
        while Path(f"/proc/{self._pid}").exists() and _state(self._pid) != "Z":
            self.peak = max(self.peak, sum(map(_resident, [self._pid, *_below(self._pid)])))
            time.sleep(_SAMPLED_SECONDS)


def _state(pid: int) -> str:
    """ "Z" for one that has ended and was not asked for its exit code yet."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].strip()[:1]


def _below(pid: int) -> Iterator[int]:
    for child in map(int, _read(f"/proc/{pid}/task/{pid}/children").split()):
        yield child
        yield from _below(child)


def _resident(pid: int) -> int:
    pages = _read(f"/proc/{pid}/statm").split()[1:2]
    return int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _read(name: str) -> str:
    """ "" for a process that has just ended."""
    try:
        return Path(name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.population", description=__doc__)
    whole_numbers = {"type": lambda text: [int(part) for part in text.split(",")], "metavar": "N,N"}
    parser.add_argument("--patients", default=[1_000, 10_000, 100_000], help="sizes of the population", **whole_numbers)
    parser.add_argument("--processes", default=[1, 2], help="worker processes", **whole_numbers)
    args = parser.parse_args(argv)
    print("| patients | MB of NDJSON | processes | seconds | core seconds | patients/s/core | peak MiB |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    runs = []
    for patients in args.patients:
        with tempfile.TemporaryDirectory() as folder:
            write_population(Path(folder), patients)
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            for processes in args.processes:
                runs.append(run := measure(Path(folder), patients, processes))
                print(
                    f"| {patients:,} | {size:,.0f} | {processes} | {run.seconds:.1f} | {run.busy:.1f} "
                    f"| {run.rate:.0f} | {run.peak / 2**20:.0f} |",
                    flush=True,
                )
    _verdicts(runs)
    return 0


def _verdicts(runs: Sequence[Run]) -> None:
    """Memory from each size to the next larger one, and what a second process brings to the largest."""
    sizes = sorted({run.patients for run in runs})
    by = {(run.patients, run.processes): run for run in runs}
    for processes in sorted({run.processes for run in runs}):
        for fewer, more in pairwise(sizes):
            grown = by[more, processes].peak / by[fewer, processes].peak
            verdict = "flat" if grown <= MEMORY_GROWTH else "grows"
            print(f"\nmemory of {processes} processes, {fewer:,} to {more:,} patients: x {grown:.2f}, {verdict}")
    if {(sizes[-1], 1), (sizes[-1], 2)} <= by.keys():
        gained = by[sizes[-1], 1].seconds / by[sizes[-1], 2].seconds
        print(f"\n1 to 2 processes: x {gained:.2f}; two that have nothing to do with each other: x {unshared():.2f}")


def unshared(rounds: int = 9, times: int = 60) -> float:
    """What a second process brings on this machine where nothing is shared: the median of some rounds."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_parse, [1, 1], chunksize=1)  # both have started
        gained = []
        for _ in range(rounds):
            begun = time.perf_counter()
            pool.apply(_parse, [times])
            one = time.perf_counter()
            pool.map(_parse, [times, times], chunksize=1)
            gained.append(2 * (one - begun) / (time.perf_counter() - one))
    return median(gained)


def _parse(times: int) -> None:
    for _ in range(times):
        for _, line in _routine():
            json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
