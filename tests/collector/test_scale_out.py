"""The edge writes to Kafka, the ingest reads from it: nothing is lost or changed on the way, whoever is killed."""

from __future__ import annotations

import time

import pytest
from collector import Collector
from otlp import found, request
from programs import Kafka, wait_for
from real_report import report

from otel_usage.insights.reader import read

pytestmark = pytest.mark.slow

# The database can't be had here as a server: its exporter is validated, and its inserts are tried on the real engine.
FILES_ONLY = "service::pipelines::traces::exporters: [file/usage]"


@pytest.fixture
def kafka(tmp_path, start):
    """A real Kafka broker."""
    directory = tmp_path / "broker"
    directory.mkdir()
    return start(Kafka(directory))


def edge(directory, kafka, name="edge"):
    """Return an edge before a Kafka."""
    return program(directory / name, "edge", kafka)


def ingest(directory, kafka):
    """Return an ingest behind a Kafka."""
    made = program(directory / "ingest", "ingest", kafka, overrides=[FILES_ONLY])
    made.answers = made.is_healthy
    return made


def program(directory, config, kafka, **more):
    """Return a collector in a directory of its own."""
    directory.mkdir()
    return Collector(directory, config, KAFKA_BROKERS=kafka.brokers, **more)


def test_report_is_behind_kafka_with_exactly_the_attributes_of_the_table(tmp_path, home, start, kafka):
    """Set equality at the far end."""
    front, back = start(edge(tmp_path, kafka)), start(ingest(tmp_path, kafka))

    wanted = report(front, home, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    ((_, _, *attributes),) = wait_for(lambda: found(back.requests))

    assert tuple(attributes) == wanted


def test_what_the_edge_acknowledged_arrives_whoever_is_killed_or_down(tmp_path, start, kafka):
    """Kafka is away, the edge and the ingest are killed: every report is in the files afterwards, and is read once."""
    front, back = start(edge(tmp_path, kafka)), start(ingest(tmp_path, kafka))
    acknowledged = []

    def send(count):
        for _ in range(count):
            made = request({"otel_usage.gpu.model": "NVIDIA L4"})
            if front.post(made.SerializeToString()) == 200:
                acknowledged.append(made.resource_spans[0].scope_spans[0].spans[0].trace_id.hex())

    send(50)
    kafka.kill()
    send(50)
    front.kill()
    front.start()
    send(50)
    back.kill()
    super(Kafka, kafka).start()
    send(50)
    time.sleep(1)
    back.start()
    wait_for(lambda: {record.trace_id for record in read([str(back.file.parent)])} >= set(acknowledged), 60)

    ids = [record.trace_id for record in read([str(back.file.parent)])]
    assert len(acknowledged) == 200
    assert sorted(ids) == sorted(acknowledged)
