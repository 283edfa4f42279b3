"""The local file works as a span exporter in somebody else's pipeline."""

import json
import os

import pytest
from myengine_app import APP
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from otel_usage import App, Fact
from otel_usage.facts.builtin import HEARTBEAT
from otel_usage.facts.report import Report
from otel_usage.standalone import exporter as exporter_module
from otel_usage.standalone import said
from otel_usage.standalone.exporter import LocalFileSpanExporter

FACTS = {
    "uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "log_time": 1795489108384242176, "provider": "GCP", "num_cpu": 24,
    "cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7", "total_memory": 101261135872,
    "architecture": "x86_64", "platform": "Linux-5.15.0-acme-x86_64-with-glibc2.35", "cuda_runtime": "12.8",
    "gpu_count": 2, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 23580639232, "myengine_version": "1.2.0",
    "context": "API_SERVER", "source": "production", "quantization": "mine", "batch": 9, "cache_share": 0.925,
    "eager": True, "myengine_env": '{"MYENGINE_FAST": true}',
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    """A process that has logged nothing yet."""
    monkeypatch.setattr(said, "_said", set())


@pytest.fixture
def path(home):
    """The local file of the made-up app."""
    return home / ".config" / "myengine" / "usage_stats.json"


def ended_span(report, scope="otel_usage", service="myengine"):
    """Return the report as a span of another pipeline."""
    attributes = {**report.attributes("resource"), "service.name": service}
    resource = Resource({name: value for name, value in attributes.items() if value is not None})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    start = report.facts["log_time"]
    span = provider.get_tracer(scope).start_span(
        report.name, context=Context(), attributes=report.attributes("span"), start_time=start
    )
    span.end(end_time=start)
    return span


def test_the_line_of_a_span_is_the_line_of_its_report(path):
    """Every key is in order, every value is exact, and each missing fact is null."""
    report = Report(APP, FACTS)
    result = LocalFileSpanExporter(APP).export([ended_span(report)])

    assert (result, path.read_text()) == (SpanExportResult.SUCCESS, report.line + "\n")


def test_without_an_app_the_line_has_the_built_in_facts(path):
    """The span's service.name names the app, whose own declaration is not known here."""
    LocalFileSpanExporter().export([ended_span(Report(APP, FACTS))])
    line = json.loads(path.read_text())

    assert list(line) == [key for key in APP.report_keys if key not in {fact.key for fact in APP.facts}]
    assert {key: line[key] for key in line} == {key: FACTS.get(key) for key in line}


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("app", [None, "myengine"])
def test_the_facts_of_an_installed_app_are_written(path, app):
    """The exporter may load the declarations of packages, since it writes to the local file only."""
    report = Report(APP, FACTS)
    LocalFileSpanExporter(app).export([ended_span(report)])

    assert path.read_text() == report.line + "\n"


SET_IT = "set OTEL_SERVICE_NAME to the app's name"
LEFT = "a span is not written to a local file: "


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ({"scope": "http"}, [f"{LEFT}its scope is not otel_usage: get_tracer('otel_usage') makes those that are written"]),
        ({"name": "otel_usage.other"}, [f"{LEFT}it is called 'otel_usage.other', neither otel_usage.report nor otel_usage.heartbeat"]),
        ({"service": None}, [f"{LEFT}its resource has no service.name: {SET_IT}"]),
        ({"service": "unknown_service"}, [f"{LEFT}service.name is not set: {SET_IT}"]),
        ({"service": "My Engine"}, [f"{LEFT}service.name names no app: app 'My Engine': the name must match ^[a-z][a-z0-9_]{{0,31}}$"]),
        ({"service": "myengine"}, [("the local file of myengine gets the built-in facts alone: "
                                   "no app 'myengine' is installed; the known ones are: vllm")]),
    ],
)  # fmt: skip
def test_why_a_span_is_not_written_is_said_once_at_debug_level(home, caplog, span, told):
    """The logger `otel_usage` says it to a user who sets OTEL_TRACES_EXPORTER=otel_usage_file and sees no line."""
    caplog.set_level("DEBUG", "otel_usage")
    report = Report(APP, FACTS, name=span.pop("name", "otel_usage.report"))
    exporters = [LocalFileSpanExporter(), LocalFileSpanExporter()]
    results = [exporter.export([ended_span(report, **span)]) for exporter in exporters for _ in range(2)]

    assert results == [SpanExportResult.SUCCESS] * 4
    assert caplog.record_tuples == [("otel_usage", 10, text) for text in told]
    assert [path.name for path in home.rglob("*")] == (
        [".config", "myengine", "usage_stats.json"] if span.get("service") == "myengine" else []
    )


