"""compose.yaml without containers: its commands, files and settings, run by the programs that are built here."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import pytest
import yaml
from clickhouse import Store
from clickhouse_server import ClickHouseServer
from collector import Collector
from grafana import REPORTS, answer, queries
from otlp import found, request
from programs import BIN, CONFIG, Jaeger, Kafka, Program, Prometheus, fetch, free_ports, wait_for

SERVICES = yaml.safe_load((CONFIG / "compose.yaml").read_text())["services"]
PROGRAMS = {"otel/opentelemetry-collector-contrib": BIN / "otelcol-usage", "jaegertracing/jaeger": BIN / "jaeger"}

pytestmark = pytest.mark.slow


class Stack:
    """The services of compose.yaml on this machine: each `host:port` of theirs is a port of its own on loopback."""

    def __init__(self, directory):
        self.directory, self._ports = directory, {}

    def address(self, service, port):
        """Return where a port of a service is here."""
        if (service, port) not in self._ports:
            (self._ports[service, port],) = free_ports(1)
        return f"127.0.0.1:{self._ports[service, port]}"

    def here(self, service, text):
        """Return a text of a service with its addresses, files and volumes as they are here."""
        for volume in SERVICES[service].get("volumes", ()):
            source, target = volume.split(":")[:2]
            place = CONFIG / source if source.startswith("./") else self.directory / source
            text = re.sub(rf"(^|=){re.escape(target)}(?=$|/)", lambda found, p=place: f"{found[1]}{p}", text)
        names = "|".join(map(re.escape, SERVICES))
        text = re.sub(rf"\b({names}):([0-9]+)\b", lambda found: self.address(found[1], found[2]), text)
        return re.sub(r"\b0\.0\.0\.0:([0-9]+)\b", lambda found: self.address(service, found[1]), text)

    def program(self, service, ready, **more):
        """Return the program of a service, with the command and the settings of compose.yaml; `more` are defaults of the file."""
        made = SERVICES[service]
        settings = {name: self.here(service, str(value)) for name, value in made.get("environment", {}).items()}
        command = [PROGRAMS[made["image"].partition(":")[0]], *(self.here(service, part) for part in made["command"])]
        program = Program(self.directory, service, command, **{**settings, **more})
        program.answers = lambda: fetch(ready(), timeout=1)[0] == 200
        return program

    def collector(self, service):
        """Return a collector; what has no port in compose.yaml is moved from its default, since all are on one machine."""
        hop, health, own = (self.address(service, name) for name in ("hop", "health", "own"))
        return self.program(
            service, lambda: f"http://{health}", OTEL_USAGE_HOP=hop, OTEL_USAGE_HEALTH=health,
            OTEL_USAGE_OWN_METRICS_HOST="127.0.0.1", OTEL_USAGE_OWN_METRICS_PORT=own.rpartition(":")[2],
        )  # fmt: skip

    def jaeger(self):
        """Return Jaeger."""
        health, grpc = self.address("jaeger", "health"), self.address("jaeger", "grpc")
        return self.program("jaeger", lambda: f"http://{health}/status", JAEGER_HEALTH=health, JAEGER_QUERY_GRPC=grpc)


@pytest.fixture
def stack(tmp_path):
    """The stack, not started."""
    return Stack(tmp_path)


@pytest.fixture
def clickhouse(stack):
    """The ClickHouse of the stack: the real engine, with what its image runs at its first start."""
    scripts = [stack.here("clickhouse", volume.split(":")[1]) for volume in SERVICES["clickhouse"]["volumes"] if "initdb.d" in volume]
    (script,) = scripts
    store = Store(stack.directory / "clickhouse-store", CONFIG / script)
    server = ClickHouseServer(store)
    server.port = int(stack.address("clickhouse", "8123").rpartition(":")[2])
    yield server.start()
    server.stop()
    store.close()


def send(stack, service, port="4318"):
    """Post reports to the port that compose.yaml gives to this machine."""
    assert any(mapped.endswith(f":{port}") for mapped in SERVICES[service]["ports"])
    url = f"http://{stack.address(service, port)}/v1/traces"
    for body in [made.SerializeToString() for made in map(request, REPORTS)]:
        wait_for(lambda body=body: fetch(url, body, {"content-type": "application/x-protobuf"})[0] == 200)


def test_small_stack_has_reports_in_file_jaeger_and_clickhouse_and_fills_its_dashboards(stack, start, clickhouse):
    """All services that start without a profile, but Grafana, whose questions are put to the engine as its user may."""
    jaeger = start(stack.jaeger())
    start(stack.collector("gateway"))
    send(stack, "gateway")
    traces = Jaeger.traces
    jaeger.url = f"http://{stack.address('jaeger', '16686')}"
    wait_for(lambda: len(traces(jaeger)) == len(REPORTS))
    wait_for(lambda: clickhouse.store.query("SELECT count() AS n FROM otel_usage.reports") == [{"n": len(REPORTS)}])
    clickhouse.store.count_days()
    clickhouse.store.query("SET readonly = 2")
    answers = {panel: answer(clickhouse.store, sql) for board, panel, sql in queries("rawSql") if board == "Hardware"}

    assert len((stack.directory / "gateway-data" / "usage.jsonl").read_text().splitlines()) >= 1
    assert answers["Reports"] == [{"reports": 6}]
    assert answers["GPU types, by day"] == {"NVIDIA L4": 3, "NVIDIA H200": 2, "(none)": 1}
    assert [panel for panel, rows in answers.items() if not rows and panel != "Median uptime, hours"] == []


def test_cluster_has_reports_behind_kafka_in_file_and_clickhouse(stack, start, clickhouse):
    """The profile's edge, Kafka with its topic, and the ingest."""
    broker = stack.directory / "broker"
    broker.mkdir()
    kafka = start(Kafka(broker))
    stack._ports["kafka", "9092"] = int(kafka.brokers.rpartition(":")[2])
    start(stack.collector("edge"))
    start(stack.collector("ingest"))
    send(stack, "edge")
    wait_for(lambda: clickhouse.store.query("SELECT count() AS n FROM otel_usage.reports") == [{"n": len(REPORTS)}], 60)

    lines = (stack.directory / "ingest-data" / "usage.jsonl").read_text().splitlines()
    assert len(found([json.loads(line) for line in lines])) == len(REPORTS)


