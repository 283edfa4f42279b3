"""The operator's own collector gets reports by the stock exporters."""

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
    """Export a span to the destination that the environment names, and return the outcome."""

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
    """The outcome has no word of the server's."""
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
    """An installation that needs no gRPC may lack it; a report that would use it waits."""
    monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{part}", None)
    monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{part}.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)

    assert (export(), receiver.received) == ((False, True, detail), [])


def test_without_grpc_both_senders_over_http_deliver(run_python, receiver):
    """The project's sender and the stock exporter over HTTP load no gRPC, which an installation may lack."""
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
    """The stock exporter takes it for a success, and the report would be lost."""
    receiver.reply = (302, {"location": "http://127.0.0.1:9/"}, b"")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)

    assert export() == (False, True, "not accepted (302)")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_collector_is_told_soon(export, monkeypatch, protocol):
    """There is one attempt, whatever the time-out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    start = time.monotonic()
    outcome = export(timeout=3)
    took = time.monotonic() - start

    assert outcome == (False, True, "not accepted: connection refused")
    assert took < 3


NO_SCHEME = "not sent: the URL has no scheme; write http:// or https:// before the host"
OTHER_SCHEME = "not sent: the URL must begin with http:// or https://"
BAD_PORT = "not sent: the URL's port must be a number from 1 to 65535"
UNCLEAR = (
    "not sent: the URL is not valid, or can be read in two ways; "
    r"in a user and password write / ? # @ \ as %2F %3F %23 %40 %5C"
)


@pytest.mark.parametrize(
    ("protocol", "url", "detail"),
    [
        ("http/protobuf", "127.0.0.1:9", NO_SCHEME),
        ("http/protobuf", "localhost", NO_SCHEME),
        ("http/protobuf", "ftp://127.0.0.1:9", OTHER_SCHEME),
        *((protocol, url, BAD_PORT) for protocol in ("http/protobuf", "grpc")
          for url in ("http://127.0.0.1:99999", "http://127.0.0.1:0", "http://127.0.0.1:http", "http://[::1]:65536")),
        *((protocol, url, UNCLEAR) for protocol in ("http/protobuf", "grpc")
          for url in ("http://user:SE/CRET@127.0.0.1:9", "http://[::1", "http://127.0.0.1:9\\x")),
    ],
)  # fmt: skip
def test_a_url_that_can_not_be_is_told_before_anything_is_sent(export, monkeypatch, protocol, url, detail):
    """Over gRPC the stock exporter would take any port modulo 65536, and so another."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)

    assert export() == (False, False, detail)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    ("place", "certificate", "said"),
    [
        ("http://127.0.0.1:9", None, "connection refused"),
        ("http://{silent}", None, "no answer in time"),
        ("https://{plain}", None, "the secure connection (TLS) failed"),
        ("https://{own}", "other.pem", "the server's certificate can't be verified"),
        ("https://{others}", "ca.pem", "the server's certificate can't be verified"),
        ("https://{own}", "missing.pem", "the file that OTEL_EXPORTER_OTLP_CERTIFICATE names can't be read"),
        ("http://{own}", None, "the connection was closed before the end of the answer"),
    ],
)  # fmt: skip
def test_each_failure_is_said_as_such(export, serve, silence, tls, authority, tmp_path, monkeypatch, protocol, place, certificate, said):
    """By the real stock exporters, twice: their log drops what it says again. OpenTelemetry's oldest says it too."""
    import trustme

    contexts = [tls("127.0.0.1"), tls("localhost")]
    for context in contexts:
        context.set_alpn_protocols(["h2", "http/1.1"])
    closing = b"HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n"
    own, others = (serve(tls=context) for context in contexts)
    servers = {"silent": serve(silence, reads=False), "plain": serve(closing, reads=False), "own": own, "others": others}
    places = {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", place.format(**places))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    if certificate:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / certificate))
    outcomes = [export(timeout=1), export(timeout=1)]

    assert outcomes == [(False, True, f"not accepted: {said}")] * 2


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_host_that_is_not_known_is_said_as_such(export, monkeypatch, protocol):
    """No resolver of the network is asked: over gRPC for a name that none can have."""

    def fail(*_, **__):
        raise socket.gaierror(-2, "SECRET")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://nowhere..invalid:4317" if protocol == "grpc" else "http://nowhere.invalid")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)

    assert export(timeout=3) == (False, True, "not accepted: the host's name can't be found")


@pytest.mark.parametrize("kind", ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"])
@pytest.mark.parametrize("signal", ["", "TRACES_"])
def test_each_file_of_a_certificate_that_can_not_be_read_is_named(export, serve, tls, authority, tmp_path, monkeypatch, signal, kind):
    """By the variable that names it, which the stock exporters read for traces first."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://localhost:{serve(tls=tls('localhost')).port}")
    for name, path in {"CERTIFICATE": tmp_path / "ca.pem", "CLIENT_CERTIFICATE": tmp_path / "ca.pem", "CLIENT_KEY": tmp_path / "ca.pem",
                       kind: tmp_path / "missing"}.items():  # fmt: skip
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}{name}", str(path))

    assert export() == (
        False, True, f"not accepted: the file that OTEL_EXPORTER_OTLP_{signal}{kind} names can't be read",
    )  # fmt: skip


def test_a_file_that_can_not_be_read_is_named_beside_another_cause(export, monkeypatch):
    """Over gRPC the stock exporter goes on without it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent/ca.pem")

    said = "connection refused, and the file that OTEL_EXPORTER_OTLP_CERTIFICATE names can't be read"
    assert export() == (False, True, f"not accepted: {said}")


def test_over_grpc_a_directory_of_certificates_is_no_file(export, tmp_path, monkeypatch):
    """The stock exporter raises, and the variable is named."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path))

    assert export() == (False, True, "not sent: the file that OTEL_EXPORTER_OTLP_CERTIFICATE names can't be read")


def test_grpc_at_a_place_that_speaks_http_names_the_other_protocol(export, receiver, monkeypatch):
    """The commonest mistake: port 4318 for 4317."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    assert export() == (
        False, True,
        "not accepted: what answers there does not speak gRPC; for HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    )  # fmt: skip


def test_grpc_without_a_scheme_uses_tls_and_says_so(export, grpc_receiver, monkeypatch):
    """As the stock exporter does; a receiver without TLS is not reached."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", grpc_receiver.url.removeprefix("http://"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    assert export() == (
        False, True,
        "not accepted: the secure connection (TLS) failed; without a scheme gRPC uses TLS, write http:// for none",
    )  # fmt: skip


def test_the_time_out_is_the_operators_where_there_is_one(export, monkeypatch):
    """Without one the time-out that is passed counts; a silent collector takes that long."""
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
        # The oldest release does not know this setting and fails at the missing collector.
        ("http/protobuf", "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "ConnectionError" if OLDEST else "RuntimeError"),
        ("grpc", "OTEL_EXPORTER_OTLP_COMPRESSION", "InvalidCompressionValueException"),
    ],
)
def test_a_setting_that_breaks_the_stock_exporter_raises_nothing(export, monkeypatch, protocol, name, error):
    """The outcome says in one line where to look."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv(name, "nonsense")

    assert export() == (False, True, f"the OTLP exporter failed ({error}): check the OTEL_* settings")


def test_a_protocol_that_there_is_not_is_named(export):
    """The outcome also lists the protocols that exist."""
    destination = Destination("otlp", "http://127.0.0.1:9", "http/json", by_operator=True)

    assert export(destination=destination) == (
        False, True, "OTEL_EXPORTER_OTLP_PROTOCOL is not known; set it to http/protobuf or grpc",
    )  # fmt: skip


def on():
    """Return whether reports may leave, as the exporter asks."""
    return decide("myengine", loopback=True).mode == "on"


STOPPED = (False, False, "not sent: the mode is no longer on")


def test_over_http_an_opt_out_during_the_handshake_stops_the_request(export, held, tls, authority, tmp_path, monkeypatch):
    """A server may hold the handshake for seconds."""
    server = held.start(tls=tls("localhost"))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://localhost:{server.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))

    assert (export(allowed=on), held.wait()) == (STOPPED, b"")


def test_over_http_an_opt_out_while_a_proxy_thinks_stops_the_request(export, held, tls, authority, tmp_path, monkeypatch):
    """At most the TLS handshake leaves through the tunnel."""
    proxy = held.start(b"HTTP/1.1 200 yes\r\n\r\n", tls=tls("stats.example.org"))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://stats.example.org", "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
                        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    assert (export(allowed=on), held.wait()) == (STOPPED, b"")


def test_over_http_an_opt_out_as_it_connects_stops_the_request(export, serve, monkeypatch):
    """Consent is asked before the attempt, before the connect and after it."""
    server = serve()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    answers = [True, True]
    outcome = export(allowed=lambda: bool(answers) and answers.pop())

    assert (outcome, [request for request in server.requests if request]) == (STOPPED, [])


@pytest.mark.parametrize("secure", [True, False])
def test_over_grpc_an_opt_out_while_it_connects_stops_the_request(export, held, tls, authority, tmp_path, monkeypatch, secure):
    """At most HTTP/2's preface leaves; the request waits for the server's settings, which this server holds back."""
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
    """Without this, the test above would prove nothing."""
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
