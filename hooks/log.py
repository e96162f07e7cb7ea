"""One JSON line a call on stderr: what happened, never to whom (reliability.md, row 33).

No content, no ids of patients, no URLs: only counts, status codes, FHIR type names and criterion ids.
"""

import logging
import sys
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from hooks.log_writer import LogWriter

if TYPE_CHECKING:
    from hooks.pipeline import Answered

REQUEST_ID = "backpain_cds.request_id"
STARTED = "backpain_cds.started"
ISSUER = "backpain_cds.issuer"
NOT_FETCHED = "backpain_cds.not_fetched"
REPORTED = "backpain_cds.reported"
"""Where the WSGI environment of a call keeps its id, when it began (performance counter), the issuer of the registered
client whom its token names, why the FHIR server did not bring something (prefetch key -> code), and how many items of
feedback were kept."""

_logger = logging.getLogger("backpain_cds")
_logger.addHandler(logging.NullHandler())
_encode = msgspec.json.encode


def configure_logging(level: str) -> None:
    """Send the lines to stderr from `level` ("debug", "info", "warning" or "error") on."""
    _logger.handlers = [LogWriter(sys.stderr.fileno())]
    _logger.propagate = False
    _logger.setLevel(level.upper())


def flush_log() -> None:
    """Wait a moment until the lines so far are written."""
    for handler in _logger.handlers:
        handler.flush()


def lines_dropped() -> int:
    """How many lines nobody will see."""
    return sum(handler.dropped for handler in _logger.handlers if isinstance(handler, LogWriter))


def log_call(
    environ: Mapping[str, Any], service_id: str, status: int, answer: "Answered | None" = None, reason: str = ""
) -> None:
    """A finished call. environ: of the call, which knows its request id, beginning and caller; service_id: "" for none.

    reason: the code of why it was refused, where the caller is not told.
    """
    level = logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
    if not _logger.isEnabledFor(level):
        return
    took = time.perf_counter() - environ[STARTED]
    line: dict[str, Any] = {"event": "call", "status": status, "ms": round(took * 1000, 2)}
    if issuer := environ.get(ISSUER):
        line["issuer"] = issuer
    if reason:
        line["reason"] = reason
    if reported := environ.get(REPORTED):
        line["feedback"] = reported
    if not_fetched := environ.get(NOT_FETCHED):
        line["not_fetched"] = not_fetched
    if answer:
        chart = answer.evaluation.chart
        line |= {"unreadable": sum(chart.unreadable.values()), "foreign": chart.foreign}
        line |= {"missing": sorted(chart.missing), "criteria": answer.shown}
    _write(level, environ, {"service": service_id} | line if service_id else line)


def log_crash(environ: Mapping[str, Any], exc_info: Any) -> None:
    """A fault of ours: the type and the place of the exception, for its text may quote the request."""
    kind, _, trace = exc_info
    last = traceback.extract_tb(trace)[-1:] if trace else []
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in last]
    _write(logging.ERROR, environ, {"event": "crash", "error": kind.__name__ if kind else "unknown", "at": places})


def log_alarm(what: str, **details: Any) -> None:
    """Something that a person should look at soon, though calls are answered. what: the code of the alarm."""
    _write(logging.ERROR, {}, {"event": "alarm", "alarm": what} | details)


def log_event(event: str, **details: Any) -> None:
    """Something that happened to the service itself, not in a call."""
    _write(logging.INFO, {}, {"event": event} | details)


def _write(level: int, environ: Mapping[str, Any], line: dict[str, Any]) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    head = {"time": stamp, "level": logging.getLevelName(level).lower()}
    call = {"request": environ[REQUEST_ID]} if REQUEST_ID in environ else {}
    _logger.log(level, _encode(head | call | line).decode())
