"""The host is as it was without us: its tracing, its handlers, its filters; and its settings do not steer us."""

import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import warnings

import opentelemetry.sdk.environment_variables as sdk_variables
import pytest
from myengine_app import APP
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_usage import UsageReporter
from otel_usage.exporters.operator import Silence


def reported(endpoint, **facts):
    """Report to an endpoint and return whether it was taken."""
    usage = UsageReporter("myengine", version="1.2.0", endpoint=endpoint, facts=APP.facts)
    usage.report(facts, context="API_SERVER")
    return usage.flush(10)


def test_the_hosts_own_tracing_is_the_same_with_a_report_in_between(receiver):
    """A host application with its own provider: its spans, provider, context and everything global are as without us."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("host")

    def state():
        return (
            trace.get_tracer_provider(), context.get_current(), list(warnings.filters), sys.excepthook,
            [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)],
            {name: (list(logger.handlers), list(logger.filters), logger.level, logger.propagate)
             for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)}.get("host"),
            list(logging.root.handlers), {k: v for k, v in os.environ.items() if k != "MYENGINE_USAGE_RUN"}, os.getcwd(),
        )  # fmt: skip

    with tracer.start_as_current_span("request"):
        before, numbers = state(), random.getstate()
        taken = reported(receiver.url)
        after, numbers_after = state(), random.getstate()
        with tracer.start_as_current_span("child"):
            pass
    child, request = exporter.get_finished_spans()

    assert taken is True
    assert before == after
    assert numbers == numbers_after
    assert (child.name, request.name, child.parent.span_id) == ("child", "request", request.context.span_id)
    assert len(exporter.get_finished_spans()) == 2


def test_an_instrumented_http_library_sees_nothing_of_it(receiver, monkeypatch):
    """No span of the host's for our requests, no traceparent in them, over either sender."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    try:
        taken = reported(receiver.url)
    finally:
        RequestsInstrumentor().uninstrument()

    assert (taken, len(receiver.received), exporter.get_finished_spans()) == (True, 2, ())
    assert [name for received in receiver.received for name, _ in received.headers if name == "traceparent"] == []


def test_a_failing_exporters_log_does_not_reach_the_hosts_handlers(monkeypatch, caplog):
    """While it sends, what the stock exporter logs on our thread is filtered; the filters are gone afterwards."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    taken = reported(None)
    left = [f for logger in logging.root.manager.loggerDict.values() for f in getattr(logger, "filters", []) if isinstance(f, Silence)]

    assert (taken, [r.message for r in caplog.records if r.levelno >= logging.WARNING], left) == (False, [], [])


def test_the_hosts_own_records_pass_meanwhile(caplog):
    """The filter is for one thread only."""
    logger = logging.getLogger("opentelemetry.sdk")
    done = threading.Event()

    def silent():
        with Silence():
            logger.warning("ours")
            done.set()
            release.wait(10)

    release = threading.Event()
    thread = threading.Thread(target=silent)
    thread.start()
    done.wait(10)
    logger.warning("the host's")
    release.set()
    thread.join()

    assert caplog.messages == ["the host's"]


VARIABLES = sorted(name for name in vars(sdk_variables) if name.startswith("OTEL_") and name != "OTEL_SDK_DISABLED")


def test_every_variable_of_the_sdk_set_to_nonsense_breaks_nothing(run_python, receiver, home):
    """The host does not notice, the line is written; the send is all that a broken value may cost."""
    done = run_python(
        f"""
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", endpoint={receiver.url!r})
        usage.report()
        usage.flush(5)
        """,
        **dict.fromkeys(VARIABLES, "\\nonsense"),
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len((home / ".config/myengine/usage_stats.json").read_text().splitlines()) == 1


@pytest.mark.parametrize("variable", [name for name in VARIABLES if name.startswith("OTEL_TRACES_SAMPLER") or "LIMIT" in name])
def test_none_of_the_hosts_settings_steers_the_pipeline(monkeypatch, receiver, variable):
    """Sampler and limits that the SDK would take are not ours."""
    monkeypatch.setenv(variable, "always_off" if "SAMPLER" in variable else "1")
    taken = reported(receiver.url, quantization="awq")
    ((resource, _, _),) = receiver.only.spans

    assert (taken, resource["myengine.config.quantization"], resource["service.version"]) == (True, "awq", "1.2.0")


FORK = """
    import os, sys
    from otel_usage import UsageReporter
    usage = UsageReporter("myengine", endpoint=sys.argv[1])
    usage.report()
    usage.flush(10)
    import gc
    from opentelemetry.sdk.trace import TracerProvider
    gc.collect()
    print(sum(isinstance(o, TracerProvider) for o in gc.get_objects()))
"""


def test_no_provider_outlives_its_report(receiver):
    """A provider that lived on would have the host's process detectors run in every forked child."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK), receiver.url], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_handler_of_the_host_that_reports_makes_no_loop(receiver, home):
    """Whatever is logged on the way, by us or by what sends, to an adopter's logger too: one report."""
    usage = UsageReporter("myengine", version="1.2.0", endpoint=receiver.url, facts=APP.facts, logger=logging.getLogger("mine"))

    class Reporting(logging.Handler):
        def emit(self, record):
            usage.report(nonsense=1)

    handler, root = Reporting(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        usage.report(nonsense=1)
        taken = usage.flush(10)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)

    assert (taken, len(receiver.received)) == (True, 1)
    assert len((home / ".config/myengine/usage_stats.json").read_text().splitlines()) == 1
