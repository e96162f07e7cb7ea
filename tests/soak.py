"""Whether a server stays as it is after very many calls (reliability.md, row 41).

    python -m tests.soak --calls 200000

Two workers with audit and metrics answer a mixture of calls, of good ones and of bad ones, on connections that are
closed again and again. Memory, descriptors and threads of all processes of the server are looked at two hundred times.
After the first tenth of the calls nothing may grow: the last fifth is compared with the fifth after the warm-up.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import uuid4

from hooks.ledger.database import FILE as LEDGER
from tests.bench.arrivals import Pool, get, post
from tests.bench.bodies import request_body
from tests.bench.overload import PATH, circumstances
from tests.bench.processes import Holding, holding
from tests.bench.tables import put, verdict, written
from tests.feedback_rig import overridden, said
from tests.service_rig import free_port, running

CALLERS = 8
CALLS_A_CONNECTION = 200
GROWTH = 0.10
"""Of resident memory after the warm-up; descriptors and threads may not grow at all beyond what comes and goes."""
SLACK = 4
WARM_UP, PART = 0.1, 0.2  # of the calls
SAMPLES = 200

Kind = tuple[bytes, int]  # a request, and the status of its answer


class Sample(NamedTuple):
    """What the server held after so many calls."""

    calls: int
    held: Holding


class Soaked(NamedTuple):
    """answers: by status; unexpected: answers with another status than they should have; ledger: octets on disk at the
    end."""

    seconds: float
    answers: Counter[int]
    unexpected: int
    samples: list[Sample]
    ledger: int = 0


class Judged(NamedTuple):
    """A figure in the fifth after the warm-up and in the last fifth: medians."""

    name: str
    before: float
    after: float
    is_flat: bool


def mixture(now: datetime) -> Callable[[], Kind]:
    """Of a hundred calls ninety are good, most of them short; the others fail in one way or another."""
    sizes = {size: request_body(size, now) for size in (20, 200, 2000)}
    without_patient = json.loads(sizes[20])
    without_patient["prefetch"]["patient"] = None
    kinds: dict[Callable[[], Kind], int] = {
        lambda: (post(PATH, sizes[20]), 200): 72,
        lambda: (post(PATH, sizes[200]), 200): 15,
        lambda: (post(PATH, sizes[2000]), 200): 1,
        lambda: (get("/cds-services"), 200): 2,
        lambda: (post(f"{PATH}/feedback", _feedback()), 200): 2,
        lambda: (post(PATH, sizes[20][:-9]), 400): 3,
        lambda: (post(PATH, json.dumps(without_patient).encode()), 412): 2,
        lambda: (post("/cds-services/no-such-service", sizes[20]), 404): 2,
        lambda: (post(PATH, b"[" * 5000), 400): 1,
    }
    chance, makers, weights = random.Random(1), list(kinds), list(kinds.values())
    return lambda: chance.choices(makers, weights)[0]()


def _feedback() -> bytes:
    return json.dumps(said(overridden(str(uuid4())))).encode()


async def soak(port: int, pid: int, calls: int, kind: Callable[[], Kind]) -> Soaked:
    """Eight callers who wait for their answers, until so many calls are made."""
    answers: Counter[int] = Counter()
    samples, began = [], time.monotonic()
    unexpected = 0
    left, every = iter(range(calls)), max(1, calls // SAMPLES)

    async def caller() -> None:
        nonlocal unexpected
        pool = Pool(port)
        for number in left:
            request, expected = kind()
            status = await pool.ask(request)
            answers[status] += 1
            unexpected += status != expected
            if number % every == 0:
                samples.append(Sample(number, holding(pid)))
            if number % CALLS_A_CONNECTION < CALLERS:
                pool.close()
                pool = Pool(port)
        pool.close()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    samples.append(Sample(calls, holding(pid)))
    return Soaked(time.monotonic() - began, answers, unexpected, samples)


def judge(samples: Sequence[Sample], calls: int) -> Iterator[Judged]:
    """Each figure. Raises ValueError for too few samples: such a run says nothing."""
    first = [each.held for each in samples if WARM_UP * calls <= each.calls < (WARM_UP + PART) * calls]
    last = [each.held for each in samples if each.calls >= (1 - PART) * calls]
    if min(len(first), len(last)) < 3:
        raise ValueError("fewer than three samples before or after: make more calls")
    for field in Holding._fields:
        before, after = (median(getattr(held, field) for held in part) for part in (first, last))
        most = before * (1 + GROWTH) if field.startswith("memory") else before + SLACK
        yield Judged(field.replace("_", " "), before, after, after <= most)


def table(soaked: Soaked, judged: Sequence[Judged]) -> str:
    calls = sum(soaked.answers.values())
    told = ", ".join(f"{count} × {status}" for status, count in sorted(soaked.answers.items()))
    title = f"{calls} calls in {soaked.seconds:.0f} s: {told}; {soaked.unexpected} other than expected"
    head = ("what", "after the warm-up", "at the end", "growth", "")
    disk = f"Feedback and audit take {soaked.ledger / calls / 1000:.1f} kB a call on disk."
    return f"{written(title, head, [_told(each) for each in judged], markdown=True)}\n\n{disk}"


def _told(each: Judged) -> Sequence[str]:
    unit, name = (2**20, f"{each.name}, MiB") if each.name.startswith("memory") else (1, each.name)
    growth = f"{each.after / each.before - 1:+.1%}"
    return name, f"{each.before / unit:.0f}", f"{each.after / unit:.0f}", growth, "flat" if each.is_flat else "grows"


def run(calls: int, workers: int) -> tuple[Soaked, list[Judged]]:
    """Raises ValueError for too few calls."""
    lines = ('log_level = "info"', "development = true", 'data_dir = "."', "[operations]", f"port = {free_port()}")
    with tempfile.TemporaryDirectory() as folder:
        with running(Path(folder), workers, "\n".join(lines)) as server:
            kind = mixture(datetime.now(UTC))
            soaked = asyncio.run(soak(server.port, server.process.pid, calls, kind))
        ledger = sum(each.stat().st_size for each in Path(folder).glob(f"{LEDGER}*"))
    return soaked._replace(ledger=ledger), list(judge(soaked.samples, calls))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    soaked, judged = run(options.calls, options.workers)
    command = circumstances(f"python -m tests.soak --calls {options.calls} --workers {options.workers}")
    is_well = not soaked.unexpected and all(each.is_flat for each in judged)
    text = f"{command}\n\n{table(soaked, judged)}\n\nFlat, and every answer as expected: {verdict(is_well)}."
    print(text)
    if options.write:
        put("soak", text)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
