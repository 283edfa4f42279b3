"""The host's tracing, handlers and filters are as they were, and its settings do not change ours."""

import logging
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import warnings
from collections import Counter

import opentelemetry.sdk.environment_variables as sdk_variables
import pytest
import requests
from myengine_app import APP
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_usage import UsageReporter
from otel_usage.delivery.exporters.otlp import Silence


def reported(endpoint, **facts):
    """Report to an endpoint, and return whether it was accepted."""
    usage = UsageReporter("myengine", version="1.2.0", endpoint=endpoint, facts=APP.facts)
    usage.report(facts, context="API_SERVER")
    return usage.flush(10)


def of_loggers(names):
    """Return everything that the host can have set on these loggers."""
    loggers = {name: logging.getLogger(name) for name in names}
    return {name: (logger.level, logger.disabled, logger.propagate, [*logger.handlers], [*logger.filters]) for name, logger in loggers.items()}


def of_the_host(loggers):
    """Return everything in the process that belongs to the host."""
    return {
        "provider": trace.get_tracer_provider(), "context": context.get_current(), "warnings": [*warnings.filters],
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.gettrace()),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "loggers": of_loggers(loggers), "variables": {k: v for k, v in os.environ.items() if k != "MYENGINE_USAGE_RUN"},
        "directory": os.getcwd(), "time-out": socket.getdefaulttimeout(),
    }  # fmt: skip


@pytest.fixture
def loggers():
    """The names of the loggers: the root, one of the host, and those of the libraries."""
    host = logging.getLogger("host")
    host.addHandler(logging.NullHandler())
    yield ["", *(name for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger))]
    host.handlers.clear()


@pytest.mark.parametrize("way", ["project", "operator"])
def test_the_hosts_own_tracing_is_the_same_with_a_report_in_between(receiver, monkeypatch, loggers, way):
    """The host has its own provider; its spans, provider, context and globals are as they are without us."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("host")
    if way == "operator":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)

    with tracer.start_as_current_span("request"):
        before, numbers = of_the_host(loggers), random.getstate()
        taken = reported(receiver.url if way == "project" else None)
        after, numbers_after = of_the_host(loggers), random.getstate()
        with tracer.start_as_current_span("child"):
            pass
    child, request = exporter.get_finished_spans()

    assert taken is True
    assert before == after
    assert way == "operator" or numbers == numbers_after  # the stock exporter draws its own pause, which is never made
    assert {"", "host", "opentelemetry.sdk.trace"} <= set(before["loggers"])
    assert (child.name, request.name, child.parent.span_id) == ("child", "request", request.context.span_id)
    assert len(exporter.get_finished_spans()) == 2


def test_an_instrumented_http_library_sees_nothing_of_it(receiver, monkeypatch):
    """The host gets no span for our requests, and they have no traceparent, with either sender."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    try:
        taken = reported(receiver.url)
        ours = exporter.get_finished_spans()
        requests.post(receiver.url, timeout=10)
    finally:
        RequestsInstrumentor().uninstrument()
    traced = ["traceparent" in dict(received.headers) for received in receiver.received]

    assert (taken, ours, traced) == (True, (), [False, False, True])
    assert [span.name for span in exporter.get_finished_spans()] == ["POST"]


def test_a_failing_exporters_log_does_not_reach_the_hosts_handlers(monkeypatch, caplog):
    """During a send the records of the stock exporter on our thread are filtered; afterwards the filters are gone."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    taken = reported(None)
    left = [f for logger in logging.root.manager.loggerDict.values() for f in getattr(logger, "filters", []) if isinstance(f, Silence)]

    assert (taken, [r.message for r in caplog.records if r.levelno >= logging.WARNING], left) == (False, [], [])


def test_the_hosts_own_records_pass_meanwhile(caplog):
    """The filter works on one thread only."""
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


def test_every_variable_of_the_sdk_set_to_nonsense_breaks_nothing(run_python, receiver, lines):
    """The host notices nothing and the line is written; a broken value can only cost the send."""
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
    assert len(lines()) == 1


STEERING = {
    "OTEL_TRACES_SAMPLER": "always_off", "OTEL_ATTRIBUTE_COUNT_LIMIT": "0", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1",
    "OTEL_RESOURCE_ATTRIBUTES": "myengine.config.note=mine", "OTEL_SERVICE_NAME": "the host's",
}  # fmt: skip


def of_a_plain_provider():
    """Return the span that the SDK makes of the same report where every argument has its default."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("plain").start_span("otel_usage.report", attributes={"otel_usage.context": "API_SERVER"}).end()
    return [(span.resource.attributes.get("myengine.config.note"), span.resource.attributes["service.name"], dict(span.attributes))
            for span in exporter.get_finished_spans()]  # fmt: skip


@pytest.mark.parametrize("variable", STEERING)
def test_none_of_the_hosts_settings_steers_the_pipeline(monkeypatch, receiver, variable):
    """The sampler, limits and resource that the SDK takes from the environment do not apply to our span."""
    before = of_a_plain_provider()
    monkeypatch.setenv(variable, STEERING[variable])
    steered = of_a_plain_provider()
    taken = reported(receiver.url, quantization="awq")
    ((resource, _, attributes),) = receiver.only.spans
    found = {name: value for name, value in resource.items() if name.startswith(("service.name", "service.version", "myengine."))}

    assert steered != before
    assert (taken, attributes) == (True, {"otel_usage.context": "API_SERVER"})
    assert found == {"service.name": "myengine", "service.version": "1.2.0", "myengine.config.quantization": "awq"}


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
    """A provider that lives on would run the host's process detectors in every forked child."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK), receiver.url], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.stderr, len(receiver.received)) == ("0\n", "", 1)


def test_a_handler_of_the_host_that_reports_makes_no_loop(receiver, lines):
    """Our records, the sender's and the adopter's logger's all call it: there is one report, and none inside another."""
    usage = UsageReporter("myengine", version="1.2.0", endpoint=receiver.url, facts=APP.facts, logger=logging.getLogger("mine"))
    depth, depths = Counter(), set()

    class Reporting(logging.Handler):
        def emit(self, record):
            thread = threading.get_ident()
            depth[thread] += 1
            depths.add(depth[thread])
            if depth[thread] < 10:  # otherwise a loop would never end
                usage.report(nonsense=1)
            depth[thread] -= 1

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
    assert depths == {1}
    assert len(lines()) == 1
