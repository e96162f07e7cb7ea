"""`make bench`, or `python -m tests.bench --help`. What the numbers mean: docs/performance.md."""

import argparse
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import granian

from hooks.pipeline import load_site
from hooks.settings import Settings
from hooks.worker import spare_the_collector
from tests.bench import measure
from tests.bench.bodies import KNOWN_SHARE, body_of_size, request_body
from tests.bench.processes import cores
from tests.bench.split import Split, split
from tests.bench.tables import verdict, written

TARGETS = {20: 1.0, 200: 1.4, 2000: 2.0}
"""Resources -> how many times the floor's rate a whole call is to reach."""
P99_SIZE, P99_TARGET = 200, 2.0  # the service's p99 there, in the floor's p50
MEMORY_TARGET = 512 * 2**20

Table = tuple[str, Sequence[str], list[Sequence[str]]]  # title, head, rows


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    now = datetime.now(UTC)
    bodies = {size: request_body(size, now, args.known_share) for size in args.sizes}
    print(_circumstances(args))
    try:
        for table in _server_tables(args, bodies) if args.servers else _tables(args, bodies, now):
            print("\n" + written(*table, markdown=args.markdown), flush=True)
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    whole_numbers = {"type": lambda text: [int(part) for part in text.split(",")], "metavar": "N,N"}
    parser.add_argument("--sizes", default=[20, 200, 2000], help="resources of the charts", **whole_numbers)
    parser.add_argument("--connections", default=[1, 8], help="how many clients at once", **whole_numbers)
    parser.add_argument("--rounds", type=int, default=5, help="turns of service and floor (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a turn (default: %(default)s)")
    parser.add_argument(
        "--known-share",
        type=float,
        default=KNOWN_SHARE,
        help="part of the history whose codes the criteria know (default: %(default)s)",
    )
    parser.add_argument(
        "--servers", action="store_true", help="compare WSGI servers under the floor application instead"
    )
    parser.add_argument("--markdown", action="store_true", help="write the tables for docs/performance.md")
    return parser


def _circumstances(args: argparse.Namespace) -> str:
    numbers = {"sizes": args.sizes, "connections": args.connections}
    given = {name: ",".join(map(str, values)) for name, values in numbers.items()}
    given |= {"rounds": args.rounds, "seconds": args.seconds, "known-share": args.known_share}
    options = "".join(f" --{name} {value}" for name, value in given.items()) + " --servers" * args.servers
    machine = f"{cores()} cores, {platform.machine()}"
    software = f"{platform.python_implementation()} {platform.python_version()}, granian {granian.__version__}"
    return f"`python -m tests.bench{options}`; {machine}, {software}"


def _tables(args: argparse.Namespace, bodies: dict[int, bytes], now: datetime) -> Iterable[Table]:
    compared = measure.compare(bodies, args.connections, args.rounds, args.seconds)
    yield _comparison_table(compared)
    largest = body_of_size(measure.LARGEST_BODY, now)
    site = load_site(Settings())
    spare_the_collector()
    splits = {size: split(body, site, now) for size, body in bodies.items()}
    yield _split_table(splits)
    yield _overhead_table(measure.overheads(bodies, args.seconds))
    yield _memory_table(len(largest), *measure.peak_memory(now), measure.growth(splits) if len(splits) > 1 else None)


def _comparison_table(rows: Iterable[measure.Comparison]) -> Table:
    head = (
        "resources",
        "kB",
        "clients",
        "service/s",
        "floor/s",
        "ratio",
        "target",
        "same gateway",
        "p50 ms",
        "p99 ms",
        "p99 / floor p50",
    )
    return "Whole calls over HTTP, cards returned, and the floor beside them", head, [_compared(row) for row in rows]


def _compared(row: measure.Comparison) -> Sequence[str]:
    tail = row.p99 / row.floor_p50
    target = TARGETS.get(row.resources)
    return (
        str(row.resources),
        f"{row.octets / 1000:.0f}",
        str(row.connections),
        f"{row.ours:.0f}",
        f"{row.floor:.0f}",
        f"{row.ratio:.2f}",
        f"≥ {target}: {verdict(row.ratio >= target)}" if target else "",
        f"{row.alike:.2f}",
        _ms(row.p50),
        _ms(row.p99),
        f"{tail:.2f}" + (f" ≤ {P99_TARGET}: {verdict(tail <= P99_TARGET)}" if row.resources == P99_SIZE else ""),
    )


def _split_table(splits: dict[int, Split]) -> Table:
    rows = [(str(size), *(f"{seconds * 1e6:.0f}" for seconds in parts)) for size, parts in splits.items()]
    return "Where the time of a call goes, in process, µs", ("resources", *Split._fields), rows


def _overhead_table(rows: Iterable[measure.Overhead]) -> Table:
    head = ("resources", "WSGI", "gateway")
    title = "Server, Flask and receiving the body alone, µs a call, 8 clients"
    return title, head, [(str(row.resources), f"{1e6 / row.direct:.0f}", f"{1e6 / row.gateway:.0f}") for row in rows]


def _memory_table(octets: int, before: int | None, after: int | None, exponent: float | None) -> Table:
    memory = verdict(after <= MEMORY_TARGET) if after else "not measured here"
    rows = [
        (f"peak memory before / after bodies of {octets / 2**20:.1f} MiB, MiB", f"{_mib(before)} / {_mib(after)}"),
        (f"at most {_mib(MEMORY_TARGET)} MiB", memory),
        ("growth of the time with resources, exponent", f"{exponent:.2f}" if exponent else "one size only"),
    ]
    return "Memory and growth", ("what", "value"), rows


def _server_tables(args: argparse.Namespace, bodies: dict[int, bytes]) -> Iterable[Table]:
    for size, body in bodies.items():
        rates = list(measure.servers(body, args.connections, args.rounds, args.seconds))
        rows = [(row.name, *(f"{rate:.0f}" for rate in row.rates.values())) for row in rates]
        head = ("server", *(f"clients: {number}" for number in args.connections))
        yield f"The floor application under other servers, {size} resources, calls a second", head, rows


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _mib(octets: int | None) -> str:
    return f"{octets / 2**20:.0f}" if octets else "?"


if __name__ == "__main__":
    sys.exit(main())
