"""Waiting for what another process does: as long as a busy machine may take, and no longer than it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 90.0
"""Seconds. Nothing is as slow as that where it works; what it ends is a test that waits for what never comes."""


Said = TypeVar("Said")


def until(says: Callable[[], Said]) -> Said:
    """What it says once that is true. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not (said := says()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come to that within {PATIENCE:g} seconds")
        time.sleep(0.02)
    return said
