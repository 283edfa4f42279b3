"""The pipeline's exporter builds each span anew from what the table admits."""

import pytest
from myengine_app import APP
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from otel_usage import App, Fact
from otel_usage.delivery.exporters.admission import AdmissionExporter, admit_span
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.facts.scope import __version__

SECRET = "SECRET"


class Keeper:
    """A sender that keeps what it gets."""

    def __init__(self):
        self.spans, self.closed = [], False

    def send(self, spans, request):
        self.spans += spans
        return Outcome("kept", ok=True)

    def shutdown(self):
        self.closed = True


def poisoned(name="otel_usage.report"):
    """Return a span with something secret in every place that OpenTelemetry has."""
    resource = Resource(
        {"service.name": "myengine", "otel_usage.gpu.count": 2, "host.name": SECRET, "myengine.config.batch": SECRET}, "https://" + SECRET
    )
    tracer = TracerProvider(resource=resource, shutdown_on_exit=False).get_tracer(SECRET, SECRET, "https://" + SECRET, {"a": SECRET})
    other = SpanContext(7, 7, is_remote=True, trace_state=TraceState([("k", SECRET)]))
    span = tracer.start_span(name, context=Context(), kind=SpanKind.CLIENT, links=[Link(other, {"a": SECRET})],
                             attributes={"otel_usage.context": "API_SERVER", "user": SECRET, "otel_usage.gpu.count": 1})  # fmt: skip
    span.add_event(SECRET, {"a": SECRET})
    span.set_status(Status(StatusCode.ERROR, SECRET))
    span.end()
    return span


def test_a_span_leaves_with_nothing_but_what_the_table_admits():
    """It has no events, links, status, kind, scope, schema or end of the original, and no undeclared attribute."""
    given = poisoned()
    span = admit_span(APP, given, exact_time=True)

    assert given.to_json().count(SECRET) >= 8
    assert SECRET not in span.to_json()
    assert (dict(span.resource.attributes), dict(span.attributes), span.events, span.links, span.kind, span.parent) == (
        {"service.name": "myengine", "otel_usage.gpu.count": 2}, {"otel_usage.context": "API_SERVER"}, (), (),
        SpanKind.INTERNAL, None,
    )  # fmt: skip
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == ("otel_usage", __version__)
    assert (span.context.trace_id, span.context.span_id) == (given.context.trace_id, given.context.span_id)
    assert span.start_time == span.end_time == given.start_time
    assert span.status.description is None


def test_a_span_leaves_with_its_hour_unless_the_exact_time_may_leave():
    """The second of a report would tell it from all others."""
    given = poisoned()
    span = admit_span(APP, given)

    assert (span.start_time, span.end_time) == (given.start_time // (3600 * 10**9) * 3600 * 10**9,) * 2


@pytest.mark.parametrize("name", ["GET /secret", "otel_usage.other"])
def test_a_span_of_another_name_does_not_leave(name):
    """The pipeline carries only reports and heartbeats."""
    sender = Keeper()
    exporter = AdmissionExporter(APP, sender)
    result = exporter.export([poisoned(name)])

    assert (result, sender.spans, exporter.outcome.ok) == (SpanExportResult.SUCCESS, [], False)


def test_the_outcome_is_the_senders():
    """Closing the exporter closes the sender."""
    sender = Keeper()
    exporter = AdmissionExporter(APP, sender)
    result = exporter.export([poisoned()])
    exporter.shutdown()

    assert (result, exporter.outcome.detail, sender.closed) == (SpanExportResult.SUCCESS, "kept", True)


def test_a_report_over_32_kib_is_dropped():
    """The bound holds however many facts an app declares."""
    app = App("myengine", facts=[Fact(f"note{n}", str, open="to be long", why="x") for n in range(200)])
    resource = Resource({f"myengine.config.note{n}": "x" * 256 for n in range(200)})
    span = TracerProvider(resource=resource, shutdown_on_exit=False).get_tracer("x").start_span("otel_usage.report", context=Context())
    span.end()
    sender = Keeper()
    exporter = AdmissionExporter(app, sender)
    result = exporter.export([span])

    assert (result, sender.spans) == (SpanExportResult.FAILURE, [])
    assert exporter.outcome.detail.startswith("dropped: the report has ")
    assert exporter.outcome.again is False


def test_a_sender_that_raises_is_a_failure_that_nobody_prints(caplog):
    """The SDK would log it with a traceback, which goes to the host's stderr by default."""

    class Broken:
        def send(self, *_):
            raise LookupError

    exporter = AdmissionExporter(APP, Broken())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("x").start_span("otel_usage.report", context=Context()).end()

    assert (exporter.outcome.ok, exporter.outcome.again, exporter.outcome.detail) == (False, True, "the sender failed (LookupError)")
    assert caplog.records == []
