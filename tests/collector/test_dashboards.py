"""Every query of every panel, on the real engines, over reports that a real gateway took."""

from __future__ import annotations

import time

import pytest
import yaml
from clickhouse import Store
from collector import Collector
from grafana import REPORTS, answer, boards, of_now, queries
from otlp import add_report, request
from programs import CONFIG, Prometheus, wait_for

from otel_usage.collector import generated
from otel_usage.collector.statements import Statements
from otel_usage.facts import registry
from otel_usage.facts.environment import EnvironmentFact

EXPECTED = {
    ("Hardware", "Reports"): [{"reports": 6}],
    ("Hardware", "Reports with a GPU"): [{"reports": 5}],
    ("Hardware", "GPUs"): [{"gpus": 22}],
    ("Hardware", "Median uptime, hours"): [{"hours": 0.5}],
    ("Hardware", "otel_usage.gpu.model"): [{"value": "NVIDIA L4", "reports": 3}, {"value": "NVIDIA H200", "reports": 2}, {"value": "(none)", "reports": 1}],
    ("Hardware", "otel_usage.gpu.count"): [{"value": "2", "reports": 3}, {"value": "8", "reports": 2}, {"value": "(none)", "reports": 1}],
    ("Hardware", "otel_usage.memory.limit"): [{"value": "64.00 GiB", "reports": 3}, {"value": "(none)", "reports": 3}],
    ("Hardware", "GPU types, their number and cloud"): [
        {"otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": "2", "cloud.provider": "gcp", "reports": 3},
        {"otel_usage.gpu.model": "NVIDIA H200", "otel_usage.gpu.count": "8", "cloud.provider": "aws", "reports": 2},
        {"otel_usage.gpu.model": "(none)", "otel_usage.gpu.count": "(none)", "cloud.provider": "(none)", "reports": 1},
    ],
    ("Hardware", "GPU types, by day"): {"NVIDIA L4": 3, "NVIDIA H200": 2, "(none)": 1},
    ("Models and settings", "Versions, by day"): {"0.32.0": 3, "0.33.0": 3},
    ("Models and settings", "vllm.config.quantization, by day"): {"awq": 3, "(none)": 2, "fp8": 1},
    ("Models and settings", "service.version"): [{"value": "0.32.0", "reports": 3}, {"value": "0.33.0", "reports": 3}],
    ("Models and settings", "vllm.model.architecture"): [{"value": "OPTForCausalLM", "reports": 3}, {"value": "Qwen3ForCausalLM", "reports": 2}, {"value": "(none)", "reports": 1}],
    ("Models and settings", "vllm.config.quantization"): [{"value": "awq", "reports": 3}, {"value": "(none)", "reports": 2}, {"value": "fp8", "reports": 1}],
    ("Models and settings", "vllm.config.enable_lora"): [{"value": "(none)", "reports": 4}, {"value": "true", "reports": 2}],
}  # fmt: skip


def sent():
    """Return the reports, each in a request of its own, and a heartbeat of the first."""
    heartbeat = request()
    add_report(heartbeat, REPORTS[0], {"otel_usage.uptime": 1800}, name="otel_usage.heartbeat")
    return [*map(request, REPORTS), heartbeat]


def post(gateway, requests):
    """Post requests; fail where one is not taken."""
    assert {gateway.post(made.SerializeToString()) for made in requests} == {200}


def test_dashboards_are_whole():
    """Each has its own uid, each panel its own number and place; each source is provisioned."""
    sources = yaml.safe_load((CONFIG / "grafana/provisioning/datasources/otel_usage.yaml").read_text())["datasources"]
    provisioned = {(source["type"], source["uid"]) for source in sources}
    panels = [(board["uid"], panel) for board in boards() for panel in board["panels"]]

    assert [board["title"] for board in boards()] == ["Collector", "Hardware", "Models and settings"]
    assert len({(uid, panel["id"]) for uid, panel in panels}) == len(panels)
    for board in boards():
        chosen = {f"${{{one['name']}}}": one for one in board["templating"]["list"] if one["type"] == "datasource"}
        asked = {tuple(panel["datasource"].values()) for panel in board["panels"] if "datasource" in panel}
        assert asked == {(one["query"], name) for name, one in chosen.items()}
        assert {(one["query"], one["current"]["value"]) for one in chosen.values()} <= provisioned
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for _, panel in panels) <= 24
    for board in boards():
        cells = [(x, y) for panel in board["panels"] for place in [panel["gridPos"]]
                 for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]  # fmt: skip
        assert len(cells) == len(set(cells))


