"""The OTLP request of a report, as JSON for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_usage.exporters.admitting import AdmittingExporter
from otel_usage.exporters.outcome import Outcome
from otel_usage.pipeline import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_usage.report import Report

IDS = {"traceId": 32, "spanId": 16}


class Keeper:
    """A sender that sends nothing and keeps the request."""

    request: ExportTraceServiceRequest

    def send(self, spans: Sequence[ReadableSpan], request: ExportTraceServiceRequest) -> Outcome:
        """Keep the request."""
        del spans
        self.request = request
        return Outcome("kept", ok=True)

    def shutdown(self) -> None:
        """Do nothing."""


def as_otlp_json(report: Report) -> dict[str, Any]:
    """Return the request that would carry the report, in OTLP's own JSON: enums as numbers, ids in hexadecimal."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 -- for this command only

    keeper = Keeper()
    emit(report, AdmittingExporter(report.app, keeper), ALWAYS_ON)
    request: dict[str, Any] = MessageToDict(keeper.request, use_integers_for_enums=True)
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                span["traceId"], span["spanId"] = f"{report.trace_id:032x}", f"{report.span_id:016x}"
    return request
