"""The OTLP request of a report, as JSON for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_usage.delivery.exporters.admission import AdmissionExporter
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.pipeline import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_usage.facts.report import Report


class Collected:
    """A sender that keeps the request, and sends nothing."""

    request: ExportTraceServiceRequest

    def send(self, spans: Sequence[ReadableSpan], request: ExportTraceServiceRequest) -> Outcome:
        """Keep the request."""
        del spans
        self.request = request
        return Outcome("collected", ok=True)

    def shutdown(self) -> None:
        """Do nothing: nothing is open."""


def as_otlp_json(report: Report, *, exact_time: bool) -> dict[str, Any]:
    """Return the request that would carry the report, in OTLP's own JSON: enums as numbers, ids in hexadecimal.

    The report goes through the pipeline of a real one, whatever the mode is.

    Args:
        report: What would be sent.
        exact_time: Whether the destination gets the exact time.

    Raises:
        click.ClickException: The pipeline drops the report, which is too large.
    """
    from google.protobuf.json_format import MessageToDict  # for this command only

    collected = Collected()
    exporter = AdmissionExporter(report.app, collected, exact_time=exact_time)
    emit(report, exporter, ALWAYS_ON)
    if not exporter.outcome.ok:
        message = f"nothing would be sent: {exporter.outcome.detail}"
        raise click.ClickException(message)
    request: dict[str, Any] = MessageToDict(collected.request, use_integers_for_enums=True)
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for sent in scope_spans["spans"]:
                sent["traceId"], sent["spanId"] = f"{report.trace_id:032x}", f"{report.span_id:016x}"
    return request
