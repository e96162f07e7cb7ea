"""Fetching what a hook call lacks from its FHIR server: the call goes on as if the client had sent it (R64 to R78).

All keys are asked for at once. A key that cannot be had stays away, one that can be had in part says so with a next
link, and reading makes exactly what depends on it unknown.
"""

import asyncio
import re
import time
from collections import Counter
from urllib.parse import parse_qsl

import msgspec

from hooks.errand import HOLD_MEDICINES, READ_KEYS, Errand, Lacking
from hooks.errors import Unavailable
from hooks.fhir_client import Access, FhirClient
from hooks.outbound import Base, Server
from hooks.pages import Pages, absent_medications, check_body, read_head
from hooks.smart_scopes import READ, SEARCH, Reach, reach

FETCH_SECONDS = 3.7  # of the four that a whole call may take
CALLS_PER_SERVER = 24
"""Calls of one worker that wait for the same FHIR server; a slow one cannot take the place of the others' calls."""
CALLS_AT_ONCE = 96
PAGE_SIZE = 250
_MEDICATIONS_AT_ONCE, _MOST_MEDICATIONS = 50, 200
_ID = re.compile(r"[A-Za-z0-9\-.]{1,128}")


class Fetcher:
    """Runs the errands of one worker on its event loop. seconds: from the errand's start to the end of all fetching."""

    def __init__(self, client: FhirClient, seconds: float = FETCH_SECONDS) -> None:
        self._client = client
        self._seconds = seconds
        self._running: Counter[Base] = Counter()

    @property
    def waiting(self) -> int:
        """Calls for which something is being fetched."""
        return self._running.total()

    async def run(self, errand: Errand) -> None:
        """Complete the errand's request. Never raises for what a server does, and ends in time.

        Beyond what may wait for a server nothing is fetched: the call is answered at once from what it brought.
        """
        if errand.request is None or errand.server is None:
            return
        base = errand.server.base
        if self._running[base] >= CALLS_PER_SERVER or self._running.total() >= CALLS_AT_ONCE:
            errand.turned_away = True
            errand.failed = {lacking.key: "busy" for lacking in errand.lacking}
            return
        self._running[base] += 1
        try:
            await self._fetch(errand, errand.server)
        finally:
            self._running[base] -= 1

    async def _fetch(self, errand: Errand, server: Server) -> None:
        if errand.request is None:
            return
        with self._client.access(server, errand.started + self._seconds) as access:
            fillings = [_Filling(access, lacking, errand.scope) for lacking in errand.lacking]
            await asyncio.gather(*(filling.fill() for filling in fillings))
            filled = {each.key: msgspec.Raw(each.value) for each in fillings if each.value is not None}
        errand.request = errand.request._replace(prefetch=errand.request.prefetch | filled)
        errand.failed = {each.key: each.reason for each in fillings if each.reason}


class _Filling:
    """One key on its way. value: the JSON to put there, None for nothing; reason: code of what is missing."""

    def __init__(self, access: Access, lacking: Lacking, scope: str) -> None:
        self.key = lacking.key
        self.value: bytes | None = None
        self.reason = ""
        self._access = access
        self._lacking = lacking
        self._scope = scope

    async def fill(self) -> None:
        try:
            async with asyncio.timeout(self._access.deadline - time.monotonic()):
                await (self._read() if self.key in READ_KEYS else self._search())
        except TimeoutError:
            self.reason = "deadline"
        except Unavailable as failure:
            self.reason = failure.reason

    async def _read(self) -> None:
        kind, _, id_ = self._lacking.query.partition("/")
        if reach(self._scope, kind, READ) is Reach.NOTHING:
            raise Unavailable("scope")
        body = await self._access.get(f"{self._access.server.base}/{self._lacking.query}")
        check_body(body)
        head = read_head(body)
        if head is None or (head.resourceType, head.id) != (kind, id_):
            raise Unavailable("another-resource")
        self.value = body

    async def _search(self) -> None:
        kind, _, query = self._lacking.query.partition("?")
        pages = Pages(self._access, self._lacking.first)
        try:
            if not pages.is_whole:
                await self._follow(pages, kind, dict(parse_qsl(query)))
            if self.key in HOLD_MEDICINES:
                await self._add_medications(pages)
        except (Unavailable, asyncio.CancelledError) as stop:
            pages.reason = pages.reason or getattr(stop, "reason", "deadline")
            raise
        finally:
            self.reason = pages.reason
            if not pages.is_empty_handed:
                self.value = pages.bundle()

    async def _follow(self, pages: Pages, kind: str, params: dict[str, str]) -> None:
        """A scope with a filter lets us have a part: what it brings counts, and the rest is missing."""
        reached = reach(self._scope, kind, SEARCH)
        if reached is Reach.NOTHING:
            raise Unavailable("scope")
        if reached is Reach.PART:
            pages.reason = "scope"
        await pages.follow(f"{self._access.server.base}/{kind}", params | {"_count": str(PAGE_SIZE)})

    async def _add_medications(self, pages: Pages) -> None:
        """The Medications that prescriptions refer to: without them nobody knows which medicines those are."""
        ids = [id_ for id_ in absent_medications(pages.entries, self._access.server.base) if _ID.fullmatch(id_)]
        for start in range(0, min(len(ids), _MOST_MEDICATIONS), _MEDICATIONS_AT_ONCE):
            wanted = ids[start : start + _MEDICATIONS_AT_ONCE]
            medications = Pages(self._access)
            try:
                await self._follow(medications, "Medication", {"_id": ",".join(wanted)})
            finally:
                pages.entries += medications.entries
        if absent_medications(pages.entries, self._access.server.base):
            raise Unavailable("medications")
