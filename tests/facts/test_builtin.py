"""The built-in table agrees with docs/design.md, "Report: attributes", row by row."""

import re

import pytest
from myengine_app import APP as MYENGINE

from otel_usage import App
from otel_usage.detect import DETECTORS
from otel_usage.facts.admission import admit, admit_value
from otel_usage.facts.report import Report
from otel_usage.integrations.vllm import APP as VLLM

APP = App("myengine")


def attributes_of(**facts):
    """Return the attributes that the facts become on the resource, without those that identify the report."""
    named = Report(APP, facts).attributes("resource")
    return {k: v for k, v in named.items() if k not in ("service.name", "service.instance.id")}


@pytest.mark.parametrize(
    ("key", "value", "attributes"),
    [
        ("provider", "AWS", {"cloud.provider": "aws"}),
        ("provider", "AZURE", {"cloud.provider": "azure"}),
        ("provider", "GCP", {"cloud.provider": "gcp"}),
        ("provider", "OCI", {"cloud.provider": "oracle_cloud"}),
        ("provider", "RUNPOD", {"cloud.provider": "runpod"}),
        ("provider", "UNKNOWN", {}),
        ("num_cpu", 24, {"otel_usage.cpu.logical_count": 24}),
        ("cpu_type", "AMD EPYC", {"host.cpu.model.name": "AMD EPYC"}),
        ("cpu_family_model_stepping", "6,85,7", {"host.cpu.family": "6", "host.cpu.model.id": "85", "host.cpu.stepping": "7"}),
        ("cpu_family_model_stepping", "23,49,", {"host.cpu.family": "23", "host.cpu.model.id": "49"}),
        ("cpu_family_model_stepping", "23,49,0", {"host.cpu.family": "23", "host.cpu.model.id": "49", "host.cpu.stepping": "0"}),
        ("total_memory", 1, {"otel_usage.memory.limit": 1}),
        ("architecture", "x86_64", {"host.arch": "amd64"}),
        ("architecture", "aarch64", {"host.arch": "arm64"}),
        ("architecture", "armv7l", {"host.arch": "arm32"}),
        ("architecture", "ppc64le", {"host.arch": "ppc64"}),
        ("architecture", "i686", {"host.arch": "x86"}),
        ("architecture", "riscv64", {"host.arch": "riscv64"}),
        ("platform", "Linux-6.1.0-x86_64-with-glibc2.36", {"os.description": "Linux-6.1.0-x86_64-with-glibc2.36", "os.type": "linux"}),
        ("platform", "macOS-14.5-arm64-arm-64bit", {"os.description": "macOS-14.5-arm64-arm-64bit", "os.type": "darwin"}),
        ("cuda_runtime", "12.8", {"otel_usage.gpu.runtime.name": "cuda", "otel_usage.gpu.runtime.version": "12.8"}),
        ("cuda_runtime", "tpu_inference", {"otel_usage.gpu.runtime.name": "tpu_inference"}),
        ("xpu_runtime", "2025.1", {"otel_usage.gpu.runtime.name": "xpu", "otel_usage.gpu.runtime.version": "2025.1"}),
        ("rocm_runtime", "6.4", {"otel_usage.gpu.runtime.name": "rocm", "otel_usage.gpu.runtime.version": "6.4"}),
        ("gpu_count", 2, {"otel_usage.gpu.count": 2}),
        ("gpu_type", "NVIDIA L4", {"otel_usage.gpu.model": "NVIDIA L4"}),
        ("gpu_memory_per_device", 23580639232, {"otel_usage.gpu.memory.limit": 23580639232}),
        ("detect_failed", "gpu", {"otel_usage.detect.failed": "gpu"}),
        ("detect_unfinished", "gpu", {"otel_usage.detect.unfinished": "gpu"}),
        ("myengine_version", "1.2", {"service.version": "1.2"}),
        ("source", "ci", {"otel_usage.source": "ci"}),
    ],
)  # fmt: skip
def test_each_key_becomes_the_attributes_of_the_contract(key, value, attributes):
    """Each row of docs/design.md, "Report: attributes", holds from key to attributes."""
    assert attributes_of(**{key: value}) == attributes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("provider", "OCI"), ("num_cpu", 24), ("cpu_family_model_stepping", "23,49,"), ("architecture", "x86_64"),
        ("architecture", "aarch64"), ("platform", "Linux-6.1.0-x86_64-with-glibc2.36"), ("cuda_runtime", "12.8"),
        ("cuda_runtime", "tpu_inference"), ("xpu_runtime", "2025.1"), ("rocm_runtime", "6.4"), ("gpu_count", 0),
        ("gpu_type", "NVIDIA L4"), ("source", "ci"),
    ],
)  # fmt: skip
def test_the_attributes_become_the_same_key_again(key, value):
    """Each row of docs/design.md, "Report: attributes", holds from attributes to key: only that key, with that value."""
    attributes = attributes_of(**{key: value})
    joined = {
        name: fact.join(tuple(attributes.get(column.name) for column in APP.attributes_of[name]))
        for name, fact in APP.facts_by_key.items()
        if APP.attributes_of[name]
    }

    assert {name: found for name, found in joined.items() if found is not None} == {key: value}


