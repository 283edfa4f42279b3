"""Every query of every panel, on the real engines, over reports that a real gateway took."""

from __future__ import annotations

import json
import re
import time

import pytest
import yaml
from clickhouse import Store
from collector import Collector
from otlp import add_report, request
from programs import CONFIG, Prometheus, wait_for

from otel_usage import apps

REPORTS = (
    *({"service.version": "0.32.0", "otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2, "cloud.provider": "gcp",
       "vllm.model.architecture": "OPTForCausalLM", "vllm.config.quantization": "awq", "otel_usage.memory.limit": 2**36},) * 3,
    *({"service.version": "0.33.0", "otel_usage.gpu.model": "NVIDIA H200", "otel_usage.gpu.count": 8, "cloud.provider": "aws",
       "vllm.model.architecture": "Qwen3ForCausalLM", "vllm.config.enable_lora": True},) * 2,
    {"service.version": "0.33.0", "vllm.config.quantization": "fp8"},
)  # fmt: skip
EXPECTED = {
    ("Hardware", "Reports"): [{"reports": 6}],
    ("Hardware", "Reports with a GPU"): [{"reports": 5}],
    ("Hardware", "GPUs"): [{"gpus": 22}],
    ("Hardware", "Median uptime, hours"): [{"hours": 0.5}],
    ("Hardware", "otel_usage.gpu.model"): [{"value": "NVIDIA L4", "reports": 3}, {"value": "NVIDIA H200", "reports": 2}, {"value": "(none)", "reports": 1}],
    ("Hardware", "otel_usage.gpu.count"): [{"value": "2", "reports": 3}, {"value": "8", "reports": 2}, {"value": "(none)", "reports": 1}],
    ("Hardware", "otel_usage.memory.limit"): [{"value": "(none)", "reports": 3}, {"value": "64.00 GiB", "reports": 3}],
    ("Hardware", "GPU types, their number and cloud"): [
        {"otel_usage_gpu_model": "NVIDIA L4", "otel_usage_gpu_count": "2", "cloud_provider": "gcp", "reports": 3},
        {"otel_usage_gpu_model": "NVIDIA H200", "otel_usage_gpu_count": "8", "cloud_provider": "aws", "reports": 2},
        {"otel_usage_gpu_model": "(none)", "otel_usage_gpu_count": "(none)", "cloud_provider": "(none)", "reports": 1},
    ],
    ("Models and settings", "service.version"): [{"value": "0.32.0", "reports": 3}, {"value": "0.33.0", "reports": 3}],
    ("Models and settings", "vllm.model.architecture"): [{"value": "OPTForCausalLM", "reports": 3}, {"value": "Qwen3ForCausalLM", "reports": 2}, {"value": "(none)", "reports": 1}],
    ("Models and settings", "vllm.config.quantization"): [{"value": "awq", "reports": 3}, {"value": "(none)", "reports": 2}, {"value": "fp8", "reports": 1}],
    ("Models and settings", "vllm.config.enable_lora"): [{"value": "(none)", "reports": 4}, {"value": "true", "reports": 2}],
}  # fmt: skip


def boards():
    """Return the committed dashboards."""
    return [json.loads(path.read_text()) for path in sorted((CONFIG / "grafana" / "dashboards").glob("*.json"))]


def queries(kind):
    """Return each query of a kind, as (dashboard, panel, text)."""
    return [
        (board["title"], panel["title"], target[kind])
        for board in boards()
        for panel in board["panels"]
        for target in panel.get("targets", ())
        if kind in target
    ]


def of_now(sql):
    """Return a statement with Grafana's macros written out, as its ClickHouse source does: the last two days, one app."""
    since, until = "toDateTime(now() - 172800)", "toDateTime(now() + 60)"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= {since} AND \1 <= {until}", sql)
    sql = sql.replace("$__fromTime", since).replace("$__toTime", until).replace("${app:singlequote}", "'vllm'")
    assert "$" not in sql
    return sql


def sent():
    """Return a request of the reports, one of them with a heartbeat."""
    made = request(*REPORTS)
    run = {**REPORTS[0], "service.instance.id": "5be557ae-ae32-47db-958b-18a1c1cb19f1"}
    add_report(made, run, {"otel_usage.uptime": 1800}, name="otel_usage.heartbeat")
    return made


