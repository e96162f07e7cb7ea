"""What fetching adds to a call: `python -m tests.bench.fetching`. Explained in docs/fhir-access.md.

A call without prefetch, whose FHIR server takes 50 ms for each answer, beside the same call with all its data.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fetch_rig import Fetching, fetching, lacking, whole

DELAY = 0.05
ROUNDS = 60
MOST_ROUND_TRIPS = 2.5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, fetching(Path(folder), delay=DELAY) as there:
        for hook in ("patient-view", "encounter-start"):
            base = there.rig.base()
            given = _median(there, whole(hook))
            fetched = _median(there, lacking(base, hook=hook))
            asked = len(there.rig.requests(base)) // (ROUNDS + 1)
            aim = given + MOST_ROUND_TRIPS * DELAY
            verdict = "reached" if fetched <= aim else "missed"
            print(f"{hook}: prefetch {given * 1000:.1f} ms, {asked} requests fetched {fetched * 1000:.1f} ms, ", end="")
            print(f"{(fetched - given) / DELAY:.2f} round trips of {DELAY * 1000:.0f} ms (at most 2.5: {verdict})")


def _median(there: Fetching, request: Mapping[str, Any]) -> float:
    """Seconds of a call; the first one, which makes the connections, does not count."""
    there.ask(request).raise_for_status()
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        there.ask(request).raise_for_status()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
