"""The tables and views, on the real engine, filled with what a real collector took."""

from __future__ import annotations

import json

import pytest
from clickhouse import Store, inserted_columns
from otlp import add_report, request

from otel_usage.facts import registry

pytestmark = pytest.mark.slow

FULL = {
    "service.version": "0.32.0", "service.instance.id": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "otel_usage.gpu.count": 2,
    "otel_usage.gpu.model": "NVIDIA L4", "vllm.config.gpu_memory_utilization": 0.92, "vllm.config.enable_lora": False,
    "vllm.config.enable_prefix_caching": True, "vllm.config.kv_cache_memory_bytes": 2**34,
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """The tables, empty."""
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def collected(gateway, *requests):
    """Send requests through a real gateway; return what is in its file."""
    for one in requests:
        assert gateway.post(one.SerializeToString()) == 200
    return gateway.requests


def test_table_has_each_column_that_the_exporter_inserts(store):
    """By the statement that is in the collector that was built; nested columns included."""
    columns = {row["name"] for row in store.query("SELECT name FROM system.columns WHERE table = 'spans'")}

    assert set(inserted_columns()) <= columns
    assert len(inserted_columns()) == 22


def test_each_declared_attribute_has_a_column_of_its_type(gateway, store):
    """Numbers are numbers, booleans booleans, and what was not given is null."""
    store.insert(collected(gateway, request(FULL)))
    names = [name.replace(".", "_") for name, a in registry.load("vllm").attributes.items() if name not in ("service.name", "otel_usage.uptime")]

    (row,) = store.query(f"SELECT app, {', '.join(names)} FROM otel_usage.reports")

    given = {"app": "vllm", "otel_usage_context": "LLM_CLASS", **{name.replace(".", "_"): value for name, value in FULL.items()}}
    assert json.dumps(row, sort_keys=True) == json.dumps({**dict.fromkeys(names), **given}, sort_keys=True)


def test_report_that_is_inserted_twice_is_counted_once(gateway, store):
    """Delivery is at least once, in one insert or in several."""
    requests = collected(gateway, request(FULL), request({"otel_usage.gpu.model": "NVIDIA H200"}))
    store.insert(requests + requests)
    store.insert(requests)
    store.count_days()
    store.count_days()

    assert store.query("SELECT otel_usage_gpu_model AS gpu, count() AS n FROM otel_usage.reports GROUP BY gpu ORDER BY gpu") == [
        {"gpu": "NVIDIA H200", "n": 1}, {"gpu": "NVIDIA L4", "n": 1},
    ]  # fmt: skip
    assert store.query("SELECT value, sum(reports) AS n FROM otel_usage.daily FINAL WHERE attribute = 'otel_usage.gpu.model' GROUP BY value ORDER BY value") == [
        {"value": "NVIDIA H200", "n": 1}, {"value": "NVIDIA L4", "n": 1},
    ]  # fmt: skip


def test_runs_are_as_long_as_their_last_heartbeat_says(gateway, store):
    """Each heartbeat has the uptime so far."""
    heartbeats = [request(), request()]
    for made, uptime in zip(heartbeats, (600, 1200), strict=True):
        add_report(made, FULL, {"otel_usage.uptime": uptime}, name="otel_usage.heartbeat")
    store.insert(collected(gateway, request(FULL), *heartbeats))

    assert store.query("SELECT run, otel_usage_gpu_model, uptime FROM otel_usage.runs") == [
        {"run": FULL["service.instance.id"], "otel_usage_gpu_model": "NVIDIA L4", "uptime": 1200}
    ]
    assert store.query("SELECT count() AS n FROM otel_usage.reports") == [{"n": 1}]


def test_reports_go_after_30_days_and_the_daily_counts_stay(gateway, store):
    """By the day of receipt, whatever the client's clock said."""
    store.insert(collected(gateway, request(FULL)))
    store.query("INSERT INTO otel_usage.spans (Timestamp, TraceId, SpanId, SpanName, ServiceName, ResourceAttributes, received) "
                "SELECT Timestamp, 'old', 'old', SpanName, ServiceName, ResourceAttributes, now() - INTERVAL 20 DAY FROM otel_usage.spans")  # fmt: skip
    store.count_days()
    days = "SELECT day, reports FROM otel_usage.daily FINAL WHERE attribute = 'otel_usage.gpu.model' ORDER BY day"
    counted = store.query(days)
    store.query("ALTER TABLE otel_usage.spans MODIFY TTL received + INTERVAL 10 DAY SETTINGS mutations_sync = 2, materialize_ttl_after_modify = 1")
    store.query("OPTIMIZE TABLE otel_usage.spans FINAL")
    store.count_days()

    (created,) = store.query("SELECT create_table_query FROM system.tables WHERE name = 'spans'")
    assert "TTL received + toIntervalDay(10)" in created["create_table_query"]
    assert store.query("SELECT count() AS n FROM otel_usage.reports") == [{"n": 1}]
    assert [day["reports"] for day in counted] == [1, 1]
    assert store.query(days) == counted


def test_time_that_cannot_be_is_the_time_of_receipt(gateway, store):
    """A wrong clock, wherever it is, makes no partition and no point in another century."""
    requests = collected(gateway, request(FULL), request(FULL))
    spans = [spans for one in requests for spans in one["resourceSpans"]]
    for one, time in zip(spans, (10**18 * 4, 0), strict=True):
        one["scopeSpans"][0]["spans"][0]["startTimeUnixNano"] = str(time)
    store.insert(requests)

    assert store.query("SELECT count() AS n FROM otel_usage.reports WHERE time = received") == [{"n": 2}]
    assert store.query("SELECT uniq(partition) AS n FROM system.parts WHERE table = 'spans'") == [{"n": 1}]