def test_dashboards_are_whole():
    """Each has its own uid, each panel its own number and place; each source is provisioned."""
    sources = yaml.safe_load((CONFIG / "grafana/provisioning/datasources/otel_usage.yaml").read_text())["datasources"]
    provisioned = {(source["type"], source["uid"]) for source in sources}
    panels = [(board["uid"], panel) for board in boards() for panel in board["panels"]]

    assert [board["title"] for board in boards()] == ["Collector", "Hardware", "Models and settings"]
    assert len({(uid, panel["id"]) for uid, panel in panels}) == len(panels)
    assert {tuple(panel["datasource"].values()) for _, panel in panels if "datasource" in panel} <= provisioned
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for _, panel in panels)
    for board in boards():
        cells = [(x, y) for panel in board["panels"] for place in [panel["gridPos"]]
                 for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]  # fmt: skip
        assert len(cells) == len(set(cells))


def test_each_declared_fact_has_a_panel_that_says_why_it_is_collected():
    """From the table: a new row is a new panel."""
    described = {panel["title"]: panel["description"] for board in boards() for panel in board["panels"] if panel["type"] == "barchart"}
    app = apps.load("vllm")
    wanted = {a.name: fact.why for fact in app.facts if fact.on == "report" for a in app.columns[fact.key]}

    assert wanted.items() <= described.items()


@pytest.mark.slow
def test_each_statement_gives_the_numbers_that_were_sent(gateway, tmp_path):
    """On the real engine, over what the real gateway took; a panel without an expected answer has at least a row."""
    assert gateway.post(sent().SerializeToString()) == 200
    store = Store(tmp_path / "store")
    try:
        store.insert(gateway.requests)
        store.count_days()
        store.query("SET readonly = 2")  # as Grafana's user
        answers = {(board, panel): store.query(of_now(sql)) for board, panel, sql in queries("rawSql")}
        variables = {board["title"]: [store.query(one["query"]) for one in board["templating"]["list"]] for board in boards()}
    finally:
        store.close()
    by_day = [(row["value"], row["reports"]) for row in answers["Hardware", "GPU types, by day"]]

    assert {name: answers[name] for name in EXPECTED} == EXPECTED
    assert by_day == [("NVIDIA H200", 2), ("NVIDIA L4", 3)]
    assert [name for name, rows in answers.items() if not rows] == []
    assert variables == {"Hardware": [[{"app": "vllm"}]], "Models and settings": [[{"app": "vllm"}]], "Collector": []}


@pytest.mark.slow
def test_each_expression_gives_the_numbers_of_the_gateway(tmp_path, start):
    """On a real Prometheus that scraped the real gateway."""
    gateway = start(Collector(tmp_path, JAEGER_OTLP="127.0.0.1:9"))
    prometheus = start(Prometheus(tmp_path, gateway.metrics_url, gateway.own_url))
    made = sent()
    made.resource_spans[5].scope_spans[0].spans[0].events.add(name="x")
    assert gateway.post(made.SerializeToString()) == 200
    asked = {panel: expression.replace("$__rate_interval", "30s") for _, panel, expression in queries("expr")}
    wait_for(lambda: prometheus.query(asked["Accepted, in all"]))
    assert gateway.post(request(*REPORTS[:3]).SerializeToString()) == 200
    last = wait_for(lambda: prometheus.query(asked["Since the last report"]))
    time.sleep(3)  # a rate needs two scrapes
    answers = {panel: prometheus.query(expression) for panel, expression in asked.items()}
    found = {panel: {tuple(one["metric"].values()): float(one["value"][1]) for one in rows} for panel, rows in answers.items()}

    assert found["Accepted, in all"] == {(): 10}
    assert found["Waiting"] == {(): 8}
    assert found["Versions"] == {("vllm", "0.32"): 6, ("vllm", "0.33"): 2}
    assert found["Heartbeats, by version"] == {("vllm", "0.32"): 1}
    assert found["gpu_type"] == {("NVIDIA L4",): 6, ("NVIDIA H200",): 2}
    assert found["model_architecture"] == {("OPTForCausalLM",): 6, ("Qwen3ForCausalLM",): 2}
    assert found["Dropped, a second"].keys() == {("filter/contract",), ("filter/types",)}
    assert found["Accepted, a second"]["http",] > 0
    assert float(last[0]["value"][1]) < 60
    assert [panel for panel, rows in found.items() if not rows] == []
