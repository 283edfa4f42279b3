"""The real vLLM reports through otel_usage what it would report itself: once for a deployment, or not at all."""

from __future__ import annotations

import json

import pytest
from real_vllm import NO_PLUGIN, SCRIPTS, TWO_PROCESSES

from otel_usage.facts.admission import admit, admit_attributes
from otel_usage.facts.report import Report
from otel_usage.integrations.vllm import APP

pytestmark = pytest.mark.timeout(900)
NOTHING = ([], [], [], [])
OWN = ("uuid", "log_time")


def comparable(line):
    """Return the keys and values of a line, without those that no two reports share.

    A stepping of 0 counts as unknown: py-cpuinfo, which vLLM asks, loses it.
    """
    pairs = [(key, value) for key, value in json.loads(line).items() if key not in OWN]
    return [(key, value.removesuffix(",0") + "," if key == "cpu_family_model_stepping" and value.endswith(",0") else value)
            for key, value in pairs]  # fmt: skip


def expected_resource(line):
    """Return the attributes that the facts of a line become."""
    attributes, _ = admit_attributes(APP, Report(APP, admit(APP, json.loads(line))[0]).attributes("resource"), "resource")
    return {name: value for name, value in attributes.items() if name not in ("service.instance.id", "host.cpu.stepping")}


def received_resource(deployment):
    """Return the attributes of the only report that the collector got, and its context."""
    (request,) = deployment.collector
    ((resource, span, attributes),) = request.spans
    del resource["service.instance.id"]
    resource.pop("host.cpu.stepping", None)
    return span.name, resource, attributes


def assert_same(deployment, own, context):
    """Check that one report reached every destination and says what vLLM's own reporter says."""
    (line,) = deployment.lines
    (request,) = deployment.project

    assert comparable(line) == comparable(own)
    assert (request.path, request.body.decode()) == ("/in", line)
    assert received_resource(deployment) == ("otel_usage.report", expected_resource(own), {"otel_usage.context": context})


def test_the_llm_class_reports_what_vllm_itself_reports(run_engine, home, project):
    """The file, the project's server and the collector get the same keys, order and values."""
    reference = run_engine("LLM_CLASS", variables=NO_PLUGIN)
    (home / ".config" / "vllm" / "usage_stats.json").unlink()
    project.received.clear()

    deployment = run_engine()

    assert (reference.result["reporters"], reference.collector) == ([1], [])
    assert deployment.result["reporters"] == [0]
    assert deployment.result["tokens"] == reference.result["tokens"]
    assert_same(deployment, reference.lines[0], "LLM_CLASS")


def test_the_api_server_reports_what_vllm_itself_would_report_of_it(run_server, own_line):
    """It has its own context, which vLLM's worker does not know."""
    deployment = run_server("--fail-on-environ-validation")

    assert_same(deployment, own_line, "OPENAI_API_SERVER")


def test_two_engines_behind_two_api_servers_are_one_report(run_server):
    """The first process reports; the API servers make the configuration again, find the mark, and start without a warning."""
    deployment = run_server("--data-parallel-size", "2", "--api-server-count", "2", "--fail-on-environ-validation",
                            variables=TWO_PROCESSES)  # fmt: skip

    (line,) = deployment.lines
    told = json.loads(line)
    assert (told["context"], told["data_parallel_size"]) == ("OPENAI_API_SERVER", 2)
    assert (len(deployment.project), len(deployment.collector)) == (1, 1)


def test_two_workers_of_one_engine_are_one_report(run_engine):
    """It does not matter which of them would report by itself."""
    deployment = run_engine(tensor_parallel_size=2, variables=TWO_PROCESSES)

    (line,) = deployment.lines
    assert (json.loads(line)["tensor_parallel_size"], deployment.result["reporters"]) == (2, [0, 0])
    assert (len(deployment.project), len(deployment.collector)) == (1, 1)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DO_NOT_TRACK", "1"),
        ("DO_NOT_TRACK", "true"),  # vLLM's own reporter takes this for consent
        ("VLLM_DO_NOT_TRACK", "1"),
        ("VLLM_NO_USAGE_STATS", "1"),
        ("OTEL_USAGE_SUPPRESSED_VLLM", "an embedder"),
    ],
)
def test_an_opt_out_in_the_environment_silences_both_reporters(run_engine, variable, value):
    """No process makes a file, a directory or a request."""
    deployment = run_engine(variables={variable: value})

    assert (deployment.traces, deployment.result["reporters"]) == (NOTHING, [0])


@pytest.mark.parametrize(("root", "name", "text"), [
    (".config/vllm", "do_not_track", ""), ("elsewhere", "do_not_track", ""), (".config/vllm", "usage_mode", "off"),
])  # fmt: skip
def test_an_opt_out_in_a_file_silences_both_reporters(run_engine, home, root, name, text):
    """The file is in the default directory, or in the one that VLLM_CONFIG_ROOT names."""
    folder = home / root
    folder.mkdir(parents=True)
    (folder / name).write_text(text)

    deployment = run_engine(variables={"VLLM_CONFIG_ROOT": str(folder)})

    assert (deployment.lines, deployment.project, deployment.collector) == ([], [], [])
    assert (deployment.result["reporters"], [path.name for path in folder.iterdir()]) == ([0], [name])


def test_none_keeps_the_line_and_sends_nothing(run_engine):
    """OTEL_USAGE_EXPORTER=none leaves only the file, for both reporters."""
    deployment = run_engine(variables={"OTEL_USAGE_EXPORTER": "none"})

    assert (len(deployment.lines), deployment.project, deployment.collector) == (1, [], [])
    assert deployment.result["reporters"] == [0]


@pytest.mark.parametrize("part", ["vllm_plugin._own_reporter", "vllm_config.facts_of"])
def test_whatever_breaks_here_vllm_starts_generates_and_reports_by_itself(run_engine, tmp_path, part):
    """One case breaks `register`, the other breaks the work at the start of the engine."""
    module, name = part.split(".")
    (tmp_path / "sitecustomize.py").write_text(
        f"from otel_usage.integrations import {module}\n"
        f"def broken(*_): raise RuntimeError('broken by hand')\n{module}.{name} = broken\n"
    )

    deployment = run_engine(variables={"PYTHONPATH": f"{tmp_path}:{SCRIPTS}"})

    (line,) = deployment.lines
    assert (json.loads(line)["context"], deployment.result["reporters"]) == ("ENGINE_CONTEXT", [1])
    assert (len(deployment.result["tokens"]), deployment.collector) == (4, [])
