"""The private pipeline: what goes in, what comes out, and what it leaves alone."""

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
    """A sender that keeps what it is handed, and looks at the context in which it is."""

    def __init__(self):
        self.spans, self.current = [], None

    def send(self, spans, request):
        self.spans += spans
        self.current = trace.get_current_span()
        return Outcome("kept", ok=True)

    def shutdown(self):
        """Hold nothing open."""


@pytest.fixture
def emitted():
    """Emit a report on this thread, and return the exporter and what it handed on."""

    def run(sampler, facts):
        sender = Keeper()
        exporter = AdmissionExporter(APP, sender, exact_time=True)
        report = Report(APP, facts)
        emit(report, exporter, sampler)
        return report, exporter, sender

    return run


def test_a_report_in_a_hosts_span_is_a_trace_of_its_own(emitted):
    """No parent, the report's own ids; and the host's context is as it was, and is not ours to see."""
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
    """Local records only, off drops; the exit says so."""
    monkeypatch.setenv(variable, "none")
    _, exporter, sender = emitted(ConsentSampler(APP, loopback=True), {})

    assert (sender.spans, exporter.outcome.ok, exporter.outcome.again) == ([], False, False)


def test_a_reports_resource_is_its_facts_and_nothing_of_the_hosts(monkeypatch):
    """What the host's environment names for its own resource is not there."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=secret")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "secret")
    found = resource_of(Report(APP, {"uuid": "a", "num_cpu": 2}))

    assert (dict(found.attributes), found.schema_url) == (
        {"service.name": "myengine", "service.instance.id": "a", "otel_usage.cpu.logical_count": 2},
        SCHEMA_URL,
    )