@pytest.mark.parametrize("app", [APP, MYENGINE, VLLM], ids=lambda app: app.name)
def test_every_string_is_bounded_and_says_why_where_it_is_not(app):
    """A path with a name in it never leaves as it is; only free text may hold one, and its row says why."""
    secret = "/home/ann/plans"
    leaves = {name: admit_value(column, secret)[0] for name, column in app.attributes.items() if column.type is str}
    free = {name: column.open for name, column in app.attributes.items() if column.open}

    assert {name for name, value in leaves.items() if value not in (None, "other")} == set(free)
    assert {"host.cpu.model.name", "otel_usage.gpu.model", "os.description", "service.version"} <= set(leaves)
    assert free == ({"myengine.config.note": "operators name their own site"} if app is MYENGINE else {})


def test_every_built_in_number_names_its_bounds():
    """No row relies on the default bounds."""
    bounds = {a.name: (a.minimum, a.maximum, a.step) for a in APP.attributes.values() if a.type in (int, float)}

    assert bounds == {
        "otel_usage.cpu.logical_count": (1, 8192, None),
        "otel_usage.memory.limit": (0, 128 * 2**40, 2**30),
        "otel_usage.gpu.count": (0, 4096, None),
        "otel_usage.gpu.memory.limit": (0, 4 * 2**40, 2**30),
        "otel_usage.uptime": (0, 316224000, 60),
    }


@pytest.mark.parametrize("app", [APP, VLLM], ids=lambda app: app.name)
def test_no_pattern_repeats_without_bound(app):
    """A pattern takes little time for any string. A pattern that cuts a value has one open part, between two others."""
    patterns = {name: column.pattern for name, column in app.attributes.items() if column.pattern}
    cuts = {name: column.clean[0] for name, column in app.attributes.items() if column.clean}
    unbounded = {name: re.findall(r"[*+]\??", re.sub(r"\\.|\[[^]]*\]", "x", text)) for name, text in patterns.items()}
    parts = {name: re.findall(r"\.\*\??", text) for name, text in cuts.items()}

    assert {name: found for name, found in unbounded.items() if found} == {}
    assert parts == {"os.description": [".*?"], "service.version": [".*", ".*"], "otel_usage.gpu.runtime.version": [".*"]}


def test_every_built_in_fact_has_a_reason_of_its_own():
    """Each reason is a clause for an operator, and no two facts share one."""
    reasons = [fact.why for fact in APP.facts_by_key.values()]

    assert [why for why in reasons if not 15 <= len(why) <= 100] == []
    assert sorted(set(reasons)) == sorted(reasons)


def test_every_detected_fact_is_admitted_as_it_is():
    """Whatever the detectors find on this machine is in the table with the type of its row, and admission drops none of it."""
    found = dict(pair for detector in DETECTORS.values() for pair in detector())
    known = {key: value for key, value in found.items() if value is not None}

    assert admit(APP, found) == (known, [])
    assert {"num_cpu", "architecture", "platform", "total_memory", "provider"} <= set(known)
