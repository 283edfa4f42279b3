"""The gateway under senders that mean no good: refused or bounded, and a good report still gets through."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest
from collector import WITH_CLICKHOUSE, Collector
from nginx import BOMB, header, with_headers
from otlp import RUN, found, request, sized

pytestmark = pytest.mark.slow

MIB = 2**20
LIMIT = 512 * MIB
GOOD = {"otel_usage.gpu.model": "NVIDIA L4"}
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def connect(collector):
    """Return a connection to the gateway's port for HTTP."""
    address = urllib.parse.urlsplit(collector.http)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def assert_good_report_gets_through(collector):
    """Post a report and find it in the file, alone, and memory under the limit."""
    assert collector.post(request(GOOD).SerializeToString()) == 200
    assert [resource for _, _, resource, _ in found(collector.requests)] == [{**RUN, **GOOD}]
    assert collector.rss < LIMIT


def large():
    """Return a report of 1 MB."""
    return request({"otel_usage.gpu.model": "x" * MIB}).SerializeToString()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_body_has_36_kib_at_most(gateway, packed):
    """Before and after decompression: a byte more is refused, and nothing of it is stored."""
    largest, larger = sized(36 * 1024), sized(36 * 1024 + 1)
    headers = {"content_encoding": "gzip"} if packed else {}
    answers = [gateway.post(gzip.compress(body) if packed else body, **headers) for body in (largest, larger)]

    assert answers == [200, 400]
    assert len(found(gateway.requests)) == 1


def test_malformed_json_is_stored_nowhere_and_said_nowhere(gateway):
    """Near letters that are no ASCII it may be answered 500, as the page says, and 400 otherwise."""
    bodies = ["é", '{"secret": "é', '{"secret": é}', '{"resourceSpans": [{"resource": {"attributes": é', "[" * 1000, '{"secret": 1e999, "x": 1']
    answers = [gateway.post(body.encode(), kind=JSON) for body in bodies]

    assert answers == [500, 400, 400, 500, 400, 400]
    assert found(gateway.requests) == []
    assert "secret" not in gateway.log


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(large(), {}, 400, id="1 MB"),
        pytest.param(gzip.compress(bytes(50 * MIB)), {"content_encoding": "gzip"}, 400, id="50 MB of zeros in gzip"),
        pytest.param(gzip.compress(gzip.compress(bytes(50 * MIB))), {"content_encoding": "gzip"}, 400, id="gzip twice"),
        pytest.param(b"\x78\x9c", {"content_encoding": "zstd"}, 400, id="another compression"),
        pytest.param(b"no gzip", {"content_encoding": "gzip"}, 400, id="no gzip"),
        pytest.param(os.urandom(1000), {}, 400, id="junk protobuf"),
        pytest.param(b"[" * 36_000, {"kind": JSON}, 400, id="deep JSON"),
        pytest.param(b'{"resourceSpans": 7}', {"kind": JSON}, 400, id="junk JSON"),
        pytest.param(b"x", {"kind": "text/plain"}, 415, id="another type"),
        pytest.param(b"", {"path": "/v1/logs"}, 404, id="logs"),
        pytest.param(b"", {"path": "/v1/metrics"}, 404, id="metrics"),
        pytest.param(b"", {"path": "/debug/pprof"}, 404, id="another path"),
    ],
)
def test_what_is_no_report_is_refused_at_once_and_stored_nowhere(gateway, body, headers, status):
    """Too big before or after decompression, malformed, of another signal: a 4xx, and nothing in the file."""
    start = time.monotonic()

    assert gateway.post(body, **headers) == status
    assert time.monotonic() - start < 5
    assert_good_report_gets_through(gateway)


def test_bombs_all_at_once_stay_within_the_memory_limit(gateway):
    """Sixty-four at a time, decompressed no further than the limit of a body."""
    bomb = gzip.compress(bytes(50 * MIB))
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(gateway)) for _ in range(64)]
        for one in sockets:
            with contextlib.suppress(OSError):  # it may have answered, and closed
                one.sendall(head.encode() + bomb)
        for one in sockets:
            with contextlib.suppress(ConnectionError):
                assert one.recv(12) in (b"HTTP/1.1 400", b"")

    assert_good_report_gets_through(gateway)