def test_each_declared_fact_has_a_panel_that_says_why_it_is_collected():
    """From the table: a new row is a new panel."""
    described = {panel["title"]: panel["description"] for board in boards() for panel in board["panels"] if panel["type"] == "barchart"}
    app = registry.load("vllm")
    wanted = {a.name: fact.why for fact in app.facts if len(app.attributes_of[fact.key]) == 1 for a in app.attributes_of[fact.key]}
    variables = {f"vllm.env.{one.key}": one.why for fact in app.facts if isinstance(fact, EnvironmentFact) for one in fact.variables}

    assert {**wanted, **variables}.items() <= described.items()
    assert len(variables) == 5


@pytest.mark.slow
def test_each_statement_gives_the_numbers_that_were_sent(gateway, tmp_path):
    """On the real engine, over what the real gateway took; a panel without an expected answer has at least a row."""
    post(gateway, sent())
    store = Store(tmp_path / "store")
    try:
        store.insert(gateway.requests)
        store.count_days()
        store.query("SET readonly = 2")  # as Grafana's user
        answers = {(board, panel): answer(store, sql) for board, panel, sql in queries("rawSql")}
        chosen = {(board, panel): answer(store, sql, version="0.33.0", gpu="(none)") for board, panel, sql in queries("rawSql")}
        variables = {one["name"]: [row["value"] for row in store.query(of_now(one["query"]))]
                     for board in boards() for one in board["templating"]["list"] if one["type"] == "query"}  # fmt: skip
    finally:
        store.close()

    assert {name: answers[name] for name in EXPECTED} == EXPECTED
    assert [name for name, rows in answers.items() if not rows] == []
    assert chosen["Hardware", "Reports"] == [{"reports": 1}]
    assert chosen["Models and settings", "vllm.config.quantization"] == [{"value": "fp8", "reports": 1}]
    assert chosen["Models and settings", "vllm.config.quantization, by day"] == {"fp8": 1}
    assert variables == {"version": ["0.32.0", "0.33.0"], "gpu": ["(none)", "NVIDIA H200", "NVIDIA L4"]}


@pytest.mark.slow
def test_dashboards_of_two_apps_show_each_its_own(tmp_path, start, made_up_app):
    """Written for both, and run on what their gateway took: no panel counts another's reports, heartbeats are summed."""
    for path, text in generated([made_up_app, registry.load("vllm")]).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    gateway = start(Collector(tmp_path, tmp_path / "gateway.yaml", JAEGER_OTLP="127.0.0.1:9"))
    ours = {"service.name": "myengine", "myengine.config.quantization": "gptq", "myengine.config.batch": 16}
    made = [*map(request, REPORTS), *(request({**ours, "myengine.env.MYENGINE_FAST": True}) for _ in range(2))]
    for run, served in (("5be557ae-ae32-47db-958b-18a1c1cb19f1", 5), ("5be557ae-ae32-47db-958b-18a1c1cb19f1", 9), ("aaaaaaaa-ae32-47db-958b-18a1c1cb19f1", 40)):
        made.append(request())
        add_report(made[-1], {**ours, "service.instance.id": run}, {"otel_usage.uptime": 600, "myengine.runtime.requests": served}, name="otel_usage.heartbeat")
    post(gateway, made)
    store = Store(tmp_path / "store", tmp_path / "clickhouse" / "otel_usage.sql")
    try:
        store.insert(gateway.requests)
        store.count_days()
        found = {(board, panel): answer(store, sql, app="myengine") for board, panel, sql in queries("rawSql", tmp_path)}
    finally:
        store.close()

    assert found["Hardware", "Reports"] == [{"reports": 2}]
    assert found["Models and settings", "myengine.config.quantization"] == [{"value": "gptq", "reports": 2}]
    assert found["Models and settings", "myengine.config.batch"] == [{"value": "16", "reports": 2}]
    assert found["Models and settings", "myengine.env.MYENGINE_FAST"] == [{"value": "true", "reports": 2}]
    assert found["Models and settings", "myengine.config.quantization, by day"] == {"gptq": 2}
    assert found["Models and settings", "myengine.runtime.requests"] == [{"total": 49, "median": 40, "most": 40}]
    assert found["Models and settings", "vllm.config.quantization"] == [
        {"value": "awq", "reports": 3}, {"value": "(none)", "reports": 2}, {"value": "fp8", "reports": 1}]  # fmt: skip
    assert [name for name, rows in found.items() if not rows] == []


