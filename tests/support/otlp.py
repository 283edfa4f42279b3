"""Usage reports as the OTLP requests that clients send, and as stores return them."""

from __future__ import annotations

import base64
import json
import os
import time

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")
KINDS = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
RUN = {"service.name": "vllm", "service.instance.id": "5be557ae-ae32-47db-958b-18a1c1cb19f1"}
BACK = {"stringValue": str, "boolValue": bool, "intValue": int, "doubleValue": float}


def request(*reports):
    """Return the request of some reports, each as (resource attributes, span attributes) or as the former alone."""
    made = ExportTraceServiceRequest()
    for report in reports:
        resource, span = report if isinstance(report, tuple) else (report, {"otel_usage.context": "LLM_CLASS"})
        add_report(made, resource, span)
    return made


def add_report(made, resource, span, name="otel_usage.report"):
    """Add a report to a request, and return its span."""
    spans = made.resource_spans.add()
    put(spans.resource.attributes, {**RUN, **resource})
    scope = spans.scope_spans.add()
    scope.scope.name = "otel_usage"
    added = scope.spans.add(
        name=name, trace_id=os.urandom(16), span_id=os.urandom(8), kind=1,
        start_time_unix_nano=time.time_ns(), end_time_unix_nano=time.time_ns(),
    )  # fmt: skip
    put(added.attributes, span)
    return added


def put(attributes, values):
    """Put values into a list of attributes, by their Python types."""
    for name, value in values.items():
        setattr(attributes.add(key=name).value, KINDS[type(value)], value)


def sized(size):
    """Return a report of exactly that many bytes, with one undeclared attribute."""
    length = size
    while (made := request({"pad": "x" * length})).ByteSize() > size:
        length -= made.ByteSize() - size
    assert made.ByteSize() == size
    return made.SerializeToString()


def as_json(made):
    """Return a request in OTLP's JSON, which is protobuf's own JSON with ids as hexadecimal digits."""
    return json.dumps(_with_digits(MessageToDict(made))).encode()


def _with_digits(value):
    if isinstance(value, list):
        return [_with_digits(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: base64.b64decode(one).hex() if key in IDS else _with_digits(one) for key, one in value.items()}


def found(requests):
    """Return every span of some OTLP/JSON requests as (trace id, name, resource attributes, span attributes)."""
    return [
        (span["traceId"], span["name"], plain(spans["resource"]["attributes"]), plain(span.get("attributes", [])))
        for one in requests
        for spans in one["resourceSpans"]
        for scope in spans["scopeSpans"]
        for span in scope["spans"]
    ]


def plain(attributes):
    """Return a list of OTLP/JSON attributes as a dict."""
    return {one["key"]: BACK[kind](value) for one in attributes for kind, value in one["value"].items()}


def shown(trace):
    """Return the only span of a trace of Jaeger's API as (trace id, name, resource attributes, span attributes)."""
    (span,), (process,) = trace["spans"], trace["processes"].values()
    own = {"span.kind", "internal.span.format", "otel.scope.name", "otel.scope.version", "otel.status_code"}
    resource = {"service.name": process["serviceName"], **{tag["key"]: tag["value"] for tag in process["tags"]}}
    tags = {tag["key"]: tag["value"] for tag in span["tags"] if tag["key"] not in own}
    return span["traceID"], span["operationName"], resource, tags
