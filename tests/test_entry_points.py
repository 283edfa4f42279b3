"""The entry points work as users of OpenTelemetry name them, with opentelemetry-instrument and OTEL_CONFIG_FILE."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from releases import OLDEST

SPANS = """
    from opentelemetry import trace
    tracer = trace.get_tracer("otel_usage")
    with tracer.start_as_current_span("otel_usage.report", attributes={"otel_usage.context": "API_SERVER"}):
        pass
    with trace.get_tracer("web").start_as_current_span("GET /"):
        pass
    trace.get_tracer_provider().shutdown()
"""
SHOW = """
    from opentelemetry import trace
    provider = trace.get_tracer_provider()
    recorded = [provider.get_tracer("x").start_span(name).is_recording() for name in ("otel_usage.report", "GET /")]
    names = sorted(provider.resource.attributes)
    print(recorded, [name for name in names if name.startswith(("otel_usage.", "host.cpu", "os.", "cloud."))])
"""


@pytest.fixture
def instrumented(tmp_path):
    """Run code under opentelemetry-instrument with the given environment."""

    def run(code, **environment):
        return subprocess.run(
            [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none",
                 "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests", **environment},
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip

    return run


@pytest.fixture
def configured(instrumented, tmp_path):
    """Run code under opentelemetry-instrument with a file of declarative configuration."""

    def run(code, configuration, **environment):
        (tmp_path / "otel.yaml").write_text(textwrap.dedent(configuration))
        return instrumented(code, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"), **environment)

    return run


def test_they_are_registered_under_these_names():
    """Each group has one entry of ours, which can be loaded."""
    groups = ("opentelemetry_traces_sampler", "opentelemetry_sampler", "opentelemetry_traces_exporter",
              "opentelemetry_resource_detector", "otel_usage.apps")  # fmt: skip
    found = {g: {e.name: e.load() for e in entry_points(group=g) if e.value.startswith("otel_usage.")} for g in groups}

    assert {group: list(entries) for group, entries in found.items()} == {
        "opentelemetry_traces_sampler": ["otel_usage"],
        "opentelemetry_sampler": ["otel_usage"],
        "opentelemetry_traces_exporter": ["otel_usage_file"],
        "opentelemetry_resource_detector": ["otel_usage"],
        "otel_usage.apps": ["vllm"],
    }


def test_no_distro_and_no_configurator_is_registered():
    """A process has one of each, and ours would replace the host's."""
    ours = [e for g in ("opentelemetry_distro", "opentelemetry_configurator") for e in entry_points(group=g) if "otel_usage" in e.value]

    assert ours == []


def test_the_exporter_writes_usage_spans_and_no_others(instrumented, home):
    """OTEL_TRACES_EXPORTER=otel_usage_file uses the resource of the host's pipeline."""
    done = instrumented(
        SPANS, OTEL_TRACES_EXPORTER="otel_usage_file", OTEL_SERVICE_NAME="myengine", OTEL_USAGE_EXPORTER="otlp",
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="otel_usage",
    )  # fmt: skip
    (line,) = (home / ".config/myengine/usage_stats.json").read_text().splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert (json.loads(line)["context"], json.loads(line)["num_cpu"]) == ("API_SERVER", os.cpu_count())


@pytest.mark.parametrize(
    ("environment", "recorded"),
    [
        ({}, "[True, True]"),
        ({"DO_NOT_TRACK": "1"}, "[False, True]"),
        ({"MYENGINE_DO_NOT_TRACK": "1"}, "[True, True]"),
        ({"MYENGINE_DO_NOT_TRACK": "1", "OTEL_TRACES_SAMPLER_ARG": "myengine"}, "[False, True]"),
    ],
)
def test_the_sampler_decides_usage_spans_by_consent(instrumented, environment, recorded):
    """OTEL_TRACES_SAMPLER=otel_usage has the app in its argument."""
    done = instrumented(SHOW, OTEL_TRACES_SAMPLER="otel_usage", **environment)
    said = "OTEL_TRACES_SAMPLER_ARG: no app 'myengine' is installed; the known ones are: vllm; the opt-outs of 'myengine' count all the same\n"

    assert (done.stderr, done.stdout) == (said if "OTEL_TRACES_SAMPLER_ARG" in environment else "", f"{recorded} []\n")


@pytest.mark.usefixtures("made_up_app")
def test_the_exporter_writes_the_facts_of_an_installed_app(instrumented, home):
    """As a reader of its documentation expects: those of the resource and those of the span."""
    spans = SPANS.replace('"API_SERVER"', '"API_SERVER", "myengine.config.batch": 9')
    done = instrumented(
        spans, OTEL_TRACES_EXPORTER="otel_usage_file", OTEL_SERVICE_NAME="myengine",
        OTEL_RESOURCE_ATTRIBUTES="myengine.config.quantization=awq",
    )  # fmt: skip
    (line,) = (home / ".config/myengine/usage_stats.json").read_text().splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert {key: json.loads(line)[key] for key in ("context", "batch", "quantization", "scheduler")} == {
        "context": "API_SERVER", "batch": 9, "quantization": "awq", "scheduler": None,
    }  # fmt: skip


@pytest.mark.parametrize(("chosen", "found"), [("otel_usage", True), ("*", False)])
def test_the_detector_adds_hardware_only_where_it_is_named(instrumented, chosen, found):
    """A star in OTEL_EXPERIMENTAL_RESOURCE_DETECTORS does not name it; the oldest release fails at a star."""
    done = instrumented(SHOW, OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=chosen)
    failed = OLDEST and chosen == "*"

    assert done.stderr.partition("\n")[0] == ("Configuration of configurator failed" if failed else "")
    assert ("otel_usage.cpu.logical_count" in done.stdout) is found


CONFIGURATION = """
    file_format: "1.0"
    resource:
      attributes:
        - name: service.name
          value: myengine
      detection/development:
        detectors:
          - otel_usage:
    tracer_provider:
      sampler:
        otel_usage:
      processors:
        - simple:
            exporter:
              otel_usage_file:
                directory: {directory}
                max_bytes: 100000
"""


@pytest.mark.parametrize(("environment", "lines"), [({}, 1), ({"DO_NOT_TRACK": ""}, 0)])
def test_all_three_work_by_declarative_configuration(configured, tmp_path, environment, lines):
    """OTEL_CONFIG_FILE names sampler, exporter and detector; an opt-out drops the span. The oldest release reads no file."""
    done = configured(SPANS, CONFIGURATION.format(directory=tmp_path / "usage"), OTEL_USAGE_EXPORTER="otlp", **environment)
    path = tmp_path / "usage" / "usage_stats.json"
    found = [json.loads(line)["num_cpu"] for line in path.read_text().splitlines()] if path.exists() else []

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert found == [os.cpu_count()] * (0 if OLDEST else lines)
