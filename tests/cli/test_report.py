"""`report` makes one report and says what became of it; `preview` shows it and does nothing."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from releases import OLDEST

from otel_usage.cli import common
from otel_usage.run import marker

KEYS = (
    "uuid provider num_cpu cpu_type cpu_family_model_stepping total_memory architecture platform xpu_runtime cuda_runtime "
    "gpu_count gpu_type gpu_memory_per_device env_var_json model_architecture vllm_version context log_time source dtype "
    "block_size gpu_memory_utilization kv_cache_memory_bytes quantization kv_cache_dtype enable_lora enable_prefix_caching "
    "enforce_eager disable_custom_all_reduce tensor_parallel_size data_parallel_size pipeline_parallel_size "
    "enable_expert_parallel all2all_backend kv_connector max_model_len max_num_seqs max_num_batched_tokens attention_backend "
    "compilation_mode spec_decode_method num_speculative_tokens enable_eplb num_redundant_experts num_experts"
).split()
SET = ("--set", "model_architecture=OPTForCausalLM", "--set", "dtype=torch.float16")


def test_the_line_has_the_45_keys_in_order_and_null_for_what_was_not_set(shell, config):
    """As a user would call it: the printed line is the file's, private, and nothing is sent."""
    status, out, err = shell("--app", "vllm", "report", *SET)
    path = config / "usage_stats.json"
    line = json.loads(path.read_text())

    assert (status, err, out.splitlines()[0]) == (0, "", path.read_text().rstrip("\n"))
    assert out.splitlines()[1:] == [
        "",
        "mode      on, by default",
        "engine    sends to https://stats.vllm.ai (project, json)",
        f"recorded  in {path}",
        "sent      nowhere, since this command gives no endpoint of its own, and you name none",
    ]
    assert list(line) == KEYS
    assert (line["model_architecture"], line["dtype"], line["context"]) == ("OPTForCausalLM", "torch.float16", "UNKNOWN_CONTEXT")
    assert {line[key] for key in [*KEYS[20:], "env_var_json", "vllm_version"]} == {None}
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(config.stat().st_mode)) == (0o600, 0o700)


