"""The OTLP request of a report, as JSON for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from otel_usage.delivery.exporters.admission import admit_span
from otel_usage.delivery.resource import resource_of

if TYPE_CHECKING:
    from otel_usage.facts.report import Report


def as_otlp_json(report: Report, *, exact_time: bool) -> dict[str, Any]:
    """Return the request that would carry the report, in OTLP's own JSON: enums as numbers, ids in hexadecimal.

    exact_time: whether the destination gets the exact time.
    The span goes through the exit that each report leaves by; no pipeline is needed, which variables of the
    environment could turn off or break.
    """
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 -- for this command only

    span = ReadableSpan(
        report.name,
        context=SpanContext(report.trace_id, report.span_id, is_remote=False),
        resource=resource_of(report),
        attributes=report.attributes("span"),
        start_time=int(report.facts["log_time"]),
    )
    admitted = [left for left in [admit_span(report.app, span, exact_time=exact_time)] if left is not None]
    request: dict[str, Any] = MessageToDict(encode_spans(admitted), use_integers_for_enums=True)
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for sent in scope_spans["spans"]:
                sent["traceId"], sent["spanId"] = f"{report.trace_id:032x}", f"{report.span_id:016x}"
    return request
