"""A report has one line, attributes and ids."""

import json
import random
import re

import pytest
from myengine_app import APP

from otel_usage.facts.builtin import HEARTBEAT
from otel_usage.facts.report import Report, about_run

FACTS = {
    "uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "log_time": 1795489108384242176, "provider": "GCP", "num_cpu": 24,
    "cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7", "total_memory": 101261135872,
    "architecture": "x86_64", "platform": "Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35", "cuda_runtime": "12.8",
    "gpu_count": 2, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 23580639232, "myengine_version": "1.2.0",
    "context": "API_SERVER", "source": "production", "quantization": "awq", "batch": 8, "cache_share": 0.9,
    "eager": True, "myengine_env": '{"MYENGINE_FAST": true}', "detect_failed": "cloud",
}  # fmt: skip


def test_the_line_is_what_the_json_module_writes_of_the_declared_keys_in_order():
    """The line has the default separators, ASCII only, null for each unknown fact, and nothing that only OTLP has."""
    assert Report(APP, {**FACTS, "note": "München"}).line == (
        '{"uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "provider": "GCP", "num_cpu": 24, '
        '"cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7", "total_memory": 101261135872, '
        '"architecture": "x86_64", "platform": "Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35", "xpu_runtime": null, '
        '"cuda_runtime": "12.8", "gpu_count": 2, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 23580639232, '
        '"myengine_version": "1.2.0", "context": "API_SERVER", "log_time": 1795489108384242176, "source": "production", '
        '"quantization": "awq", "scheduler": null, "batch": 8, "cache_share": 0.9, "eager": true, "note": "M\\u00fcnchen", '
        '"myengine_env": "{\\"MYENGINE_FAST\\": true}"}'
    )


def test_a_heartbeats_line_has_the_runs_id_the_time_and_the_runtime_facts():
    """A heartbeat's line has uuid, log_time and the facts that the app declares for heartbeats."""
    report = Report(APP, {"uuid": "a", "log_time": 1, "uptime": 600, "requests": 7}, name=HEARTBEAT)

    assert report.line == '{"uuid": "a", "log_time": 1, "requests": 7}'


def test_every_fact_is_on_the_resource_and_the_context_on_the_span():
    """The resource holds what the run is, the span holds what happened."""
    report = Report(APP, FACTS)

    assert (report.attributes("resource"), report.attributes("span")) == (
        {
            "service.name": "myengine", "service.version": "1.2.0",
            "service.instance.id": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "cloud.provider": "gcp",
            "otel_usage.cpu.logical_count": 24, "host.cpu.model.name": "Intel(R) Xeon(R) CPU @ 2.20GHz",
            "host.cpu.family": "6", "host.cpu.model.id": "85", "host.cpu.stepping": "7",
            "otel_usage.memory.limit": 101261135872, "host.arch": "amd64",
            "os.description": "Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35", "os.type": "linux",
            "otel_usage.gpu.runtime.name": "cuda", "otel_usage.gpu.runtime.version": "12.8", "otel_usage.gpu.count": 2,
            "otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.memory.limit": 23580639232,
            "otel_usage.source": "production", "otel_usage.detect.failed": "cloud",
            "myengine.config.quantization": "awq", "myengine.config.batch": 8, "myengine.config.cache_share": 0.9,
            "myengine.config.eager": True, "myengine.env.MYENGINE_FAST": True,
        },
        {"otel_usage.context": "API_SERVER"},
    )  # fmt: skip


def test_the_attributes_do_not_depend_on_the_order_of_the_facts():
    """Where two facts become one attribute, the table says which one wins, so that the file and the request agree."""
    both = [{"xpu_runtime": "2", "cuda_runtime": "1"}, {"cuda_runtime": "1", "xpu_runtime": "2"}]

    assert [Report(APP, facts).attributes("resource")["otel_usage.gpu.runtime.name"] for facts in both] == ["cuda", "cuda"]


def test_a_report_for_another_destination_shares_no_id():
    """Two destinations can't join their data; everything but the ids is the same."""
    report = Report(APP, FACTS)
    other = report.renamed()
    ids = [(r.facts["uuid"], r.trace_id, r.span_id) for r in (report, other)]

    assert [one for one, another in zip(*ids, strict=True) if one == another] == []
    assert {**other.facts, "uuid": None} == {**report.facts, "uuid": None}


def test_ids_are_random_of_version_four_and_leave_the_hosts_random_state_alone():
    """A host that seeds `random` does not determine our ids, and its own numbers do not change."""
    random.seed(0)
    first, state = Report(APP, {}), random.getstate()
    second = Report(APP, {})
    form = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

    assert state == random.getstate()
    assert form.fullmatch(first.facts["uuid"])
    assert len({first.facts["uuid"], second.facts["uuid"], first.trace_id, second.trace_id}) == 4


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({}, "production"),
        ({"CI": "true"}, "ci"),
        ({"CI": ""}, "production"),
        ({"CI": "true", "MYENGINE_USAGE_SOURCE": "ci-test"}, "ci-test"),
        ({"MYENGINE_USAGE_SOURCE": "mine"}, "mine"),
    ],
)
def test_the_source_is_what_the_operator_says_or_whether_it_is_ci(environ, source):
    """The source is <APP>_USAGE_SOURCE, else `ci` where CI is set, else `production`."""
    assert about_run(APP, environ) == {
        "context": "UNKNOWN_CONTEXT", "source": source,
    }  # fmt: skip


def test_the_line_is_strict_json():
    """Any JSON reader can read the line, and it says what the report says."""
    report = Report(APP, FACTS)

    assert json.loads(report.line, parse_constant=pytest.fail) == report.values
