"""OpenTelemetry traces, for whoever has a collector: where a call's time went, and nothing about whom it was.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT says where to send them; the extra `otel` installs what is needed. Spans have a
name, times, and the service and status of the call: no URLs, no ids, no text of an exception.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hooks.log import log_alarm

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_NOTHING = nullcontext()
_tracer: Any = None


def configure_tracing(environ: Mapping[str, str], release: str) -> None:
    """From now on spans of this process are sent, if the environment says where to."""
    global _tracer
    if not environ.get(ENDPOINT):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        log_alarm("no-traces", right="pip install 'backpain-cds[otel]'")
        return
    about = Resource.create({"service.name": "backpain-cds", "service.version": release})
    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("backpain-cds", release)


def span(name: str) -> AbstractContextManager[Any]:
    """A part of a call, as long as the block lasts."""
    if _tracer is None:
        return _NOTHING
    return _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)


def describe(made: Any, **attributes: str | int) -> None:
    """Say more of a span. made: what `span` gave; None when there are no traces."""
    if made is not None:
        made.set_attributes(attributes)
