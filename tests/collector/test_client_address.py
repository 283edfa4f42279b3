"""The gateway and the address of a client: in no file, since what has a queue is a second hop away."""

from __future__ import annotations

import pytest
import yaml
from collector import WITH_CLICKHOUSE, Collector
from otlp import found, request
from programs import CONFIG
from search import seen_below
from sender import Relay

pytestmark = pytest.mark.slow

CLIENT = "127.0.0.77"
FORWARDED = {"x-forwarded-for": "203.0.113.77", "forwarded": "for=198.51.100.77", "x-real-ip": "192.0.2.77",
             "traceparent": "00-7c1d5fa0b9e24c3386d1e0f25a47b877-5be01c86d3f0a277-01"}  # fmt: skip
MARKS = {CLIENT, "203.0.113.77", "198.51.100.77", "192.0.2.77", "7c1d5fa0b9e24c3386d1e0f25a47b877"}


def marks_left(tmp_path, start, config):
    """Send from an address while Jaeger is down; return which marks of the sender are in a file."""
    folder = tmp_path / "collector"
    folder.mkdir()
    collector = start(Collector(folder, config, JAEGER_OTLP="127.0.0.1:9", CLICKHOUSE_ENDPOINT="http://127.0.0.1:9"))
    with Relay(int(collector.http.rpartition(":")[2]), CLIENT) as relay:
        collector.http = relay.url
        named = {name.replace("-", "_"): value for name, value in FORWARDED.items()}
        assert collector.post(request({}).SerializeToString(), **named) == 200
    waiting = [path for path in (folder / "queue").rglob("*") if b"otel_usage.report" in path.read_bytes()]
    running = seen_below(folder, *MARKS)
    collector.kill()

    assert len(waiting) == (2 if config == WITH_CLICKHOUSE else 1), "a queue does not hold the reports"
    assert len(found(collector.requests)) == 1
    return running | seen_below(folder, *MARKS)


def one_hop(tmp_path, *, metadata):
    """Return the path of the gateway's configuration with its public pipeline straight into file and queue."""
    config = yaml.safe_load((CONFIG / "gateway.yaml").read_text())
    pipelines = config["service"]["pipelines"]
    pipelines["traces/public"]["exporters"] = pipelines.pop("traces/file")["exporters"] + pipelines.pop("traces/jaeger")["exporters"]
    for protocol in config["receivers"]["otlp/public"]["protocols"].values():
        protocol["include_metadata"] = metadata
    path = tmp_path / "one-hop.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("config", ["gateway", WITH_CLICKHOUSE], ids=str)
def test_no_address_of_a_client_is_in_any_file_of_the_gateway(tmp_path, start, config):
    """Neither the sender's nor a forwarded one, as text or as bytes, in queue, data or log; nor its trace context."""
    assert marks_left(tmp_path, start, config) == set()


def test_same_address_is_in_a_file_when_there_is_one_hop(tmp_path, start):
    """The test above can fail: a queue stores the address of whoever sent to it."""
    assert marks_left(tmp_path, start, one_hop(tmp_path, metadata=False)) == {CLIENT}


def test_forwarded_addresses_are_in_a_file_too_when_headers_are_taken(tmp_path, start):
    """The same for `include_metadata`: with it a queue stores every header."""
    assert marks_left(tmp_path, start, one_hop(tmp_path, metadata=True)) == MARKS
