"""The operator's own collector, by the stock exporters."""

import logging
import socket
import time

import pytest
from myengine_app import APP
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_usage.destination import Destination, resolve
from otel_usage.exporters.operator import OperatorExporter


@pytest.fixture
def export():
    """Export a span to what the environment names, and return what became of it."""

    def run(*, allowed=lambda: True, timeout=None, destination=None):
        span = TracerProvider(resource=Resource({"a": "b"}), shutdown_on_exit=False).get_tracer("x").start_span("y")
        span.end()
        destination = destination or resolve(APP, endpoint=None)[0]
        exporter = OperatorExporter(destination, allowed, timeout=timeout)
        outcome = exporter.send([span], encode_spans([span]))
        exporter.shutdown()
        return outcome.ok, outcome.again, outcome.detail

    return run


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("disabled", [True, False])
def test_one_call_makes_one_attempt_over_http(export, receiver, monkeypatch, status, disabled):
    """Retrying is not the stock exporter's: it needs a fresh decision, whether the host hears its log or not."""
    receiver.reply = (status, {"retry-after": "1"}, b"")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").disabled = disabled
    start = time.monotonic()
    outcome = export()

    assert (outcome, len(receiver.received), time.monotonic() - start < 1) == ((False, True, f"not accepted ({status})"), 1, True)


def test_a_refusal_is_told_with_its_code(export, receiver, monkeypatch):
    """And nothing that the server wrote."""
    receiver.reply = (401, {}, b"SECRET")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)

    assert export() == (False, True, "not accepted (401)")


def test_a_redirect_is_no_success(export, receiver, monkeypatch):
    """The stock exporter takes it for one, and the report would be lost."""
    receiver.reply = (302, {"location": "http://127.0.0.1:9/"}, b"")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)

    assert export() == (False, True, "not accepted (302)")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_collector_is_told_soon(export, monkeypatch, protocol):
    """One attempt, whatever the time-out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    start = time.monotonic()
    ok, again, detail = export(timeout=3)

    assert (ok, again, time.monotonic() - start < 3) == (False, True, True)
    assert detail in ("not accepted: no connection or no answer in time", "not accepted (UNAVAILABLE)")


def test_the_time_out_is_the_operators_where_there_is_one(export, monkeypatch):
    """Else the one that was passed; a silent collector takes as long as that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        export(timeout=0.3)
        passed = time.monotonic() - start
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1")
        start = time.monotonic()
        export(timeout=0.1)
        operators = time.monotonic() - start

    assert passed < 1 <= operators < 2


def test_compression_and_headers_are_the_operators(export, receiver, monkeypatch):
    """All OTEL_EXPORTER_OTLP_* settings count."""
    for name, value in {"ENDPOINT": receiver.url, "COMPRESSION": "gzip", "HEADERS": "x-tenant=mine"}.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    result = export()
    headers = dict(receiver.only.headers)

    assert (result, headers["content-encoding"], headers["x-tenant"]) == ((True, False, "accepted"), "gzip", "mine")


@pytest.mark.parametrize(
    ("protocol", "name", "error"),
    [
        ("http/protobuf", "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "RuntimeError"),
        ("grpc", "OTEL_EXPORTER_OTLP_COMPRESSION", "InvalidCompressionValueException"),
    ],
)
def test_a_setting_that_breaks_the_stock_exporter_raises_nothing(export, monkeypatch, protocol, name, error):
    """One line says where to look."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv(name, "nonsense")

    assert export() == (False, True, f"the OTLP exporter failed ({error}): check the OTEL_* settings")


def test_a_protocol_that_there_is_not_is_named(export):
    """With those that there are."""
    destination = Destination("otlp", "http://127.0.0.1:9", "http/json", by_operator=True)

    assert export(destination=destination) == (
        False, True, "OTEL_EXPORTER_OTLP_PROTOCOL is not known; set it to http/protobuf or grpc",
    )  # fmt: skip


def test_once_opted_out_nothing_is_exported(export, receiver, monkeypatch):
    """Consent is asked right before the attempt."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    ok, again, _ = export(allowed=lambda: False)

    assert (ok, again, receiver.received) == (False, False, [])
