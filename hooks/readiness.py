"""Whether a worker should be sent calls (reliability.md, row 43 and section 4).

Knowledge is loaded before a worker listens. What can go wrong later says so here, by name: `report`. FHIR servers and
the keys of clients are no part of it: they are away for some clients only, and taking the service out helps nobody.
"""

import time
from collections.abc import Callable
from typing import Any

CHECKED_SECONDS = 5.0
"""How old the news that a store can be written may be."""


class Readiness:
    """is_draining: whether the server is about to stop. fetches: whether there are FHIR servers that may be asked.

    clock: seconds, monotonic.
    """

    def __init__(
        self,
        fetches: bool = True,
        is_draining: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_draining = is_draining
        self._fetches = fetches
        self._clock = clock
        self._wrong: set[str] = set()
        self._written: dict[str, float] = {}

    def report(self, part: str, is_well: bool) -> None:
        """What a part of the service, such as "self-test", says of itself until it says otherwise."""
        (self._wrong.discard if is_well else self._wrong.add)(part)

    def expect(self, store: str) -> None:
        """From now on this store has to be found writable again and again."""
        self._written[store] = self._clock()

    def written(self, store: str) -> None:
        """This store was written to just now."""
        self._written[store] = self._clock()

    def missing(self) -> list[str]:
        """Why no calls should be sent; empty when they should."""
        return ["draining"] * self.is_draining() + self.wrong()

    def wrong(self) -> list[str]:
        """The parts and stores that do not work."""
        old = self._clock() - CHECKED_SECONDS
        return sorted(self._wrong | {store for store, at in self._written.items() if at < old})

    def page(self) -> dict[str, Any]:
        """What /readyz says."""
        missing = self.missing()
        status = {"status": "not ready", "missing": missing} if missing else {"status": "ready"}
        return status | {"data": "prefetch and FHIR servers" if self._fetches else "prefetch only"}
