"""What keeps the audit while calls are answered: a line in the spool for each, before its answer goes out (row 37)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from cds.evaluation import CATALOGUE_VERSION
from hooks.alarm import Alarm
from hooks.audit.content import card_entries, criteria_json, input_json, thresholds_digest
from hooks.audit.entry import Entry, instant, raw
from hooks.audit.identifiers import Identifiers
from hooks.audit.spool import Spool
from hooks.auth import ADMISSION, NOBODY
from hooks.errors import LedgerUnavailable
from hooks.log import REQUEST_ID, STARTED
from hooks.pipeline import Answered, Site
from hooks.request import HookRequest

HAND_OVER_SECONDS = 1.0
"""How long a row waits until it can be filed."""
_LONGEST_REASON, _LONGEST_TENANT = 100, 300
_encode = msgspec.json.Encoder().encode


class Audit:
    """Keeps a row for each hook call of one worker. release: of the program; clock: for calls that were refused.

    identifiers: how users and patients are named in it. lost: rows so far that could not be kept.
    """

    def __init__(
        self, spool: Spool, identifiers: Identifiers, site: Site, release: str, clock: Callable[[], datetime]
    ) -> None:
        self.identifiers = identifiers
        self.lost = 0
        self._spool = spool
        self._settings = site.settings
        self._clock = clock
        self._alarm = Alarm("audit-row-lost")
        self._unfiled = Alarm("audit-not-filed")
        self._basis = {
            "release": release,
            "catalogue": CATALOGUE_VERSION,
            "knowledge": site.knowledge.version,
            "thresholds": thresholds_digest(site.settings),
        }
        self._busy = Entry("", "", 503, 0.0, reason="busy", **self._basis)

    def record(
        self,
        environ: Mapping[str, Any],
        service_id: str,
        status: int,
        request: HookRequest | None = None,
        answered: Answered | None = None,
        reason: str = "",
    ) -> None:
        """A call whose answer is ready. request: what was understood of it; reason: a code, of a refusal.

        Raises LedgerUnavailable for an answered call that cannot be kept, where the site wants it so (`strict`).
        """
        at = answered.evaluation.at if answered else self._clock()
        took = (time.perf_counter() - environ[STARTED]) * 1000
        entry = Entry(environ[REQUEST_ID], instant(at), status, round(took, 2), service=service_id, **self._basis)
        entry.reason = reason[:_LONGEST_REASON]
        self._add_caller(entry, environ, request)
        if answered:
            self._add_answer(entry, answered)
            if self._settings.audit.store_input and request:
                entry.input = input_json(request)
        self._keep(entry, answered)

    def record_busy(self, request_id: str, service_id: str) -> None:
        """A call that was one too many: nobody looked who called or about whom, and saying so is to cost little."""
        entry = self._busy
        entry.id, entry.at, entry.service = request_id, instant(self._clock()), service_id
        self._keep(entry)

    async def hand_over(self) -> None:
        """Until cancelled: end what was written so far, again and again, so that it can be filed."""
        while True:
            await asyncio.sleep(HAND_OVER_SECONDS)
            try:
                self._spool.turn()
            except OSError as error:
                self._unfiled.sound(error=type(error).__name__)

    def _add_caller(self, entry: Entry, environ: Mapping[str, Any], request: HookRequest | None) -> None:
        admission = environ.get(ADMISSION, NOBODY)
        entry.issuer = admission.issuer
        entry.tenant = "".join(filter(str.isprintable, admission.tenant))[:_LONGEST_TENANT]
        if request:
            whose = entry.issuer, admission.tenant
            entry.user_key = self.identifiers.user(*whose, request.context.userId)
            entry.patient_key = self.identifiers.patient(*whose, request.context.patientId)
            entry.hook, entry.hook_instance = request.hook, request.hookInstance

    def _add_answer(self, entry: Entry, answered: Answered) -> None:
        evaluation = answered.evaluation
        chart = evaluation.chart
        entry.unreadable = sum(chart.unreadable.values())
        entry.foreign_resources = chart.foreign
        entry.missing = raw(sorted(chart.missing))
        entry.criteria = raw(criteria_json(evaluation, answered.states, self._settings.disabled))
        entry.cards = card_entries(answered.cards, evaluation)
        entry.suppressed = raw([repeat._asdict() for repeat in answered.suppressed])

    def _keep(self, entry: Entry, answered: Answered | None = None) -> None:
        if self._spool.append(_encode(entry) + b"\n"):
            return
        if answered and self._settings.audit.strict:
            raise LedgerUnavailable("audit")  # the refusal that comes of it has a row of its own to lose
        self.lost += 1
        self._alarm.sound(lost=self.lost)


class Unaudited:
    """In place of an Audit where an application has no folder to keep one in: tests, and tools that serve nobody."""

    identifiers: Identifiers | None = None
    lost = 0

    def record(self, *_: Any, **__: Any) -> None:
        """Keeps nothing."""

    def record_busy(self, *_: Any) -> None:
        """Keeps nothing."""