def test_lines_for_a_collector_of_ones_own_keep_usage_alone_and_bring_it_to_each_store(tmp_path, start, clickhouse):
    """Those of the page, beside a plain configuration: a report is in file, Jaeger and ClickHouse, other spans are not."""
    page = (CONFIG / "README.md").read_text()
    lines = page.partition("<!-- yours: begin -->\n```yaml\n")[2].partition("```")[0]
    (tmp_path / "usage.yaml").write_text(lines)
    (tmp_path / "plain.yaml").write_text(PLAIN)
    jaeger = start(Jaeger(tmp_path))
    ours = Collector(tmp_path, (tmp_path / "plain.yaml", tmp_path / "usage.yaml"), JAEGER_OTLP=jaeger.otlp, CLICKHOUSE_ENDPOINT=clickhouse.url)
    ours.answers = lambda: fetch(f"{ours.http}/v1/traces", b"", {"content-type": "application/x-protobuf"}, timeout=1)[0] == 200
    start(ours)
    other = request(REPORTS[0])
    other.resource_spans[0].scope_spans[0].spans[0].name = "GET /"
    assert {ours.post(made.SerializeToString()) for made in (other, request(REPORTS[0]))} == {200}
    wait_for(lambda: clickhouse.store.query("SELECT SpanName FROM otel_usage.spans") == [{"SpanName": "otel_usage.report"}])
    traces = wait_for(jaeger.traces)

    assert [span[1] for span in found(ours.requests)] == ["otel_usage.report"]
    assert [span["operationName"] for trace in traces for span in trace["spans"]] == ["otel_usage.report"]


PLAIN = """
receivers: {otlp: {protocols: {http: {endpoint: "${env:OTEL_USAGE_LISTEN_HTTP}"}}}}
exporters: {debug: {}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
"""


def test_same_starts_without_containers_and_ends_together(tmp_path, start, clickhouse):
    """`start.sh all`: Jaeger, a gateway that knows ClickHouse, and what removes old files; when one ends, so do the others."""
    gateway = Collector(tmp_path, CLICKHOUSE_ENDPOINT=clickhouse.url)
    jaeger = Jaeger(tmp_path)
    gateway.command = [str(CONFIG / "start.sh"), "all"]
    gateway.environment |= {**jaeger.environment, "OTELCOL": str(BIN / "otelcol-usage"), "BBOLT": str(BIN / "bbolt"), "JAEGER": str(BIN / "jaeger")}
    start(gateway)
    (made,) = map(request, REPORTS[:1])
    assert gateway.post(made.SerializeToString()) == 200
    (trace,) = wait_for(jaeger.traces)
    wait_for(lambda: clickhouse.store.query("SELECT count() AS n FROM otel_usage.reports") == [{"n": 1}])
    ours = running(tmp_path)
    gateway.kill()
    wait_for(lambda: not running(tmp_path))

    assert trace["traceID"] == made.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
    assert {name for name in ours if name != "sleep"} == {"otelcol-usage", "jaeger", "retention.sh", "start.sh"}


def running(directory):
    """Return the names of the processes that were started in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd") == str(directory) and (process / "comm").read_text() != "pytest\n":
                found.append((process / "comm").read_text().strip())
    return found


def test_prometheus_of_the_stack_reads_the_gateway(stack, start, clickhouse):
    """By the addresses of its file, with the gateway's own ports."""
    start(stack.collector("gateway"))
    (job,) = yaml.safe_load((CONFIG / "prometheus.yml").read_text())["scrape_configs"]
    (targets,) = (static["targets"] for static in job["static_configs"])
    stack._ports["gateway", "9465"] = stack._ports["gateway", "own"]
    pages = [f"http://{stack.here('prometheus', target)}/metrics" for target in targets if target.startswith("gateway:")]
    prometheus = start(Prometheus(stack.directory, *pages))
    send(stack, "gateway")
    asked = ("sum(otel_usage_reports_total)", 'sum(otelcol_receiver_accepted_spans{receiver="otlp/public"})')
    wait_for(lambda: [float(one["value"][1]) for each in asked for one in prometheus.query(each)] == [len(REPORTS)] * 2)

    assert [target.partition(":")[0] for target in targets] == ["gateway", "gateway", "edge", "edge", "ingest"]


def test_grafana_has_each_file_that_its_settings_name():
    """Its home is a dashboard that is mounted, and what provisions it leads to what is mounted."""
    mounted = {volume.split(":")[1]: CONFIG / volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"] if volume.startswith("./")}
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    provider = yaml.safe_load((mounted["/etc/grafana/provisioning"] / "dashboards" / "otel_usage.yaml").read_text())["providers"][0]
    directory, _, name = home.rpartition("/")

    assert directory == provider["options"]["path"]
    assert (mounted[directory] / name).is_file()