def test_slow_sender_is_cut_within_its_time_limit(gateway):
    """Headers within 5 s, all of it within 10 s, however steadily it drips."""
    started = time.monotonic()
    with connect(gateway) as in_headers, connect(gateway) as in_body:
        in_headers.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n")
        in_body.sendall(f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\nContent-Length: 1000\r\n\r\n".encode())
        ended = {}
        while len(ended) < 2 and time.monotonic() < started + 15:
            for name, one, drop in (("headers", in_headers, b"X"), ("body", in_body, b"x")):
                if name not in ended and is_closed(one, drop):
                    ended[name] = time.monotonic() - started
            time.sleep(0.1)

    assert ended["headers"] < 7
    assert ended["body"] < 12
    assert_good_report_gets_through(gateway)


def is_closed(one, drop):
    """Send one more byte; tell whether the other end has closed, or answered."""
    one.settimeout(0.01)
    try:
        one.sendall(drop)
        one.recv(1000)
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_thousand_idle_connections_do_not_keep_a_good_report_out(gateway):
    """They cost little, and are closed before long."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(gateway)) for _ in range(1000)]
        assert_good_report_gets_through(gateway)
        sockets[0].settimeout(12)
        assert sockets[0].recv(100) == b""

    assert gateway.rss < LIMIT


def test_memory_limit_answers_429(tmp_path, start):
    """A client that is told so comes again later; its report is not lost."""
    gateway = Collector(tmp_path, overrides=["extensions::memory_limiter::limit_mib: 2",
                                             "extensions::memory_limiter::spike_limit_mib: 1"])  # fmt: skip
    gateway.answers = gateway.is_healthy
    start(gateway)
    time.sleep(1)  # it measures every 200 ms
    with connect(gateway) as one:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\nContent-Length: 36000\r\n\r\n"
        one.sendall(head.encode() + bytes(36_000))
        answer = one.recv(12)

    assert answer == b"HTTP/1.1 429"


def poured(address, data):
    """Send bytes to an address, whether or not somebody listens there, and read what is answered until nothing comes."""
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=1) as one:
        one.sendall(data)
        while one.recv(65536):
            pass


@pytest.mark.parametrize("config", ["gateway", "edge", WITH_CLICKHOUSE], ids=str)
def test_nothing_that_a_client_sends_is_in_the_log(tmp_path, start, config):
    """At the level below that of the configuration too: no header, path, method, kind or body, however it is malformed."""
    door = start(Collector(tmp_path, config, overrides=["service::telemetry::logs::level: info"], JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9", CLICKHOUSE_ENDPOINT="http://127.0.0.1:9"))
    good = "POST /v1/traces HTTP/1.1\r\nhost: secret\r\n"
    requests = [
        f"{good}x-secret-bin: %%%secret\r\ncontent-type: application/secret\r\ncontent-length: 0\r\n\r\n",
        f"{good}content-type: {PROTOBUF}\r\ncontent-encoding: secret\r\ncontent-length: 6\r\n\r\nsecret",
        f"{good}content-type: {PROTOBUF}\r\ncontent-length: 6\r\n\r\nsecret",
        f'{good}content-type: {JSON}\r\ncontent-length: 10\r\n\r\n{{"secret": ',
        f"{good}content-type: {PROTOBUF}\r\ntransfer-encoding: chunked\r\n\r\nsecret\r\n",
        f"{good}content-length: secret\r\n\r\n", f"{good}secret\r\n\r\n", f"{good}secret\0: secret\r\n\r\n",
        "SECRET /secret?secret HTTP/1.1\r\nhost: secret\r\n\r\n", "secret secret secret\r\n\r\n", "\x16\x03\x01\x02\0\x01secret",
    ]  # fmt: skip
    pours = [*map(str.encode, requests), with_headers(header(b"x-secret-bin", b"%%%secret"))]
    for url in (door.http, door.grpc, door.hop):
        for data in pours:
            poured(("127.0.0.1", int(url.rpartition(":")[2])), data)
    time.sleep(0.5)

    assert [line for line in door.log.splitlines() if "secret" in line.lower()] == []
    assert "service@v" in door.log


@pytest.mark.parametrize("config", ["gateway", "edge"])
def test_headers_that_refer_to_each_other_take_no_memory(tmp_path, start, config):
    """A byte each stands for a header: over the door's port they are no HTTP, and nobody listens where gRPC would be."""
    door = start(Collector(tmp_path, config, JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9"))
    bomb = with_headers(header(b"x", b""), BOMB * 400_000)
    with ThreadPoolExecutor(4) as pool:
        for url in (door.http, door.grpc):
            list(pool.map(poured, [("127.0.0.1", int(url.rpartition(":")[2]))] * 4, [bomb] * 4))

    assert door.rss < 256 * MIB
    assert door.post(request(GOOD).SerializeToString()) == 200
