"""The alarms that the service raised in its log, in this process."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest


class Alarms:
    """Those so far, each as its log line."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        self._log = log

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = (json.loads(record.getMessage()) for record in self._log.records if record.name == "backpain_cds")
        return (line for line in lines if line["event"] == "alarm")

    def __len__(self) -> int:
        return sum(1 for _ in self)


@pytest.fixture
def alarms(caplog: pytest.LogCaptureFixture) -> Alarms:
    caplog.set_level(logging.INFO, "backpain_cds")
    return Alarms(caplog)
