"""The operator's own collector, by the stock exporters."""

import logging
import socket
import sys
import time

import pytest
from myengine_app import APP
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from releases import OLDEST

from otel_usage.consent import decide
from otel_usage.delivery.destination import Destination, resolve
from otel_usage.delivery.exporters.otlp import OTLPSender

GREETING = b"\0\0\0\4\0\0\0\0\0"  # an empty frame of HTTP/2's settings
EXPORT = b"opentelemetry.proto.collector.trace.v1.TraceService/Export"  # in the request's headers


@pytest.fixture
def export():
    """Export a span to what the environment names, and return what became of it."""

    def run(*, allowed=lambda: True, timeout=None, destination=None):
        span = TracerProvider(resource=Resource({"a": "b"}), shutdown_on_exit=False).get_tracer("x").start_span("y")
        span.end()
        destination = destination or resolve(APP, endpoint=None)[0]
        exporter = OTLPSender(destination, allowed, timeout=timeout)
        outcome = exporter.send([span], encode_spans([span]))
        exporter.shutdown()
        return outcome.ok, outcome.again, outcome.detail

    return run


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("disabled", [True, False])
def test_one_call_makes_one_attempt_over_http(export, receiver, monkeypatch, status, disabled):
    """Retrying is not the stock exporter's: it needs a fresh decision, whether the host hears its log or not.

    The oldest stock exporter is stopped by its log alone; without, it waits for a second before it is.
    """
    receiver.reply = (status, {"retry-after": "1"}, b"")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setattr(logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter"), "disabled", disabled)
    start = time.monotonic()
    outcome = export()
    took = time.monotonic() - start

    assert (outcome, len(receiver.received)) == ((False, True, f"not accepted ({status})"), 1)
    assert took < (2 if OLDEST and disabled else 1)


def test_a_refusal_is_told_with_its_code(export, receiver, monkeypatch):
    """And nothing that the server wrote."""
    receiver.reply = (401, {}, b"SECRET")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)

    assert export() == (False, True, "not accepted (401)")


@pytest.mark.parametrize(
    ("protocol", "part", "detail"),
    [
        ("grpc", "grpc", ("not sent: OTLP over gRPC can't be imported: install opentelemetry-exporter-otlp-proto-grpc, "
         "or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")),
        ("http/protobuf", "http", "not sent: OTLP over HTTP can't be imported: install opentelemetry-exporter-otlp-proto-http"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_installed_is_named_with_its_cure(export, receiver, monkeypatch, protocol, part, detail):
    """Who needs no gRPC may leave it out; what was to be sent by it waits."""
    monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{part}", None)
    monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{part}.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)

    assert (export(), receiver.received) == ((False, True, detail), [])


def test_without_grpc_both_senders_over_http_deliver(run_python, receiver):
    """The sealed one and the stock one: neither loads gRPC, which may be left out of an installation."""
    done = run_python(
        """
        import sys
        from otel_usage import UsageReporter
        for name in ("grpc", "opentelemetry.exporter.otlp.proto.grpc"):
            sys.modules[name] = None
        usage = UsageReporter("myengine", endpoint=sys.argv[1])
        usage.report()
        print(usage.flush(30))
        """.replace("sys.argv[1]", repr(receiver.url)),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )

    assert (done.stdout, done.stderr) == ("True\n", "")
    assert [request.path for request in receiver.received] == ["/v1/traces"] * 2


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
    took = time.monotonic() - start

    assert (ok, again) == (False, True)
    assert took < 3
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
        # The oldest knows no such setting: it fails at the collector, which is not there.
        ("http/protobuf", "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "ConnectionError" if OLDEST else "RuntimeError"),
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


def on():
    """Tell whether reports may leave, as the exporter asks."""
    return decide("myengine", loopback=True).mode == "on"


STOPPED = (False, False, "not sent: the mode is no longer on")


def test_over_http_an_opt_out_during_the_handshake_stops_the_request(export, held, tls, authority, tmp_path, monkeypatch):
    """The server may hold it for seconds."""
    server = held.start(tls=tls("localhost"))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://localhost:{server.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))

    assert (export(allowed=on), held.wait()) == (STOPPED, b"")


def test_over_http_an_opt_out_while_a_proxy_thinks_stops_the_request(export, held, tls, authority, tmp_path, monkeypatch):
    """The handshake through its tunnel is the most that leaves."""
    proxy = held.start(b"HTTP/1.1 200 yes\r\n\r\n", tls=tls("stats.example.org"))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://stats.example.org", "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
                        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    assert (export(allowed=on), held.wait()) == (STOPPED, b"")


def test_over_http_an_opt_out_as_it_connects_stops_the_request(export, serve, monkeypatch):
    """Asked before the attempt, before the connection, and once there is one."""
    server = serve()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    answers = [True, True]
    outcome = export(allowed=lambda: bool(answers) and answers.pop())

    assert (outcome, [request for request in server.requests if request]) == (STOPPED, [])


@pytest.mark.parametrize("secure", [True, False])
def test_over_grpc_an_opt_out_while_it_connects_stops_the_request(export, held, tls, authority, tmp_path, monkeypatch, secure):
    """It says HTTP/2's greeting at most; the request waits for the server's, which this one holds back."""
    server = held.start(b"" if secure else GREETING, tls=tls("localhost") if secure else None)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http{'s' * secure}://localhost:{server.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
    outcome = export(allowed=on, timeout=3)

    sent = held.wait()

    assert outcome == STOPPED
    if OLDEST and not secure:  # it leaves its channel open when it is shut down, and sends once it is connected
        assert EXPORT in sent
    else:
        assert EXPORT not in sent


def test_over_grpc_a_held_request_leaves_without_an_opt_out(export, held, monkeypatch):
    """Else the test above would hold nothing."""
    server = held.start(GREETING)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://localhost:{server.port}")
    export(timeout=1)

    assert EXPORT in held.wait()


def test_once_opted_out_nothing_is_exported(export, receiver, monkeypatch):
    """Consent is asked right before the attempt."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    ok, again, _ = export(allowed=lambda: False)

    assert (ok, again, receiver.received) == (False, False, [])
