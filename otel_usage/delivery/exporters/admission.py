"""The exit of the pipeline: a span leaves as one that is built anew from what the table admits.

The check stands here, at the end, because a fork, a plugin or the host's environment can put things
into a span, or into its resource, after it was started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from otel_usage.delivery.exporters.outcome import STOPPED, Outcome
from otel_usage.facts.admission import admit_attributes
from otel_usage.facts.builtin import HEARTBEAT, REPORT, SCHEMA_URL, SCOPE
from otel_usage.facts.scope import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from otel_usage.facts.app import App

MAX_ENCODED = 32 * 1024
HOUR = 3600 * 10**9


def admit_span(app: App, span: ReadableSpan, *, exact_time: bool = False) -> ReadableSpan | None:
    """Build the span that may leave: no events, links, status text, parent or trace state; None for a foreign one.

    exact_time: keep the time as it is, which is cut to the hour otherwise.
    """
    if span.name not in (REPORT, HEARTBEAT) or span.context is None:
        return None
    resource, _ = admit_attributes(app, span.resource.attributes, "resource")
    attributes, _ = admit_attributes(app, span.attributes or {}, "span")
    time = span.start_time or 0
    time -= 0 if exact_time else time % HOUR
    return ReadableSpan(
        span.name,
        context=SpanContext(
            span.context.trace_id, span.context.span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        ),
        resource=Resource(resource, SCHEMA_URL),
        attributes=attributes,
        kind=SpanKind.INTERNAL,
        instrumentation_scope=InstrumentationScope(SCOPE, __version__),
        start_time=time,
        end_time=time,
    )


class Sender(Protocol):
    """What the exit hands admitted spans to."""

    def send(self, spans: Sequence[ReadableSpan], request: ExportTraceServiceRequest) -> Outcome:
        """Send the spans, which `request` holds encoded; never raises an Exception."""

    def shutdown(self) -> None:
        """Close what is open."""


class AdmissionExporter(SpanExporter):
    """Hands what the table admits to a sender, and keeps the outcome.

    exact_time: see admit_span.
    """

    def __init__(self, app: App, sender: Sender, *, exact_time: bool = False) -> None:
        self._app, self._sender, self._exact_time = app, sender, exact_time
        #: What became of the last span; until there is one, nothing was let through.
        self.outcome: Outcome = STOPPED

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the admitted spans, refusing a report that is too large; never raises an Exception."""
        built = [admit_span(self._app, span, exact_time=self._exact_time) for span in spans]
        admitted = [span for span in built if span is not None]
        if not admitted:
            return SpanExportResult.SUCCESS
        try:
            self.outcome = self._sent(admitted)
        except Exception as error:  # noqa: BLE001 -- the SDK would log it, with a traceback on the host's stderr
            self.outcome = Outcome(f"the sender failed ({type(error).__name__})")
        return SpanExportResult.SUCCESS if self.outcome.ok else SpanExportResult.FAILURE

    def _sent(self, admitted: Sequence[ReadableSpan]) -> Outcome:
        request = encode_spans(admitted)
        if (size := request.ByteSize()) > MAX_ENCODED:
            return Outcome(f"dropped: the report has {size} bytes, at most {MAX_ENCODED} may leave", again=False)
        return self._sender.send(admitted, request)

    def shutdown(self) -> None:
        """Close what the sender holds open."""
        self._sender.shutdown()
