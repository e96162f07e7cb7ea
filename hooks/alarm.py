"""Telling somebody, and not more often than they can bear."""

import time
from collections.abc import Callable
from typing import Any

from hooks.log import log_alarm

ALARM_SECONDS = 60.0


class Alarm:
    """Says in the log that something needs a person: at once, and again each minute while it lasts."""

    def __init__(self, code: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._code = code
        self._clock = clock
        self._again_at = float("-inf")

    def sound(self, **details: Any) -> None:
        """details: counts and codes, no content."""
        now = self._clock()
        if now >= self._again_at:
            self._again_at = now + ALARM_SECONDS
            log_alarm(self._code, **details)
