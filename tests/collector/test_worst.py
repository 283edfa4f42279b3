"""The worst that a request of so many bytes can be made of: it costs no more than its bytes, and counts once at most."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from collector import Collector
from otlp import RUN, add_report, found, request
from worst import JSON_SHAPES, SHAPES

pytestmark = pytest.mark.slow

MOST = 36 * 1024 - 200
ACCEPTED = 'otelcol_receiver_accepted_spans{receiver="otlp/clean",transport="http"}'


@pytest.fixture(scope="module", params=["gateway", "edge"])
def door(request, tmp_path_factory):
    """A real gateway, and a real edge, with nothing behind them."""
    directory = tmp_path_factory.mktemp(request.param)
    collector = Collector(directory, request.param, JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9").start()
    yield collector
    collector.kill()


def cpu_seconds(collector):
    """Return the processor time that a collector has used, of all its threads."""
    threads = Path(f"/proc/{collector.process.pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def cost(collector, body, kind="application/x-protobuf", answers=(200,)):
    """Return the processor time of a request: the least of four rounds, since other work only adds to it."""
    spent = []
    for _ in range(4):
        before = cpu_seconds(collector)
        for _ in range(3):
            assert collector.post(body, kind, timeout=60) in answers
        spent.append((cpu_seconds(collector) - before) / 3)
    return min(spent)


@pytest.mark.parametrize("shape", SHAPES)
def test_cost_grows_with_the_bytes_and_no_faster_whatever_their_shape(door, shape):
    """Four times the bytes take four times as long, by far less than the sixteen times of a square, and never long."""
    small, large = (cost(door, SHAPES[shape](size)) for size in (MOST // 4, MOST))

    assert large < 8 * small + 0.02
    assert large < 0.25


@pytest.mark.parametrize("shape", JSON_SHAPES)
def test_cost_of_json_grows_with_the_bytes_and_no_faster_whatever_their_shape(door, shape):
    """The same of the other encoding."""
    bodies = [JSON_SHAPES[shape](size).encode() for size in (MOST // 4, MOST)]
    small, large = (cost(door, body, "application/json", (200, 400)) for body in bodies)

    assert large < 8 * small + 0.02
    assert large < 0.25


def test_worst_requests_of_many_senders_stay_far_below_the_memory_limit(door):
    """Sixteen at a time, as they are and compressed."""
    bodies = [SHAPES[shape](MOST) for shape in SHAPES] * 4
    packed = [gzip.compress(body) for body in bodies]
    with ThreadPoolExecutor(16) as pool:
        plain = set(pool.map(lambda body: door.post(body, timeout=60), bodies))
        unpacked = set(pool.map(lambda body: door.post(body, timeout=60, content_encoding="gzip"), packed))

    assert (plain, unpacked) == ({200}, {200})
    assert door.rss < 384 * 2**20


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if "report" in shape])
def test_one_report_of_a_request_counts_however_many_there_are(door, shape):
    """Whatever resources, scopes and spans it is made of, and whether their ids are the same."""
    before = door.own.get(ACCEPTED, 0)
    assert door.post(SHAPES[shape](MOST)) == 200

    assert door.own[ACCEPTED] - before == 1


def test_report_that_counts_is_the_first_with_all_that_is_its_own(gateway):
    """Not that of a neighbour: neither the others' attributes nor their ids, nor those of a heartbeat behind it."""
    made = request({"otel_usage.gpu.count": 1}, {"otel_usage.gpu.count": 2})
    made.resource_spans[0].scope_spans[0].spans[0].parent_span_id = os.urandom(8)
    first = made.resource_spans[1].scope_spans[0].spans[0]
    add_report(made, {"otel_usage.gpu.model": "NVIDIA L4"}, {"otel_usage.uptime": 600}, name="otel_usage.heartbeat")
    for spans in made.resource_spans[1:]:
        spans.scope_spans[0].spans.add().CopyFrom(first)

    assert gateway.post(made.SerializeToString()) == 200
    assert found(gateway.requests) == [
        (first.trace_id.hex(), "otel_usage.report", {**RUN, "otel_usage.gpu.count": 2}, {"otel_usage.context": "LLM_CLASS"})
    ]