def test_an_opt_out_and_a_missing_directory_are_said_too(home, monkeypatch, caplog):
    """The record names the signal that decides; an unwritable directory is a failure."""
    caplog.set_level("DEBUG", "otel_usage")
    spans = [ended_span(Report(APP, FACTS))]
    monkeypatch.setenv("MYENGINE_DO_NOT_TRACK", "1")
    off = LocalFileSpanExporter(APP).export(spans)
    monkeypatch.delenv("MYENGINE_DO_NOT_TRACK")
    only = LocalFileSpanExporter(App("other")).export(spans)
    (home / "file").write_text("")
    failed = LocalFileSpanExporter(APP, directory=str(home / "file")).export(spans)

    assert (off, only, failed) == (SpanExportResult.SUCCESS, SpanExportResult.SUCCESS, SpanExportResult.FAILURE)
    assert caplog.messages == [
        f"{LEFT}reports of myengine are off, by MYENGINE_DO_NOT_TRACK",
        f"{LEFT}service.name is 'myengine', and only other is taken",
        "a usage span is not written: Not a directory",
    ]


def test_what_is_said_is_bounded_and_a_handler_that_raises_costs_its_record_alone(path, monkeypatch):
    """This holds for any number of span names and for any logging of the host."""
    logged = []

    def log(level, *message):
        logged.append((level, message[1]))
        raise RuntimeError

    monkeypatch.setattr(said.logging.getLogger("otel_usage"), "log", log)
    exporter = LocalFileSpanExporter(APP)
    results = {exporter.export([ended_span(Report(APP, FACTS, name=f"otel_usage.{number}"))]) for number in range(100)}

    assert (results, len(logged), len(set(logged))) == ({SpanExportResult.SUCCESS}, 64, 64)


def test_an_app_whose_default_is_local_is_written(path):
    """The file belongs to the user."""
    app = App("myengine", default="local", facts=[Fact("mine", int, why="x")])
    LocalFileSpanExporter(app).export([ended_span(Report(app, {"mine": 1}))])

    assert json.loads(path.read_text())["mine"] == 1


def test_a_heartbeat_has_its_own_line(path):
    """It has the runtime facts of the app, the run's uuid and the time."""
    report = Report(APP, {"uuid": FACTS["uuid"], "log_time": 5, "requests": 7, "uptime": 600}, name=HEARTBEAT)
    LocalFileSpanExporter(APP).export([ended_span(report)])

    assert path.read_text() == report.line + "\n"


@pytest.mark.parametrize("exporter", [LocalFileSpanExporter(), LocalFileSpanExporter("vllm")])
def test_spans_that_are_not_its_own_are_left_alone(home, exporter):
    """Another scope, name or app, no app, and an impossible name of one: nothing is written."""
    report = Report(APP, FACTS)
    spans = [ended_span(report, scope="http")]
    if exporter._only is not None:
        spans.append(ended_span(report))
    spans += [ended_span(report, service=name) for name in ("../../etc", "service", 7, None)]

    assert (exporter.export(spans), list(home.iterdir())) == (SpanExportResult.SUCCESS, [])