@pytest.mark.slow
def test_each_expression_gives_the_numbers_of_the_gateway(tmp_path, start):
    """On a real Prometheus that scraped the real gateway."""
    gateway = start(Collector(tmp_path, JAEGER_OTLP="127.0.0.1:9"))
    prometheus = start(Prometheus(tmp_path, gateway.metrics_url, gateway.own_url))
    made = sent()
    made[5].resource_spans[0].scope_spans[0].spans[0].events.add(name="x")
    post(gateway, made)
    asked = {panel: expression.replace("$__rate_interval", "30s").replace("${app:regex}", "vllm")
             for _, panel, expression in queries("expr")}  # fmt: skip
    wait_for(lambda: prometheus.query(asked["Accepted, in all"]))
    post(gateway, map(request, (*REPORTS[:2], {**REPORTS[2], "vllm.config.dtype": "of next year"})))
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
    assert found["Other, of all reports"] == {("vllm.config.dtype",): 1 / 8}
    assert found["Dropped, a second"].keys() == {("filter/known",), ("filter/contract",), ("filter/first",), ("filter/types",)}
    assert found["Accepted, a second"]["http",] > 0
    assert found["Sent, a second"].keys() == {("file/usage",)}
    assert found["Lost, a second"] == found["Not queued, a second"] == {("otlp_grpc/jaeger",): 0}
    assert float(last[0]["value"][1]) < 60
    assert [panel for panel, rows in found.items() if not rows] == []


@pytest.mark.slow
def test_choices_leave_out_what_grafana_does_not_quote(tmp_path):
    """A backslash would end its quotes, and a macro behind a dollar sign is written out within them."""
    values = ["0.32.0", "it's", "abc\\", "$__timeFilter", "a$b", "(rest)"]
    (version,) = (one["query"] for one in boards()[1]["templating"]["list"] if one["name"] == "version")
    store = Store(tmp_path / "store")
    try:
        for value in values:
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            store.query(f"INSERT INTO otel_usage.days VALUES (today(), 'vllm', '(none)', '(none)', 'service.version', '{quoted}', 1)")
        kept = {row["value"] for row in store.query("SELECT value FROM otel_usage.days")}
        offered = [row["value"] for row in store.query(of_now(version))]
    finally:
        store.close()

    assert kept == set(values)
    assert offered == ["0.32.0", "it's"]


def test_what_is_not_among_the_ten_most_frequent_of_a_day_is_the_rest(tmp_path):
    """And what has no value is none: together they are all reports of the day."""
    app = registry.load("vllm")
    attribute = app.attributes_of["model_architecture"][0]
    counts = {f"'{attribute.name}', 'Model{number}'": 20 - number for number in range(12)} | {f"'{attribute.name}', '(none)'": 26}
    store = Store(tmp_path / "store")
    try:
        for one, reports in counts.items():
            store.query(
                "INSERT INTO otel_usage.days (day, app, service_version, otel_usage_gpu_model, attribute, value, reports) "
                f"VALUES (today(), 'vllm', '0.32.0', '(none)', {one}, {reports})"
            )
        found = answer(store, Statements(app).days(attribute))
    finally:
        store.close()

    assert found == {**{f"Model{number}": 20 - number for number in range(10)}, "(rest)": 19, "(none)": 26}