def test_the_operators_collector_gets_it_over_http_with_the_operators_headers(shell, receiver):
    """And the answer is printed."""
    status, out, _ = shell("report", *SET, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
                           OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20SECRET")  # fmt: skip
    ((resource, span, _),) = receiver.only.spans

    assert (status, out.splitlines()[-1]) == (0, f"sent      to {receiver.url}/v1/traces: accepted")
    assert (span.name, resource["vllm.model.architecture"], resource["service.name"]) == ("otel_usage.report", "OPTForCausalLM", "vllm")
    assert dict(receiver.only.headers)["authorization"] == "Bearer SECRET"


def test_the_operators_collector_gets_it_over_grpc(shell, grpc_receiver):
    """By OTEL_EXPORTER_OTLP_PROTOCOL."""
    status, out, _ = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                           OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20SECRET")  # fmt: skip
    ((_, span, _),) = grpc_receiver.only.spans

    assert (status, out.splitlines()[-1], span.name) == (0, f"sent      to {grpc_receiver.url}: accepted", "otel_usage.report")
    assert dict(grpc_receiver.only.headers)["authorization"] == "Bearer SECRET"


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize(("name", "path", "encoding"), [("myengine", "/v1/traces", ["content-encoding"]), ("vllm", "/", [])])
def test_a_projects_server_that_the_operator_named_gets_nothing_of_the_operators(shell, receiver, home, name, path, encoding):
    """Neither headers, nor credentials, nor resource attributes, by either wire."""
    (home / ".netrc").write_text("default login SECRET password SECRET\n")
    status, out, _ = shell("--app", name, "report", OTEL_RESOURCE_ATTRIBUTES="team=SECRET", OTEL_EXPORTER_OTLP_HEADERS="authorization=SECRET",
                           **{f"{name.upper()}_USAGE_STATS_SERVER": receiver.url})  # fmt: skip
    received = receiver.only
    content = received.request.SerializeToString() if encoding else received.body

    assert (status, received.path, out.splitlines()[-1].rpartition(": ")[2]) == (0, path, "accepted (200)")
    assert sorted(header for header, _ in received.headers) == sorted(["content-length", "content-type", "host", "user-agent", *encoding])
    assert b"SECRET" not in str(received.headers).encode() + content


def test_vllms_server_gets_the_line_as_it_is(shell, receiver, config):
    """What it takes today."""
    status, out, _ = shell("report", VLLM_USAGE_STATS_SERVER=f"{receiver.url}/in")

    assert (status, receiver.only.path) == (0, "/in")
    assert (config / "usage_stats.json").read_bytes() == receiver.only.body + b"\n"
    assert out.encode().startswith(receiver.only.body + b"\n")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_collector_is_said_so_and_the_line_is_there(shell, config, protocol):
    """Within six seconds, with exit status 1."""
    start = time.monotonic()
    status, out, err = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    took = time.monotonic() - start

    assert (status, err) == (1, "")
    assert took < 6
    assert re.fullmatch(r"sent      to http://127\.0\.0\.1:9\S*: not accepted: connection refused; a later run tries again", out.splitlines()[-1])
    assert (config / "usage_stats.json").exists()


def test_a_project_that_is_not_there_is_said_so(shell, config):
    """With exit status 1; the other destination is told apart, and the line is there."""
    status, out, err = shell("report", "--json", VLLM_USAGE_STATS_SERVER="http://127.0.0.1:9")
    printed = json.loads(out)

    assert (status, err, printed["line"]) == (1, "", json.loads((config / "usage_stats.json").read_text()))
    assert printed["deliveries"] == [
        {"destination": "project", "endpoint": "http://127.0.0.1:9", "ok": False, "detail": "connection refused"},
    ]


def test_an_interrupt_does_not_wait_for_an_answer(tmp_path):
    """One line and the status that a shell gives, at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        child = subprocess.Popen([Path(sys.executable).with_name("otel-usage"), "report"], cwd=tmp_path, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={**os.environ, "VLLM_USAGE_STATS_SERVER": f"http://127.0.0.1:{silent.getsockname()[1]}"})  # fmt: skip
        connection, _ = silent.accept()
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        connection.close()

    assert (child.returncode, out.strip(), err.strip()) == (130, "", "otel-usage: interrupted")
    assert time.monotonic() - start < 2


def test_what_was_not_taken_waits_for_a_later_run(shell, receiver, run_python, config):
    """It says so, and a later run of the app delivers it, under the same ids."""
    receiver.reply = (503, {}, b"")
    status, out, _ = shell("report", VLLM_USAGE_STATS_SERVER=receiver.url)
    receiver.reply = (204, {}, b"")
    run_python("""
        from otel_usage import UsageReporter
        from otel_usage.integrations.vllm import APP
        usage = UsageReporter(APP)
        usage.report()
        usage.flush(10)
    """, VLLM_USAGE_STATS_SERVER=receiver.url)  # fmt: skip
    bodies = [received.body for received in receiver.received]

    assert (status, out.splitlines()[-1]) == (
        1, f"sent      to {receiver.url}: answered 503, asks to try later; a later run tries again",
    )  # fmt: skip
    assert (len(bodies), bodies.count(bodies[0]), list((config / "usage_outbox").iterdir())) == (3, 2, [])


@pytest.mark.slow
@pytest.mark.parametrize("drips", [False, True])
def test_a_collector_that_does_not_end_its_answer_is_left_after_five_seconds(shell, config, drips):
    """Whether it says nothing or drips, in six seconds all is said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def drip():
            connection, _ = silent.accept()
            with connection, contextlib.suppress(OSError):
                for _ in range(60):
                    connection.sendall(b"H" if drips else b"")
                    time.sleep(0.2)

        threading.Thread(target=drip, daemon=True).start()
        start = time.monotonic()
        status, out, _ = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        took = time.monotonic() - start

    assert status == 1
    assert took < 6
    assert "no answer" in out.splitlines()[-1]
    assert (config / "usage_stats.json").exists()


def test_with_an_opt_out_it_says_so_and_does_nothing(shell, home, receiver):
    """DO_NOT_TRACK=0 is an opt-out as well."""
    status, out, err = shell("report", DO_NOT_TRACK="0", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, out, err) == (1, "vllm reports are off, because DO_NOT_TRACK is '0': nothing was recorded or sent.\n", "")
    assert (list(home.iterdir()), receiver.received) == ([], [])


def test_in_local_mode_the_line_is_written_and_nothing_is_sent(shell, config, receiver):
    """That is no failure."""
    status, out, _ = shell("report", OTEL_USAGE_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, out.splitlines()[-1], receiver.received) == (0, "sent      nowhere, since the mode is local", [])
    assert (config / "usage_stats.json").exists()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: p.mkdir(), "Is a directory"),
        (os.mkfifo, "not a regular file"),
        (lambda p: p.symlink_to(p.parent / "elsewhere"), "Too many levels of symbolic links"),
    ],
)
def test_a_file_that_can_not_be_written_is_said_so_and_the_operators_collector_gets_it(shell, config, receiver, make, reason):
    """A directory, a FIFO or a link in its place: exit status 1, and the report is sent all the same."""
    config.mkdir(parents=True)
    make(config / "usage_stats.json")
    status, out, err = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, err, len(receiver.received)) == (1, "", 1)
    assert not (config / "elsewhere").exists()
    assert out.splitlines()[-2:] == [
        f"recorded  NOT: {config}/usage_stats.json can't be written: {reason}",
        f"sent      to {receiver.url}/v1/traces: accepted",
    ]


