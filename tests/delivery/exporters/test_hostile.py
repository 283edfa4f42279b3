"""A whole reporter meets hostile servers: it spends little time and memory, and takes nothing for delivered."""

import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

MOST_SECONDS = 6.0
MOST_BYTES = 5 * 2**20
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n"
ACCEPTS = OK + b"content-length: 0\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
PORTAL = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 22\r\n\r\n<html>Please sign in.\r\n"
REJECTED = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=1)).SerializeToString()
BOMB = gzip.compress(bytes(50 * 2**20))
# A first report, to a friendly server, loads every module, so that only the cost of the hostile server is measured.
REPORT = """
import json, socket, ssl, time
real = socket.getaddrinfo
def look_up(host, *arguments, **more):
    if host == "hangs.example.org":
        time.sleep(60)
    return real("127.0.0.1" if host.endswith("example.org") else host, *arguments, **more)
socket.getaddrinfo = look_up
ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_default_certs()
from otel_usage import UsageReporter
def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
for app in ("warm", "myengine"):
    usage = UsageReporter(app, version="1", heartbeat=0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew
    before, start = peak(), time.monotonic()
    usage.report()
    taken = usage.flush(30)
print(json.dumps([taken, time.monotonic() - start, peak() - before]))
"""


def answers(reply):
    """Return a server that gives this reply."""
    return lambda make: make.serve(reply).url


def pours(first, again, pause=0.0):
    """Return a server whose reply never ends."""

    def pour(connection):
        connection.sendall(first)
        while True:
            connection.sendall(again)
            time.sleep(pause)

    return lambda make: make.serve(pour).url


def secure(name, **more):
    """Return a server with a certificate for this name."""
    return lambda make: f"https://localhost:{make.serve(ACCEPTS, tls=make.tls(name, **more)).port}"


def redirects(make):
    """Send everybody to another server."""
    location = make.serve(ACCEPTS, elsewhere=True).url.encode()
    return make.serve(b"HTTP/1.1 307 Moved\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % location).url


def behind(start):
    """Return a URL that is reached through a proxy of this kind."""

    def make_proxy(make):
        make.environment["HTTPS_PROXY"] = start(make).replace("127.0.0.1", "proxy.example.org")
        return "https://stats.example.org"

    return make_proxy


def silent(make):
    """Accept, read, and never answer."""
    return make.serve(make.silence).url


EXPIRED = {"not_after": dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)}
#: Answers after which the report is tried again.
WAITS = {
    "refused": lambda _: "http://127.0.0.1:9",
    "black hole": silent,
    "slow drip": pours(OK, b"x", 0.2),
    "endless headers": pours(OK, b"x: " + b"y" * 1000 + b"\r\n"),
    "endless body": pours(OK + b"\r\n", b"z" * 65536),
    "endless chunks": pours(OK + CHUNKED, b"1000\r\n" + b"z" * 4096 + b"\r\n"),
    "flood of interim replies": pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "gzip bomb": answers(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB),
    "redirect to elsewhere": redirects,
    "captive portal": answers(PORTAL),
    "no HTTP": answers(b"<html>HTTP/0.9\xff\xfe"),
    "503 for a very long time": answers(b"HTTP/1.1 503 No\r\nretry-after: 1000000000\r\ncontent-length: 0\r\n\r\n"),
    "429 for garbage": answers(b"HTTP/1.1 429 No\r\nretry-after: 1e309\r\ncontent-length: 0\r\n\r\n"),
    "wrong certificate": secure("other.example"),
    "expired certificate": secure("localhost", **EXPIRED),
    "name that is never found": lambda _: "https://hangs.example.org",
    "proxy that says nothing": behind(silent),
    "proxy that pours": behind(pours(b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 1000 + b"\r\n")),
}
#: Answers that refuse the report permanently.
REFUSES = {
    "413": answers(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n"),
    "400": answers(b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n"),
    "partial success": answers(OK + b"content-length: %d\r\n\r\n" % len(REJECTED) + REJECTED),
}


@pytest.fixture
def world(serve, silence, tls, trusted):
    """The parts that the servers are made of; `elsewhere` holds the servers that nobody may reach."""

    def start(*arguments, elsewhere=False, **more):
        server = serve(*arguments, **more)
        found.elsewhere += [server] if elsewhere else []
        return server

    found = SimpleNamespace(serve=start, silence=silence, tls=tls, environment={}, elsewhere=[])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*WAITS, *REFUSES])
def test_a_hostile_server_costs_little_and_nothing_counts_as_delivered(world, receiver, home, kind):
    """It costs at most 6 s and 5 MiB. No redirect is followed. A failure waits for another attempt, a refusal is recorded."""
    server = {**WAITS, **REFUSES}[kind](world)
    done = subprocess.run(
        [sys.executable, "-c", REPORT], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "WARM_USAGE_STATS_SERVER": receiver.url, "MYENGINE_USAGE_STATS_SERVER": server, **world.environment},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    taken, seconds, grown = json.loads(done.stdout)
    directory = home / ".config/myengine"
    ledger = [json.loads(line)["ok"] for line in (directory / "usage_deliveries.json").read_text().splitlines()]

    assert len(receiver.received) == 1
    assert seconds < MOST_SECONDS
    assert grown < MOST_BYTES
    assert [len(other.requests) for other in world.elsewhere] == [0] * len(world.elsewhere)
    assert ledger == [False]
    assert (taken, len(list((directory / "usage_outbox").iterdir()))) == ((False, 1) if kind in WAITS else (True, 0))


ENDS = "from otel_usage import UsageReporter\nusage = UsageReporter('myengine', heartbeat=0)\nusage.report()\nusage.flush({wait})\nprint(1)"


@pytest.mark.parametrize("wait", [0, 1])
@pytest.mark.parametrize("variable", ["MYENGINE_USAGE_STATS_SERVER", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_server_that_says_nothing_does_not_delay_the_end(serve, silence, variable, wait):
    """This holds before and during the request; the stock exporter alone would take ten seconds."""
    environment = {**os.environ, variable: serve(silence).url.removesuffix("/v1/traces")}
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", ENDS.format(wait=wait)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    took = time.monotonic() - start

    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert took < wait + 4