def test_consent_is_asked_before_each_write(path, monkeypatch):
    """After an opt-out nothing more is written, and the export still succeeds."""
    exporter = LocalFileSpanExporter(APP)
    exporter.export([ended_span(Report(APP, FACTS))])
    monkeypatch.setenv("MYENGINE_DO_NOT_TRACK", "1")
    result = exporter.export([ended_span(Report(APP, FACTS))])

    assert (result, len(path.read_text().splitlines())) == (SpanExportResult.SUCCESS, 1)


def test_a_batch_costs_one_decision_and_one_write_for_each_app(home, monkeypatch):
    """Every line is there, in the order of the spans."""
    decided, written = [], []
    decide, write = exporter_module.decide, os.write
    monkeypatch.setattr(exporter_module, "decide", lambda app: decided.append(app) or decide(app))
    monkeypatch.setattr(os, "write", lambda file, data: written.append(data.count(b"\n")) or write(file, data))
    spans = [ended_span(Report(APP, {**FACTS, "batch": number})) for number in range(20)]
    other = [ended_span(Report(APP, FACTS), service="otherengine") for _ in range(3)]
    result = LocalFileSpanExporter().export([*spans[:10], *other, *spans[10:]])
    lines = (home / ".config/myengine/usage_stats.json").read_text().splitlines()

    assert (result, decided, written) == (SpanExportResult.SUCCESS, ["myengine", "otherengine"], [20, 3])
    assert [json.loads(line)["log_time"] for line in lines] == [span.start_time for span in spans]


def test_a_batch_that_is_larger_than_the_file_may_be_rotates_it(path):
    """No file exceeds the bound, and the newest lines are there."""
    spans = [ended_span(Report(APP, {**FACTS, "log_time": number + 1})) for number in range(12)]
    line = len(Report(APP, {**FACTS, "log_time": 1}).line) + 2
    result = LocalFileSpanExporter(APP, max_bytes=5 * line).export(spans)
    files = [path.with_name("usage_stats.json.1"), path]

    assert result is SpanExportResult.SUCCESS
    assert [[json.loads(line)["log_time"] for line in file.read_text().splitlines()] for file in files] == [[6, 7, 8, 9, 10], [11, 12]]


def test_a_directory_and_a_bound_may_be_given(tmp_path):
    """Declarative configuration passes both."""
    exporter = LocalFileSpanExporter(directory=str(tmp_path / "usage"), max_bytes=1500)
    for _ in range(4):
        exporter.export([ended_span(Report(APP, FACTS))])

    assert sorted(place.name for place in (tmp_path / "usage").iterdir()) == ["usage_stats.json", "usage_stats.json.1"]


def test_a_file_that_can_not_be_written_is_a_failure_and_nothing_raises(path, capfd):
    """The stock processor prints nothing either."""
    path.mkdir(parents=True)
    exporter = LocalFileSpanExporter(APP)
    provider = TracerProvider(resource=Resource(Report(APP, FACTS).attributes("resource")), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("otel_usage").start_span("otel_usage.report", context=Context()).end()

    assert exporter.export([ended_span(Report(APP, FACTS))]) is SpanExportResult.FAILURE
    assert capfd.readouterr() == ("", "")
    assert exporter.shutdown() is None


def test_lines_of_one_resource_differ_as_their_spans_do(path):
    """Only an equal part of a line is used again: 1 and True compare equal and are written differently."""
    resource = Resource({"service.name": "myengine", "myengine.config.batch": 8})
    tracer = TracerProvider(resource=resource, shutdown_on_exit=False).get_tracer("otel_usage")
    exporter = LocalFileSpanExporter(APP)
    for number, requests in enumerate((1, True, 1, 7)):
        attributes = {"myengine.runtime.requests": requests}
        span = tracer.start_span(HEARTBEAT, context=Context(), attributes=attributes, start_time=number)
        span.end(end_time=number)
        exporter.export([span])
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [(line["log_time"], line["requests"]) for line in lines] == [(0, 1), (1, None), (2, 1), (3, 7)]