def test_two_destinations_get_reports_of_their_own(shell, receiver, grpc_receiver, config):
    """The file has the project's."""
    status, out, _ = shell("report", VLLM_USAGE_STATS_SERVER=receiver.url, OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url,
                           OTEL_EXPORTER_OTLP_PROTOCOL="grpc")  # fmt: skip
    line = json.loads((config / "usage_stats.json").read_text())
    ((own, _, _),) = grpc_receiver.only.spans

    assert (status, out.count("accepted")) == (0, 2)
    assert receiver.only.json["uuid"] == line["uuid"] != own["service.instance.id"]


@pytest.mark.usefixtures("made_up_app")
def test_what_two_destinations_get_can_not_be_joined(shell, receiver, grpc_receiver, home):
    """Neither by the run's id, nor by the trace's or the span's."""
    shell("--app", "myengine", "report", MYENGINE_USAGE_STATS_SERVER=receiver.url,
          OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")  # fmt: skip
    line = json.loads((home / ".config/myengine/usage_stats.json").read_text())
    ((project, span, _),), ((own, own_span, _),) = receiver.only.spans, grpc_receiver.only.spans
    uuids = {line["uuid"], project.pop("service.instance.id"), own.pop("service.instance.id")}

    assert (project, span.name) == (own, own_span.name)
    assert len(uuids) == 2
    assert span.trace_id != own_span.trace_id
    assert span.span_id != own_span.span_id


def test_it_is_a_run_of_its_own(shell, receiver, monkeypatch):
    """Whatever marks the processes of a run that has reported."""
    monkeypatch.setenv("VLLM_USAGE_RUN", "")
    marker.mark("vllm")
    for _ in range(2):
        shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    runs = {resource["service.instance.id"] for received in receiver.received for resource, _, _ in received.spans}

    assert len(runs) == 2


def test_an_adopters_endpoint_is_not_the_command_lines(shell, config):
    """Nor may a chosen exporter make it so: only what the operator names is sent to."""
    status, out, _ = shell("report", "--json", OTEL_USAGE_EXPORTER="project")

    assert (status, json.loads(out)["deliveries"]) == (0, [])
    assert (config / "usage_stats.json").exists()


@pytest.mark.parametrize("off", [False, True])
def test_for_programs_it_prints_json(shell, receiver, config, off):
    """With these keys, and nothing else on the output."""
    environment = {"DO_NOT_TRACK": "1"} if off else {}
    status, out, _ = shell("report", "--json", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, **environment)
    delivery = {"destination": "otlp", "endpoint": f"{receiver.url}/v1/traces", "ok": True, "detail": "accepted"}

    assert (status, json.loads(out)) == (int(off), {
        "app": "vllm",
        "mode": "off" if off else "on",
        "decided_by": "DO_NOT_TRACK" if off else "default",
        "line": None if off else json.loads((config / "usage_stats.json").read_text()),
        "recorded": not off,
        "error": None,
        "path": str(config / "usage_stats.json"),
        "deliveries": [] if off else [delivery],
        "engine_destinations": [
            {"destination": "project", "endpoint": "https://stats.vllm.ai", "wire": "json"},
            {"destination": "otlp", "endpoint": f"{receiver.url}/v1/traces", "wire": "http/protobuf"},
        ],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nokey=1", "--set nokey: vllm declares no such fact; `otel-usage facts` lists them (see"),
        ("gpu=1", "--set gpu: vllm declares no such fact; the nearest are gpu_count, gpu_type, gpu_memory_per_device (see"),
        ("size=1", "--set size: vllm declares no such fact; the nearest are block_size, tensor_parallel_size, data_parallel_size (see"),
        ("uptime=1", "--set uptime: it belongs to the heartbeat, which a run sends while it lives; a report has none of it (see"),
        ("dtyp=x", "--set dtyp: vllm declares no such fact; the nearest is dtype (see"),
        ("detect_failed=gpu", "--set detect_failed: vllm declares no such fact; `otel-usage facts` lists them (see"),
        ("uuid=5be557ae-ae32-47db-958b-18a1c1cb19f1", "--set uuid: each report makes its own (see"),
        ("log_time=1", "--set log_time: each report makes its own (see"),
        ("dtype", "--set dtype: write it as KEY=VALUE"),
        ("=1", "--set : vllm declares no such fact; `otel-usage facts` lists them (see"),
        (f"{'a_' * 100_000}=1", f"--set {'a_' * 100_000}: vllm declares no such fact; `otel-usage facts` lists them (see"),
        ("block_size=1.5", "--set block_size=1.5: the value must be an integer, or null"),
        (f"block_size={2**63}", "--set: block_size must be within 64 bits"),
        ("env_var_json={", "--set: env_var_json must be a string that holds a JSON object"),
        ('env_var_json={"HOME": "x"}', "--set: env_var_json: HOME is not declared"),
        ("block_size=big", "--set block_size=big: the value must be an integer, or null"),
        ("enable_lora=1", "--set enable_lora=1: the value must be true or false, or null"),
        ("gpu_memory_utilization=x", "--set gpu_memory_utilization=x: the value must be a number, or null"),
        ("gpu_memory_utilization=nan", "--set: gpu_memory_utilization must be a finite number"),
        (f"dtype={'x' * 257}", "--set: dtype must be at most 256 bytes of UTF-8"),
        ("context=X", "--set: context must be one of UNKNOWN_CONTEXT, LLM_CLASS, API_SERVER, "),
        ("\x1b[31m=1", "--set \\x1b[31m: vllm declares no such fact; "),
        ("block_size=\x1b[31m", "--set block_size=\\x1b[31m: the value must be an integer, or null"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line_with_the_cure(command, home, setting, said):
    """Exit status 2, and nothing is written."""
    status, out, err = command("report", "--set", setting)

    assert (status, out, err.count("\n"), list(home.iterdir())) == (2, "", 1, [])
    assert err.startswith(f"otel-usage: {said}")
    assert err.endswith("(see otel-usage report --help)\n")


@pytest.mark.usefixtures("made_up_app")
def test_a_fact_of_the_heartbeat_is_said_to_be_one(command):
    """It is declared, but a report has none of it."""
    said = (
        "--set requests: it belongs to the heartbeat, which a run sends while it lives; a report has none of it "
        "(see otel-usage report --help)"
    )

    assert command("report", "--set", "requests=1") == (
        2,
        "",
        f"otel-usage: {said}\n",
    )


def test_settings_are_read_by_their_declared_types(command, config):
    """An integer, a number, a truth, a word, and null."""
    settings = ["block_size=16", "gpu_memory_utilization=1", "enable_lora=False", "dtype=torch.float16", "num_cpu=null",
                "context=LLM_CLASS", 'env_var_json={"VLLM_USE_TRITON_AWQ": true}']  # fmt: skip
    status, _, _ = command("report", *[word for setting in settings for word in ("--set", setting)])
    line = json.loads((config / "usage_stats.json").read_text())

    assert status == 0
    assert [line[setting.partition("=")[0]] for setting in settings] == [
        16, 1.0, False, "torch.float16", None, "LLM_CLASS", '{"VLLM_USE_TRITON_AWQ": true}',
    ]  # fmt: skip


def test_a_string_that_is_not_declared_stands_in_the_file_and_leaves_as_other(shell, config, receiver):
    """As `preview` shows beforehand."""
    _, shown, _ = shell("preview", "--set", "dtype=mine")
    shell("report", "--set", "dtype=mine", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    ((resource, _, _),) = receiver.only.spans

    assert re.search(r"│ dtype +│ mine +│\n│   vllm.config.dtype +│ other +│", shown)
    assert (json.loads((config / "usage_stats.json").read_text())["dtype"], resource["vllm.config.dtype"]) == ("mine", "other")


def test_a_preview_equals_the_report_but_for_ids_and_time(shell, home, receiver):
    """The line, and over OTLP the whole request; nothing is written or sent by it."""
    previews = [shell("preview", *SET, "--format", form, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) for form in ("json", "otlp", "table")]
    left = (list(home.iterdir()), receiver.received[:], {err for _, _, err in previews})
    shell("report", *SET, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    line = json.loads((home / ".config/vllm/usage_stats.json").read_text())
    sent = MessageToDict(receiver.only.request, use_integers_for_enums=True)

    assert left == ([], [], {""})
    assert json.dumps(masked(json.loads(previews[0][1]))) == json.dumps(masked(line))
    assert json.dumps(masked(json.loads(previews[1][1]))) == json.dumps(masked(sent))


def masked(value):
    """Return the value without ids and times."""
    if isinstance(value, dict):
        if value.get("key") == "service.instance.id":
            return "an id"
        own = ("uuid", "log_time", "traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano")
        return {key: "its own" if key in own else masked(part) for key, part in value.items()}
    return [masked(part) for part in value] if isinstance(value, list) else value


def test_ids_in_a_preview_are_hexadecimal(command):
    """As OTLP's own JSON has them."""
    _, out, _ = command("preview", "--format", "otlp")
    span = json.loads(out)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]

    assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
    assert re.fullmatch("[0-9a-f]{16}", span["spanId"])


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize(
    ("name", "endpoint", "cut"),
    [
        ("vllm", "", True),
        ("vllm", "http://127.0.0.1:9", True),
        ("myengine", "", True),
        ("myengine", "http://127.0.0.1:9", False),
    ],
)
def test_a_preview_has_the_time_as_it_leaves(command, monkeypatch, name, endpoint, cut):
    """The hour, where the destination gets the hour."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    _, out, _ = command("--app", name, "preview", "--format", "otlp")
    span = json.loads(out)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    times = [int(span[which]) for which in ("startTimeUnixNano", "endTimeUnixNano")]

    assert [time - time % (3600 * 10**9) for time in times] == times if cut else times[0] % 10**9 != 0


@pytest.mark.usefixtures("made_up_app")
def test_a_preview_begins_with_the_mode_and_where_to_and_ends_with_the_heartbeat(command):
    """What leaves beside the report, how often, and what a destination does not get exactly."""
    status, out, err = command("--app", "myengine", "preview")
    lines = out.splitlines()

    assert (status, err) == (0, "")
    assert lines[:4] == [
        "myengine reports are local, because pytest is 'running'. This command sends and writes nothing.",
        "An engine's own run sends nothing in mode local; in mode on it sends to https://stats.example.org/v1/traces (project, otlp).",
        "",
        "What myengine would report, once a run",
    ]
    assert lines[-6:] == [
        "(the engine's): known to a running engine alone; --set KEY=VALUE shows what it would be.",
        "The time leaves as that of the span, cut to the hour: to https://stats.example.org/v1/traces (project, otlp).",
        "",
        "Then a heartbeat every 600 s, give or take a tenth, unless the engine chooses another time:",
        "in the file  uuid, log_time, requests",
        "over OTLP    the resource attributes of the report, and myengine.runtime.requests, otel_usage.uptime",
    ]


def test_a_preview_begins_so_when_off_too(command, monkeypatch):
    """A suspicious operator is opted out already."""
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    status, out, err = command("preview")

    assert (status, err, out.splitlines()[:2]) == (0, "", [
        "vllm reports are off, because DO_NOT_TRACK is '1'. This command sends and writes nothing.",
        "An engine's own run does nothing in mode off; in mode on it sends to https://stats.vllm.ai (project, json).",
    ])  # fmt: skip


def test_a_preview_marks_what_only_the_engine_knows(command):
    """Not what is not found on this machine, nor what is said to be none."""
    _, out, _ = command("preview", "--set", "dtype=auto", "--set", "block_size=null")
    shown = {row.split("│")[1].strip(): row.split("│")[2].strip() for row in out.splitlines() if row.startswith("│")}

    assert [shown[key] for key in ("dtype", "block_size", "max_model_len", "vllm_version", "env_var_json", "cuda_runtime")] == [
        "auto", "null", "(the engine's)", "(the engine's)", "(the engine's)", "null",
    ]  # fmt: skip


def test_a_preview_over_otlp_says_where_the_wire_is_another(command):
    """The project's server takes the line; a collector of the operator's takes the request."""
    none = command("preview", "--format", "otlp", "--set", "context=LLM_CLASS")[2].splitlines()[-1]

    assert none == "https://stats.vllm.ai (project, json) takes the line of --format json; a collector of yours would get this."


@pytest.mark.parametrize("words", [["--json"], ["--json", "--format", "table"], ["--format", "json"]], ids=" ".join)
def test_a_preview_as_json_is_the_flat_line(command, words):
    """However it is asked for."""
    assert list(json.loads(command("preview", *words)[1])) == KEYS


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", ["vllm", "myengine"])
def test_a_preview_as_a_table_has_each_fact_with_its_attributes(command, home, name):
    """What stands in the file, and what leaves: all of either, and nothing else."""
    setting = ("--app", name, "preview", "--set", "context=API_SERVER", "--format")
    status, out, _ = command(*setting, "table")
    line, request = (json.loads(command(*setting, form)[1]) for form in ("json", "otlp"))
    (of_resource,) = request["resourceSpans"]
    (of_span,) = of_resource["scopeSpans"][0]["spans"]
    rows = [text[2:].split("│")[0].rstrip() for text in out.splitlines() if text.startswith("│")]

    assert (status, list(home.iterdir())) == (0, [])
    assert [row for row in rows if not row.startswith(" ")] == [*line, "(OTLP only)"]
    assert sorted(row.strip() for row in rows if row.startswith(" ")) == sorted(
        attribute["key"] for attribute in [*of_resource["resource"]["attributes"], *of_span["attributes"]]
    )
    assert re.search(r"│ context +│ API_SERVER +│\n│   otel_usage.context +│ API_SERVER +│", out)
    assert re.search(rf"│ \(OTLP only\) +│ +│\n│   service.name +│ {name} +│", out)


def test_a_value_is_folded_in_a_narrow_terminal_and_never_cut(command, monkeypatch):
    """Every character of it is there."""
    monkeypatch.setattr(common, "WIDE", 40)
    given = "x" * 100
    _, out, _ = command("preview", "--set", f"dtype={given}")
    cells = [text.split("│")[2].strip() for text in out.splitlines() if text.startswith("│")]

    assert given in "".join(cells)
    assert "…" not in out


@pytest.mark.parametrize(("given", "shown"), [("\x1b[31m", "\\x1b[31m"), (":bug:", ":bug:"), ("[bold]x", "[bold]x"), ("a\nb", "a\\nb")])
def test_a_value_is_shown_as_it_is_but_for_control_characters(command, given, shown):
    """It is neither markup nor a picture, and can't steer a terminal."""
    _, out, _ = command("preview", "--set", f"dtype={given}")

    assert re.search(rf"│ dtype +│ {re.escape(shown)} +│", out)


def test_a_preview_says_where_nothing_of_it_would_be_sent(command, monkeypatch):
    """On the errors, so that the output stays what it is."""
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "1")
    status, out, err = command("preview", "--format", "json")

    assert (status, list(json.loads(out))) == (0, KEYS)
    assert err == "Nothing of this would be recorded or sent: vllm reports are off, because VLLM_NO_USAGE_STATS is '1'.\n"


def test_a_preview_says_where_it_would_be_recorded_only(command, monkeypatch):
    """In mode local."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "none")
    _, _, err = command("preview", "--format", "json")

    assert err == "Nothing of this would be sent: vllm reports are local, because OTEL_USAGE_EXPORTER is 'none'.\n"


def test_a_preview_needs_no_pipeline(command, monkeypatch):
    """Nor one that an environment has turned off."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    status, out, err = command("preview", "--format", "otlp")

    assert (status, list(json.loads(out))) == (0, ["resourceSpans"])
    assert "reports are off" in err


def test_an_sdk_that_can_not_be_loaded_is_one_line(shell):
    """Its own words say which variable to mend; those of the oldest release are themselves in error."""
    status, out, err = shell("preview", "--format", "otlp", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="many")
    said = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer but got many"
    if OLDEST:
        said = "cannot switch from manual field specification to automatic field numbering"

    assert (status, out, err) == (1, "", f"otel-usage: OpenTelemetry failed to load or to run: {said}\n")
