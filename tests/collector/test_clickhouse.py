"""The tables and views, on the real engine, filled with what a real collector took."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse import Store, inserted_columns
from otlp import add_report, found, request
from programs import CONFIG

from otel_usage.facts import registry

pytestmark = pytest.mark.slow

DAY = 86_400
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
    assert store.query("SELECT value, sum(reports) AS n FROM otel_usage.daily WHERE attribute = 'otel_usage.gpu.model' GROUP BY value ORDER BY value") == [
        {"value": "NVIDIA H200", "n": 1}, {"value": "NVIDIA L4", "n": 1},
    ]  # fmt: skip


def test_analysts_client_asks_the_same_tables(gateway, clickhouse):
    """`clickhouse-connect` over the server that the exporter writes to: a parameter is a value, whatever is in it."""
    clickhouse.store.insert(collected(gateway, request(FULL)))
    clickhouse.start()
    asked = "SELECT otel_usage_gpu_model, otel_usage_gpu_count FROM otel_usage.reports WHERE app = {app:String}"
    client = clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse.port)
    answers = [client.query(asked, parameters={"app": app}).result_rows for app in ("vllm", "' OR 1 = 1 --")]
    client.close()

    assert answers == [[("NVIDIA L4", 2)], []]


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


def test_first_copy_of_a_report_is_kept(gateway, store):
    """Whether it comes again in the same insert, in the same second, or on another day."""
    requests = collected(gateway, request(FULL))
    copies = [json.loads(json.dumps(requests).replace("NVIDIA L4", gpu)) for gpu in ("NVIDIA H100", "NVIDIA H200", "NVIDIA B200")]
    store.insert(requests + copies[0])
    store.insert(copies[1])
    store.insert(copies[2], received=int(time.time()) - DAY)
    kept = store.query("SELECT otel_usage_gpu_model AS gpu FROM otel_usage.reports")
    store.query("OPTIMIZE TABLE otel_usage.spans FINAL")

    assert kept == [{"gpu": "NVIDIA L4"}]
    assert store.query("SELECT otel_usage_gpu_model AS gpu FROM otel_usage.spans") == kept


def test_question_about_a_day_reads_that_day_alone(gateway, store):
    """Its partitions are the days of the reports, and stand in the question."""
    for day in range(28):
        store.insert(made(gateway, 100, day), received=int(time.time()) - day * DAY)
    of_a_day = "SELECT count() AS n FROM otel_usage.reports WHERE time >= now() - 3600 AND time <= now()"
    of_all = "SELECT count() AS n FROM otel_usage.reports WHERE otel_usage_gpu_count >= 0"

    assert store.query(of_all) == [{"n": 2800}]
    assert store.rows_read(of_all) >= 2800
    assert store.rows_read(of_a_day) <= 200


def made(gateway, count, days_ago=0):
    """Return OTLP/JSON requests of some reports, made that long ago, as a gateway stores them; none was sent."""
    if not gateway.requests:
        collected(gateway, request(FULL))
    one = json.dumps(gateway.requests[0])
    trace_id = found([json.loads(one)])[0][0]
    start = f"{(int(time.time()) - days_ago * DAY) // 3600 * 3600}000000000"
    one = re.sub(r'("startTimeUnixNano": )"[0-9]+"', rf'\1"{start}"', one)
    return [json.loads(one.replace(trace_id, os.urandom(16).hex())) for _ in range(count)]


def test_number_out_of_its_bounds_is_none(gateway, store):
    """Whoever could insert one could else make every sum a nonsense."""
    requests = collected(gateway, request(FULL))
    spoilt = [json.loads(json.dumps(requests).replace('"intValue": "2"', f'"intValue": "{count}"')) for count in (2**63 - 1, -5, 4096)]
    for one in spoilt:
        store.insert(json.loads(json.dumps(one).replace(found(one)[0][0], os.urandom(16).hex())))

    assert store.query("SELECT otel_usage_gpu_count AS n FROM otel_usage.reports ORDER BY n") == [{"n": 4096}, {"n": None}, {"n": None}]


COUNTED = "SELECT day - today() AS day, reports FROM otel_usage.daily WHERE attribute = 'otel_usage.gpu.model' ORDER BY day"


def test_reports_go_after_29_days_and_the_daily_counts_stay(gateway, store):
    """By the time of the report, a day at a time; no clock may be ahead by more than a day, so none stays for 30 days."""
    for age, received in ((0, 0), (27, 27), (28, 28), (29, 28)):
        store.insert(made(gateway, 1, age), received=int(time.time()) - received * DAY)
    store.query("INSERT INTO otel_usage.days VALUES (today() - 400, 'vllm', '0.32.0', 'NVIDIA L4', 'otel_usage.gpu.model', 'NVIDIA L4', 5)")
    store.count_days()
    counted = store.query(COUNTED)
    store.query("OPTIMIZE TABLE otel_usage.spans FINAL")
    store.count_days()

    (created,) = store.query("SELECT create_table_query FROM system.tables WHERE name = 'spans'")
    assert "TTL toDate(time) + toIntervalDay(29)" in created["create_table_query"]
    assert store.query("SELECT dateDiff('day', time, now()) AS age FROM otel_usage.reports ORDER BY age") == [{"age": age} for age in (0, 27, 28)]
    assert counted == [{"day": -400, "reports": 5}, {"day": -27, "reports": 1}, {"day": 0, "reports": 1}]
    assert store.query(COUNTED) == counted


def test_day_that_is_over_is_counted_once_and_not_lost_when_hours_are_missed(gateway, store):
    """By the day of receipt; what is counted stays as it is, and today is counted anew each time."""
    for age in (0, 1, 5):
        store.insert(made(gateway, 2, age), received=int(time.time()) - age * DAY)
    store.count_days()
    before = store.query(COUNTED)
    store.insert(made(gateway, 1))
    store.count_days()
    store.count_days()

    assert before == [{"day": day, "reports": 2} for day in (-5, -1, 0)]
    assert store.query(COUNTED) == [{"day": -5, "reports": 2}, {"day": -1, "reports": 2}, {"day": 0, "reports": 3}]
    assert store.query("SELECT count() AS n FROM otel_usage.days WHERE attribute = 'otel_usage.gpu.model'") == [{"n": 2}]


def test_daily_counts_are_bounded_whatever_is_made_up_and_their_sum_is_all_reports(gateway, store):
    """Of 6,000 reports with values of their own few rows are left, and what is real is still among them."""
    real = made(gateway, 3)
    store.insert(real, received=int(time.time()) - DAY)
    store.query(
        "INSERT INTO otel_usage.spans (Timestamp, TraceId, SpanId, SpanName, ServiceName, ResourceAttributes, received) "
        "SELECT now64(9) - INTERVAL 1 DAY, 'made up' || toString(number), 'x', 'otel_usage.report', 'vllm', map('service.version', toString(cityHash64(number, 1) % 60), "
        "'otel_usage.gpu.model', 'GPU ' || toString(cityHash64(number, 2) % 70), 'vllm.config.quantization', toString(cityHash64(number, 3) % 80)), now() - INTERVAL 1 DAY FROM numbers(6000)"
    )
    store.count_days()
    rows = store.query("SELECT attribute, count() AS rows, sum(reports) AS reports FROM otel_usage.days GROUP BY attribute")
    values = store.query("SELECT value, sum(reports) AS n FROM otel_usage.days WHERE attribute = 'vllm.config.quantization' GROUP BY value ORDER BY value = '(rest)', value")

    assert len(rows) == 12
    assert {row["reports"] for row in rows} == {6003}
    assert max(row["rows"] for row in rows) <= 1000 + 22
    assert max(row["rows"] for row in rows) >= 1000
    assert len(values) == 22
    assert (values[0], values[-1]["value"]) == ({"value": "(none)", "n": 3}, "(rest)")


def test_tables_of_before_are_taken_over(gateway, tmp_path):
    """Raw reports once each with the time of their receipt, and daily counts with what had no value."""
    store = Store(tmp_path / "before", Path(__file__).parent / "tables_before.sql", counts="daily_count")
    try:
        for age in (0, 3):
            store.insert(made(gateway, 2, age), received=int(time.time()) - age * DAY)
        store.query(
            "INSERT INTO otel_usage.daily SELECT today() - 100, 'vllm', '0.32.0', '(none)', pair.1, pair.2, pair.3, now() "
            "FROM (SELECT arrayJoin([('service.name', 'vllm', 9), ('vllm.config.dtype', 'auto', 4), ('host.arch', 'amd64', 9)]) AS pair)"
        )
        for script in ("upgrade-before", "otel_usage", "upgrade-after"):
            store.run((CONFIG / "clickhouse" / f"{script}.sql").read_text())
        store.count_days()
        reports = store.query("SELECT dateDiff('day', received, now()) AS age, count() AS n FROM otel_usage.reports GROUP BY age ORDER BY age")
        days = store.query("SELECT day - today() AS day, value, sum(reports) AS n FROM otel_usage.daily WHERE attribute = 'vllm.config.dtype' GROUP BY day, value ORDER BY day, value")
        attributes = store.query("SELECT DISTINCT attribute FROM otel_usage.daily WHERE attribute = 'host.arch'")
        left = store.query("SELECT name FROM system.tables WHERE database = 'otel_usage' AND name LIKE '%before'")
    finally:
        store.close()

    assert reports == [{"age": 0, "n": 2}, {"age": 3, "n": 2}]
    assert days == [{"day": -100, "value": "(none)", "n": 5}, {"day": -100, "value": "auto", "n": 4},
                    {"day": -3, "value": "(none)", "n": 2}, {"day": 0, "value": "(none)", "n": 2}]  # fmt: skip
    assert (attributes, left) == ([], [])


def test_time_that_cannot_be_is_the_time_of_receipt(gateway, store):
    """A wrong clock, wherever it is, makes no partition and no point in another century."""
    requests = collected(gateway, request(FULL), request(FULL))
    spans = [spans for one in requests for spans in one["resourceSpans"]]
    for one, start in zip(spans, (10**18 * 4, 0), strict=True):
        one["scopeSpans"][0]["spans"][0]["startTimeUnixNano"] = str(start)
    store.insert(requests)

    assert store.query("SELECT count() AS n FROM otel_usage.reports WHERE time = received") == [{"n": 2}]
    assert store.query("SELECT uniq(partition) AS n FROM system.parts WHERE table = 'spans'") == [{"n": 1}]
