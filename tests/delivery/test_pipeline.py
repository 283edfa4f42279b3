"""The private pipeline emits one report and leaves the host's OpenTelemetry alone."""

import pytest
from myengine_app import APP
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from otel_usage.delivery.exporters.admission import AdmissionExporter
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.pipeline import emit, resource_of
from otel_usage.delivery.sampler import ConsentSampler
from otel_usage.facts.builtin import SCHEMA_URL
from otel_usage.facts.report import Report


class Keeper:
    """A sender that keeps what it gets and the context in which it gets it."""

    def __init__(self):
        self.spans, self.current = [], None

    def send(self, spans, request):
        self.spans += spans
        self.current = trace.get_current_span()
        return Outcome("kept", ok=True)

    def shutdown(self):
        """Do nothing."""


@pytest.fixture
def emitted():
    """Emit a report on this thread; return the exporter and what it passed on."""

    def run(sampler, facts):
        sender = Keeper()
        exporter = AdmissionExporter(APP, sender, exact_time=True)
        report = Report(APP, facts)
        emit(report, exporter, sampler)
        return report, exporter, sender

    return run


def test_a_report_in_a_hosts_span_is_a_trace_of_its_own(emitted):
    """It has no parent and its own ids; the host's context stays as it was and is not visible to the sender."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("host")
    with tracer.start_as_current_span("request") as host:
        before = context.get_current()
        report, _, sender = emitted(ConsentSampler(APP, loopback=True), {"context": "API_SERVER", "batch": 8})
        after = context.get_current()
    (span,) = sender.spans

    assert (span.parent, span.context.trace_id, span.context.span_id) == (None, report.trace_id, report.span_id)
    assert (dict(span.attributes), span.resource.attributes["myengine.config.batch"]) == ({"otel_usage.context": "API_SERVER"}, 8)
    assert (span.resource.schema_url, span.start_time) == (SCHEMA_URL, report.facts["log_time"])
    assert before == after
    assert sender.current is host


@pytest.mark.parametrize("variable", ["OTEL_USAGE_EXPORTER", "DO_NOT_TRACK"])
def test_what_the_sampler_does_not_sample_is_not_handed_on(emitted, monkeypatch, variable):
    """Local mode records the span and off drops it; the outcome says so."""
    monkeypatch.setenv(variable, "none")
    _, exporter, sender = emitted(ConsentSampler(APP, loopback=True), {})

    assert (sender.spans, exporter.outcome.ok, exporter.outcome.again) == ([], False, False)


def test_a_reports_resource_is_its_facts_and_nothing_of_the_hosts(monkeypatch):
    """Attributes that the environment gives the host's resource are not on it."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=secret")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "secret")
    found = resource_of(Report(APP, {"uuid": "a", "num_cpu": 2}))

    assert (dict(found.attributes), found.schema_url) == (
        {"service.name": "myengine", "service.instance.id": "a", "otel_usage.cpu.logical_count": 2},
        SCHEMA_URL,
    )
