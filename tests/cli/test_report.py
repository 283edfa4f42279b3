"""`report` makes one report and says what became of it; `preview` shows it and does nothing."""

import contextlib
import json
import re
import socket
import stat
import threading
import time

import pytest

from otel_usage.integrations.vllm import APP

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
    assert out.splitlines()[1:] == ["", "mode      on, by default", f"recorded  in {path}", "sent      nowhere"]
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
    status, out, _ = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")

    assert (status, out.splitlines()[-1], len(grpc_receiver.received)) == (0, f"sent      to {grpc_receiver.url}: accepted", 1)


@pytest.mark.usefixtures("made_up_app")
def test_a_projects_server_that_the_operator_named_gets_nothing_of_the_operators(shell, receiver, home):
    """Neither headers, nor credentials, nor resource attributes."""
    (home / ".netrc").write_text("default login SECRET password SECRET\n")
    status, _, _ = shell("--app", "myengine", "report", MYENGINE_USAGE_STATS_SERVER=receiver.url,
                         OTEL_EXPORTER_OTLP_HEADERS="authorization=SECRET", OTEL_RESOURCE_ATTRIBUTES="team=SECRET")  # fmt: skip
    received = receiver.only

    assert (status, received.path) == (0, "/v1/traces")
    assert b"SECRET" not in str(received.headers).encode() + received.request.SerializeToString()


def test_vllms_server_gets_the_line_as_it_is(shell, receiver, config):
    """What it takes today."""
    status, _, _ = shell("report", VLLM_USAGE_STATS_SERVER=f"{receiver.url}/in")

    assert (status, receiver.only.path) == (0, "/in")
    assert receiver.only.body == (config / "usage_stats.json").read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_collector_is_said_so_and_the_line_is_there(shell, config, protocol):
    """Within six seconds, with exit status 1."""
    start = time.monotonic()
    status, out, err = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)

    assert (status, err, time.monotonic() - start < 6) == (1, "", True)
    assert re.match(r"sent      to http://127\.0\.0\.1:9\S*: not accepted", out.splitlines()[-1])
    assert (config / "usage_stats.json").exists()


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

    assert (status, time.monotonic() - start < 6) == (1, True)
    assert "no answer" in out.splitlines()[-1]
    assert (config / "usage_stats.json").exists()


def test_with_an_opt_out_it_says_so_and_does_nothing(shell, home, receiver):
    """DO_NOT_TRACK=0 is an opt-out as well."""
    status, out, err = shell("report", DO_NOT_TRACK="0", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, out, err) == (1, "vllm reports are off because DO_NOT_TRACK is '0': nothing was recorded or sent.\n", "")
    assert (list(home.iterdir()), receiver.received) == ([], [])


def test_in_local_mode_the_line_is_written_and_nothing_is_sent(shell, config, receiver):
    """That is no failure."""
    status, out, _ = shell("report", OTEL_USAGE_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, out.splitlines()[-1], receiver.received) == (0, "sent      nowhere, since the mode is local", [])
    assert (config / "usage_stats.json").exists()


def test_a_file_that_can_not_be_written_is_said_so_and_the_operators_collector_gets_it(shell, config, receiver):
    """Exit status 1, and the report is sent all the same."""
    (config / "usage_stats.json").mkdir(parents=True)
    status, out, err = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, err, len(receiver.received)) == (1, "", 1)
    assert f"recorded  NOT: {config}/usage_stats.json can't be written" in out


def test_two_destinations_get_reports_of_their_own(shell, receiver, grpc_receiver, config):
    """The file has the project's."""
    status, out, _ = shell("report", VLLM_USAGE_STATS_SERVER=receiver.url, OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.url,
                           OTEL_EXPORTER_OTLP_PROTOCOL="grpc")  # fmt: skip
    line = json.loads((config / "usage_stats.json").read_text())
    ((own, _, _),) = grpc_receiver.only.spans

    assert (status, out.count("accepted")) == (0, 2)
    assert receiver.only.json["uuid"] == line["uuid"] != own["service.instance.id"]


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
        "line": None if off else (config / "usage_stats.json").read_text().rstrip("\n"),
        "path": str(config / "usage_stats.json"),
        "deliveries": [] if off else [delivery],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nokey=1", "--set nokey: vllm declares no such fact; the nearest are block_size, source, attention_backend"),
        ("dtyp=x", "--set dtyp: vllm declares no such fact; the nearest are dtype, "),
        ("detect_failed=gpu", "--set detect_failed: vllm declares no such fact; the nearest are "),
        ("dtype", "--set dtype: write it as KEY=VALUE"),
        ("block_size=big", "--set block_size=big: the value must be an integer, or null"),
        ("enable_lora=1", "--set enable_lora=1: the value must be true or false, or null"),
        ("gpu_memory_utilization=x", "--set gpu_memory_utilization=x: the value must be a number, or null"),
        ("gpu_memory_utilization=nan", "--set: gpu_memory_utilization must be a finite number"),
        (f"dtype={'x' * 257}", "--set: dtype must be at most 256 bytes of UTF-8"),
        ("context=X", "--set: context must be one of UNKNOWN_CONTEXT, LLM_CLASS, API_SERVER, "),
        ("dtype=\x1b[31m", ""),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line_with_the_cure(command, home, setting, said):
    """Exit status 2, and nothing is written."""
    status, out, err = command("report", "--set", setting)
    if said:
        assert (status, out, err.count("\n"), list(home.iterdir())) == (2, "", 1, [])
        assert err.startswith(f"otel-usage: {said}")
        assert err.endswith("(see otel-usage report --help)\n")
    else:
        assert (status, "\x1b" in out + err) == (0, False)


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


def test_a_preview_equals_the_report_but_for_ids_and_time(shell, home, receiver):
    """The line, and over OTLP the whole request; nothing is written or sent by it."""
    previews = [shell("preview", *SET, "--format", form)[1] for form in ("json", "otlp")]
    assert list(home.iterdir()) == []

    shell("report", *SET, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    from google.protobuf.json_format import MessageToDict

    line = json.loads((home / ".config/vllm/usage_stats.json").read_text())
    sent = MessageToDict(receiver.only.request, use_integers_for_enums=True)

    assert masked(json.loads(previews[0])) == masked(line)
    assert masked(json.loads(previews[1])) == masked(sent)


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
@pytest.mark.parametrize("name", ["vllm", "myengine"])
def test_a_preview_as_a_table_has_each_fact_with_its_attributes(command, home, name):
    """What stands in the file, and what leaves."""
    status, out, err = command("--app", name, "preview", "--set", "context=API_SERVER")
    keys = APP.report_keys if name == "vllm" else ("quantization", "myengine_env", "note")

    assert (status, err, list(home.iterdir())) == (0, "", [])
    assert [key for key in keys if not re.search(rf"│ {key} ", out)] == []
    assert re.search(r"│ context +│ API_SERVER +│ otel_usage.context +│ API_SERVER +│", out)


def test_a_preview_says_where_nothing_of_it_would_be_sent(command, monkeypatch):
    """On the errors, so that the output stays what it is."""
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "1")
    status, out, err = command("preview", "--format", "json")

    assert (status, list(json.loads(out)) == KEYS) == (0, True)
    assert err == "Nothing of this would be recorded or sent: vllm reports are off because VLLM_NO_USAGE_STATS is '1'.\n"
