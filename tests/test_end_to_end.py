"""One report is detected, declared, admitted, written, and received by a real receiver, for each kind of destination."""

import json
import threading

import pytest
from myengine_app import APP
from receiver import ACCEPTS

from otel_usage import App, UsageReporter
from otel_usage.detect import Detection
from otel_usage.facts.scope import __version__
from otel_usage.run import job

FACTS = {
    "provider": "GCP", "num_cpu": 24, "cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7",
    "total_memory": 101261135872, "architecture": "x86_64", "platform": "Linux-5.15.0-acme-x86_64-with-glibc2.35",
    "xpu_runtime": None, "cuda_runtime": "12.8", "gpu_count": 2, "gpu_type": "NVIDIA L4",
    "gpu_memory_per_device": 23580639232, "rocm_runtime": None, "detect_failed": None, "quantization": "awq", "scheduler": "private/path",
    "batch": 13, "cache_share": 0.9249, "eager": False, "note": "a site", "myengine_env": '{"MYENGINE_FAST": true}',
}  # fmt: skip
RESOURCE = {
    "service.name": "myengine", "service.version": "1.2.0", "cloud.provider": "gcp", "otel_usage.cpu.logical_count": 24,
    "host.cpu.model.name": "Intel(R) Xeon(R) CPU @ 2.20GHz", "host.cpu.family": "6", "host.cpu.model.id": "85",
    "host.cpu.stepping": "7", "otel_usage.memory.limit": 94 * 2**30, "host.arch": "amd64",
    "os.description": "Linux-5.15.0-x86_64-with-glibc2.35", "os.type": "linux", "otel_usage.gpu.runtime.name": "cuda",
    "otel_usage.gpu.runtime.version": "12.8", "otel_usage.gpu.count": 2, "otel_usage.gpu.model": "NVIDIA L4",
    "otel_usage.gpu.memory.limit": 22 * 2**30, "otel_usage.source": "production", "myengine.config.quantization": "awq",
    "myengine.config.scheduler": "other", "myengine.config.batch": 16, "myengine.config.cache_share": 0.92,
    "myengine.config.eager": False, "myengine.config.note": "a site", "myengine.env.MYENGINE_FAST": True,
}  # fmt: skip


