"""Admission, the last step before a sender: build a new span from the declared facts only.

It comes last because a fork, a plugin or the host's environment can add to a span, or to its resource, after the start.
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
    """Build the span that may leave, from declared facts only, without events, links, status, parent or trace state.

    Args:
        app: Its facts are the allow-list.
        span: The span that ended.
        exact_time: Whether to keep its exact time. Otherwise the time is cut to the hour.

    Returns:
        The new span; None if the given one is neither a report nor a heartbeat.
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
    """Sends admitted spans to one destination."""

    def send(self, spans: Sequence[ReadableSpan], request: ExportTraceServiceRequest) -> Outcome:
        """Send the spans.

        Args:
            spans: The admitted spans.
            request: The same spans, encoded.

        Returns:
            The outcome. No Exception is raised.
        """

    def shutdown(self) -> None:
        """Close open connections."""


class AdmissionExporter(SpanExporter):
    """Passes what is admitted of each span to a sender, and keeps the outcome.

    Args:
        app: See admit_span.
        sender: Gets the admitted spans.
        exact_time: See admit_span.

    Attributes:
        outcome: The outcome of the last span; STOPPED as long as none was admitted.
    """

    def __init__(self, app: App, sender: Sender, *, exact_time: bool = False) -> None:
        self._app, self._sender, self._exact_time = app, sender, exact_time
        self.outcome: Outcome = STOPPED

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send what is admitted of the spans, unless it is too large. No Exception is raised."""
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
        """Close the connections of the sender."""
        self._sender.shutdown()
