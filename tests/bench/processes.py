"""The processes of a benchmark: a server to be measured, and the client that measures it."""

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench.load import Load, Order
from tests.service_rig import children

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")
_FLOOR = "tests.bench.floor"
_GRANIAN = "--workers 1 --no-ws --http 1 --log-level warning --host 127.0.0.1 --port {port} --interface"

OURS = "backpain-cds"
UNAUDITED = "backpain-cds without audit"
FLOOR = "granian, WSGI"
GATEWAY = "granian, RSGI and our gateway"

# Name -> module and arguments; each serves with one process and one thread.
COMMANDS = {
    OURS: "hooks.cli serve --host 127.0.0.1 --port {port} --workers 1",
    UNAUDITED: "tests.bench.unaudited serve --host 127.0.0.1 --port {port} --workers 1",
    FLOOR: f"granian {_GRANIAN} wsgi --blocking-threads 1 {_FLOOR}:app",
    GATEWAY: f"granian {_GRANIAN} rsgi --loop uvloop {_FLOOR}:gateway",
    "gunicorn, gthread": f"gunicorn --bind 127.0.0.1:{{port}} --workers 1 -k gthread --threads 1 {_FLOOR}:app",
    "gunicorn, sync": f"gunicorn --bind 127.0.0.1:{{port}} --workers 1 -k sync {_FLOOR}:app",
    "waitress": f"waitress --listen 127.0.0.1:{{port}} --threads 1 {_FLOOR}:app",
}


class Server(NamedTuple):
    """A server that listens."""

    process: subprocess.Popen[bytes]
    port: int

    def peak_memory(self) -> int | None:
        """The largest resident set of any of its processes so far, in octets; None where /proc does not tell."""
        peaks = [_peak(pid) for pid in family(self.process.pid)]
        return max((peak for peak in peaks if peak), default=None)

    def processor_seconds(self) -> float:
        """What its processes have used so far (Linux)."""
        return processor_seconds(self.process.pid)


def is_installed(name: str) -> bool:
    """Whether the server of that name can be started here; some are no dependency of ours."""
    return importlib.util.find_spec(COMMANDS[name].split()[0].partition(".")[0]) is not None


@contextmanager
def serving(name: str) -> Iterator[Server]:
    """Starts the server of that name on a free port and stops it; shows the end of its log when something fails."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", *COMMANDS[name].format(port=port).split()]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await_listening(process, port, name)
            yield Server(process, port)
        except RuntimeError:
            log.seek(0)
            sys.stderr.write(f"{name}: {log.read()[-2000:].decode(errors='replace')}\n")
            raise
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _await_listening(process: subprocess.Popen[bytes], port: int, name: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{name} did not listen on port {port}")


class Client:
    """The load generator in its own process, so that it takes nothing from who measures."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.bench.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(_STOP_SECONDS)

    def run(self, order: Order) -> Load:
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the client gave up; its reason stands above")
        return msgspec.json.decode(line, type=Load)


def processor_seconds(pid: int) -> float:
    """What the process and its descendants have used so far (Linux)."""
    stats = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid)]
    return sum(int(user) + int(system) for *_, user, system in (stat[:13] for stat in stats)) / _TICKS


def family(pid: int) -> list[int]:
    """The process and its descendants (Linux)."""
    return [pid, *(one for child in children(pid) for one in family(child))]


class Holding(NamedTuple):
    """What a server holds at a moment: all its processes together, memory in octets."""

    memory: int
    memory_of_largest: int
    descriptors: int
    threads: int


def holding(pid: int) -> Holding:
    """Of the process and its descendants (Linux). A page that several share counts for each of them."""
    processes = [Path(f"/proc/{each}") for each in family(pid)]
    statuses = [dict(line.split(":", 1) for line in _lines(each / "status")) for each in processes]
    memory = [int(each["VmRSS"].split()[0]) * 1024 for each in statuses]
    descriptors = sum(len(list((each / "fd").iterdir())) for each in processes)
    return Holding(sum(memory), max(memory), descriptors, sum(int(each["Threads"]) for each in statuses))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _peak(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), None)


def cores() -> int:
    """Processor cores that these processes may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