@pytest.fixture
def report(monkeypatch, home):
    """Report the facts by an app with an endpoint, and return the lines of the local file."""

    def run(endpoint=None, wire="otlp", **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        app = App("myengine", version="1.2.0", endpoint=endpoint, wire=wire, facts=APP.facts, contexts=APP.contexts)
        usage = UsageReporter(app, strict=False)
        usage.report(FACTS, context="API_SERVER")
        flushed = usage.flush(10)
        path = home / ".config" / "myengine" / "usage_stats.json"
        return flushed, [json.loads(line) for line in path.read_text().splitlines()]

    return run


def cut(time):
    """Return the hour of a time, both in nanoseconds."""
    return time - time % (3600 * 10**9)


def check(received, line, time):
    """Assert that a request carries the one span of the report at that time, whole, and nothing else."""
    ((resource, span, attributes),) = received.spans
    (resource_spans,) = received.request.resource_spans
    (scope_spans,) = resource_spans.scope_spans

    assert resource == {**RESOURCE, "service.instance.id": line["uuid"]}
    assert attributes == {"otel_usage.context": "API_SERVER"}
    assert (span.name, span.kind, span.start_time_unix_nano, span.end_time_unix_nano) == (
        "otel_usage.report", 1, time, time,
    )  # fmt: skip
    assert (len(span.trace_id), len(span.span_id), span.parent_span_id, span.trace_state) == (16, 8, b"", "")
    assert (len(span.events), len(span.links), span.status.message, span.status.code) == (0, 0, "", 0)
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("otel_usage", __version__)
    assert resource_spans.schema_url == "https://opentelemetry.io/schemas/1.44.0"


def test_the_projects_sender_delivers_to_the_projects_endpoint(report, receiver):
    """It makes one request with exactly the headers of docs/design.md, "Requests to the project"."""
    flushed, (line,) = report(endpoint=receiver.url)
    received = receiver.only
    check(received, line, cut(line["log_time"]))

    assert flushed is True
    assert received.path == "/v1/traces"
    assert sorted(received.headers) == [
        ("content-encoding", "gzip"),
        ("content-length", str(len(received.body))),
        ("content-type", "application/x-protobuf"),
        ("host", receiver.url.removeprefix("http://")),
        ("user-agent", f"otel-usage/{__version__}"),
    ]


def test_the_stock_exporter_delivers_over_http(report, receiver):
    """The report goes to the operator's collector with the operator's headers."""
    flushed, (line,) = report(
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20SECRET"
    )
    check(receiver.only, line, line["log_time"])

    assert flushed is True
    assert dict(receiver.only.headers)["authorization"] == "Bearer SECRET"


def test_the_stock_exporter_delivers_over_grpc(report, grpc_receiver):
    """The report and the headers are the same."""
    flushed, (line,) = report(
        OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20SECRET",
    )
    check(grpc_receiver.only, line, line["log_time"])

    assert flushed is True
    assert dict(grpc_receiver.only.headers)["authorization"] == "Bearer SECRET"


def test_the_json_wire_posts_the_line_as_it_is(report, receiver, home):
    """The URL is unchanged, the line exact and uncompressed, and any 2xx is a success."""
    receiver.reply = (204, {}, b"")
    flushed, _ = report(endpoint=receiver.url + "/usage?v=1", wire="json")
    received = receiver.only

    assert flushed is True
    assert received.path == "/usage?v=1"
    assert received.body == (home / ".config/myengine/usage_stats.json").read_bytes().rstrip(b"\n")
    assert sorted(name for name, _ in received.headers) == ["content-length", "content-type", "host", "user-agent"]


def test_two_destinations_get_reports_that_can_not_be_joined(report, receiver, grpc_receiver):
    """Each destination has its own ids; the file has the project's."""
    flushed, (line,) = report(
        endpoint=receiver.url, OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
    )
    ((project, project_span, _),) = receiver.only.spans
    ((own, own_span, _),) = grpc_receiver.only.spans

    assert flushed is True
    assert project["service.instance.id"] == line["uuid"] != own["service.instance.id"]
    assert (project_span.trace_id, project_span.span_id) != (own_span.trace_id, own_span.span_id)
    assert {**project, "service.instance.id": 0} == {**own, "service.instance.id": 0}


def test_what_the_host_sets_after_the_call_changes_no_destination(monkeypatch, home, receiver):
    """A host sets OpenTelemetry's variables for its own tracing; here that is while a detector still looks."""
    held = threading.Event()
    monkeypatch.setattr(job, "_detection", lambda _: held.wait(10) and Detection({}))
    usage = UsageReporter("myengine", endpoint=receiver.url)
    usage.report()
    monkeypatch.setenv("MYENGINE_USAGE_STATS_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    held.set()
    flushed = usage.flush(10)

    assert flushed is True
    assert len(receiver.only.spans) == 1


@pytest.mark.parametrize("wire", ["otlp", "json"])
def test_only_one_of_two_destinations_gets_the_exact_time(report, receiver, grpc_receiver, wire):
    """The project gets the hour; where the project gets the exact line, the operator's collector gets the hour."""
    receiver.reply = receiver.reply if wire == "otlp" else (204, {}, b"")
    _, (line,) = report(
        endpoint=receiver.url, wire=wire, OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
    )
    ((_, own, _),) = grpc_receiver.only.spans
    project = receiver.only.json["log_time"] if wire == "json" else receiver.only.spans[0][1].start_time_unix_nano
    exact, hour = line["log_time"], cut(line["log_time"])

    assert (project, own.start_time_unix_nano, own.end_time_unix_nano) == ((exact, hour, hour) if wire == "json" else (hour, exact, exact))


@pytest.mark.parametrize("exporter", ["none", "console"])
def test_local_mode_writes_the_file_and_sends_nothing(report, receiver, exporter):
    """The stock processors skip a span that is recorded and not sampled; the line is written all the same."""
    flushed, lines = report(endpoint=receiver.url, OTEL_USAGE_EXPORTER=exporter)

    assert (flushed, len(lines), receiver.received) == (True, 1, [])


def test_local_mode_loads_no_opentelemetry(run_python, home):
    """The line does not need it."""
    done = run_python("""
        import sys
        from otel_usage import UsageReporter
        with UsageReporter("myengine", endpoint="https://stats.example.org") as usage:
            usage.report()
            usage.flush()
        print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
    """, OTEL_USAGE_EXPORTER="none")  # fmt: skip

    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert (home / ".config/myengine/usage_stats.json").exists()


@pytest.mark.parametrize(("kind", "count"), [("operator", 1), ("operator's project", 1), ("project", 0)])
def test_a_file_that_can_not_be_written_stops_only_what_the_operator_did_not_name(monkeypatch, home, receiver, kind, count):
    """The operator's collector gets the report, and the project gets nothing that its operator can't see."""
    (home / ".config" / "myengine" / "usage_stats.json").mkdir(parents=True)
    endpoint = receiver.url if kind == "project" else None
    if kind == "operator":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    elif kind == "operator's project":
        monkeypatch.setenv("MYENGINE_USAGE_STATS_SERVER", receiver.url)
    usage = UsageReporter("myengine", endpoint=endpoint)
    usage.report()

    assert (usage.flush(10), len(receiver.received)) == (False, count)


def test_an_attempt_that_failed_is_made_again_by_flush(report, receiver, monkeypatch):
    """`flush` sends each report that was not accepted before, and returns whether it was accepted now."""
    receiver.reply = (503, {}, b"")
    usage = UsageReporter("myengine", endpoint=receiver.url)
    usage.report()
    first = usage.flush(10)
    receiver.reply = ACCEPTS

    assert (first, usage.flush(10), usage.flush(10)) == (False, True, True)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_what_was_refused_for_good_is_not_sent_again(receiver, status):
    """A 4xx is a permanent refusal."""
    receiver.reply = (status, {}, b"secret words of the server")
    usage = UsageReporter("myengine", endpoint=receiver.url)
    usage.report()

    assert (usage.flush(10), usage.flush(10), len(receiver.received)) == (True, True, 1)


def test_an_opt_out_between_the_line_and_the_send_is_heeded(monkeypatch, receiver, home):
    """Consent is asked again right before each connection."""
    from otel_usage.delivery import local_file

    write = local_file.append_line

    def write_and_opt_out(path, line, **more):
        write(path, line, **more)
        (home / ".config/myengine/do_not_track").touch()

    monkeypatch.setattr(local_file, "append_line", write_and_opt_out)
    usage = UsageReporter("myengine", endpoint=receiver.url)
    usage.report()

    assert (usage.flush(10), receiver.received) == (True, [])


def test_the_ledger_tells_the_last_delivery_without_the_servers_words(receiver, home):
    """`status` shows its time, destination and outcome."""
    from otel_usage.delivery.log import last_delivery

    receiver.reply = (400, {}, b"SECRET WORDS")
    usage = UsageReporter("myengine", endpoint=receiver.url)
    before = last_delivery(str(home / ".config/myengine"))
    usage.report()
    usage.flush(10)
    entry = last_delivery(str(home / ".config/myengine"))

    assert (before, {**entry, "time": ""}) == (
        None,
        {"time": "", "destination": "project", "endpoint": receiver.url + "/v1/traces", "ok": False, "detail": "refused the report (400)"},
    )
    assert "SECRET" not in (home / ".config/myengine/usage_deliveries.json").read_text()


def test_nothing_is_printed_and_the_threads_end(run_python, receiver):
    """A real process meets a dead collector and a refusing project: no output, no traceback, status 0, one thread."""
    receiver.reply = (500, {}, b"")
    done = run_python("""
        import os, sys, time
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", endpoint=sys.argv[1])
        usage.report(nonsense=1)
        usage.flush(4)
        usage.close()
        end = time.monotonic() + 10
        while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < end:
            time.sleep(0.01)
        print(len(os.listdir("/proc/self/task")))
    """.replace("sys.argv[1]", repr(receiver.url)), "-X", "dev", "-W", "error",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1")  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr, len(receiver.received)) == (0, "1\n", "", 1)
