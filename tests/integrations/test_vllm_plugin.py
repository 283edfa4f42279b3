"""With the plugin a vLLM deployment makes one report from its first process, and vLLM's own reporter is silent where it must be."""

import json
import os
import sys
from importlib.metadata import entry_points

import pytest
from vllm_stand_in import FACTS, SHAPES, Config, StandIn

from otel_usage import App, Fact, UsageReporter
from otel_usage.detect import DETECTORS, OF_GPUS
from otel_usage.integrations import vllm_config, vllm_plugin
from otel_usage.integrations.vllm import APP, VARIABLES

MARK = "VLLM_USAGE_RUN"


@pytest.fixture(params=SHAPES)
def vllm(request, monkeypatch):
    """A vLLM of each recorded shape, with the plugin registered in this process."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "none")
    monkeypatch.setattr(vllm_plugin, "_made", [])
    vllm_plugin._reporter.cache_clear()

    def put(name, module):
        monkeypatch.setitem(sys.modules, name, module)
        return module

    stand_in = StandIn(SHAPES[request.param], put)
    vllm_plugin.register()
    yield stand_in
    vllm_plugin._reporter.cache_clear()


@pytest.fixture
def to_project(monkeypatch):
    """Let reports go to the project, whose port nobody listens on."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "project")
    monkeypatch.setenv("VLLM_USAGE_STATS_SERVER", "http://127.0.0.1:9")


@pytest.fixture
def reported(home):
    """Return the reports in the local file once the reporter is done."""

    def read():
        vllm_plugin._reporter().flush()
        file = home / ".config" / "vllm" / "usage_stats.json"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_declared_facts_are_those_of_each_release(shape):
    """Keys, order, contexts, variables and server match each recorded release: a new one is declared here or left out on purpose."""
    declared = (APP.report_keys, APP.contexts, tuple(fact.key for fact in VARIABLES), APP.endpoint)

    assert declared == (
        (*shape["message"], *shape["facts"]), tuple(shape["contexts"]), tuple(shape["variables"]), shape["server"],
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_functions_that_are_replaced_or_asked_take_what_is_counted_on(shape):
    """The worker for GPUs is the only place where vLLM calls its own reporter."""
    assert (shape["functions"], shape["callers"]) == ({
        "report_usage": ["self", "model_architecture", "usage_context", "extra_kvs"],
        "set_runtime_usage_data": ["key", "value"],
        "create_engine_config": ["self", "usage_context", "headless"],
        "get_class": ["vllm_config"],
        "report_usage_stats": ["vllm_config", "usage_context"],
        **{key: ["self"] for key in ("is_cuda", "is_rocm", "is_tpu", "is_xpu")},
        **{key: ["cls", "device_id"] for key in ("get_device_name", "get_device_total_memory")},
    }, ["vllm/v1/worker/gpu_worker.py"])  # fmt: skip


def test_vllm_finds_the_plugin():
    """The entry point leads to it."""
    (entry,) = entry_points(group="vllm.general_plugins", name="otel_usage")

    assert entry.load() is vllm_plugin.register


def test_the_first_process_reports_every_fact_under_the_true_context(vllm, reported):
    """It reports before any worker could, and the workers then report nothing."""
    vllm.start(vllm.Context.OPENAI_API_SERVER)

    (report,) = reported()
    assert {key: report[key] for key in (*FACTS, "context")} == {**FACTS, "context": "OPENAI_API_SERVER"}
    assert report["env_var_json"] == json.dumps(dict.fromkeys(fact.key for fact in VARIABLES))
    assert report["vllm_version"] in SHAPES
    assert vllm.work() == []


def test_an_engine_started_without_a_context_has_an_unknown_one(vllm, reported):
    """An embedder need not pass a context."""
    vllm.start()

    assert [report["context"] for report in reported()] == ["UNKNOWN_CONTEXT"]


def test_an_enum_is_reported_as_the_string_that_vllm_sends(vllm, reported):
    """JSON does not tell the two apart, and the table does."""
    vllm.facts["quantization"] = vllm.Context.LLM_CLASS

    vllm.start()

    assert [report["quantization"] for report in reported()] == ["LLM_CLASS"]


def test_a_new_fact_is_dropped_and_counted_and_costs_no_other(vllm, reported):
    """A vLLM that is newer than this package reports its declared facts."""
    vllm.facts["moon_phase"] = "full"

    vllm.start()

    (report,) = reported()
    assert (report.get("moon_phase", "no such key"), report["block_size"], vllm_plugin._reporter().dropped) == ("no such key", 16, 1)


def test_a_configuration_that_is_never_run_is_not_reported(vllm, reported):
    """Some tools make a configuration only to look at it."""
    vllm.EngineArgs().create_engine_config(vllm.Context.LLM_CLASS)

    assert (reported(), os.environ.get(MARK)) == ([], None)


def test_a_configuration_that_is_still_being_made_is_not_reported(vllm, reported):
    """The check of a configuration asks for the executor's class as well."""
    vllm.making = lambda: vllm.Executor.get_class(Config())

    vllm.EngineArgs().create_engine_config(vllm.Context.LLM_CLASS)

    assert reported() == []


def test_a_second_engine_of_the_same_run_is_not_reported(vllm, reported):
    """Its API servers, which make the configuration again, do not report either."""
    vllm.start(vllm.Context.LLM_CLASS)
    vllm.start(vllm.Context.LLM_CLASS)

    assert (len(reported()), vllm.asked) == (1, 1)


@pytest.mark.parametrize(
    ("parallel", "variables", "named"),
    [
        ({"data_parallel_rank": 1}, {}, {}),
        ({"node_rank": 1}, {}, {}),
        ({"distributed_executor_backend": "external_launcher"}, {"RANK": "1"}, {}),
        ({}, {}, {"headless": True}),
    ],
)
def test_other_processes_of_a_deployment_are_silent_and_so_are_their_workers(
    vllm, reported, monkeypatch, parallel, variables, named
):
    """These are a later data-parallel rank, another node, a later rank of an external launcher, and an engine without a front end."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    vllm.start(vllm.Context.OPENAI_API_SERVER, config=parallel, **named)

    assert (reported(), vllm.work()) == ([], [])


def test_the_first_process_of_an_external_launcher_reports(vllm, reported, monkeypatch):
    """The first process has rank 0."""
    monkeypatch.setenv("RANK", "0")

    vllm.start(config={"distributed_executor_backend": "external_launcher"})

    assert len(reported()) == 1


@pytest.mark.parametrize(("variable", "value"), [("DO_NOT_TRACK", "true"), ("VLLM_NO_USAGE_STATS", "0"),
                                                 ("VLLM_DO_NOT_TRACK", "")])  # fmt: skip
def test_an_opt_out_that_vllm_does_not_understand_silences_its_own_reporter_too(vllm, reported, monkeypatch, variable, value):
    """The plugin does not even ask vLLM whether its reporter is enabled."""
    monkeypatch.setenv(variable, value)

    vllm.start(vllm.Context.LLM_CLASS)

    assert (vllm.asked, reported(), vllm.work(), os.environ.get(MARK)) == (0, [], [], None)


def test_what_vllm_itself_was_told_to_keep_is_not_reported(vllm, reported):
    """Only vLLM knows some opt-outs, such as one in a directory with a relative path."""
    vllm.enabled = False

    vllm.start(vllm.Context.LLM_CLASS)

    assert reported() == []


def test_an_opt_out_deletes_what_waits_to_be_sent(vllm, home, monkeypatch):
    """The same holds for any app."""
    outbox = home / ".config" / "vllm" / "usage_outbox"
    outbox.mkdir(parents=True, mode=0o700)
    (outbox / f"{1:020d}.1.report.r.json").write_text("{}")
    monkeypatch.setenv("DO_NOT_TRACK", "1")

    vllm.start()

    assert list(outbox.iterdir()) == []


def test_a_worker_whose_deployment_has_not_reported_reports_as_it_always_did(vllm, to_project):
    """The reporter of vLLM then goes on for as long as the engine runs."""
    own = vllm.work()

    assert own == [("OPTForCausalLM", vllm.Context.ENGINE_CONTEXT, vllm.facts)]
    assert vllm.beat() == ([{"uuid": "own"}], [{"uuid": "own"}])


def break_part(vllm, monkeypatch, part):
    """Have a part of the plugin, or a function that it calls, raise."""

    def broken(*_, **__):
        message = "broken by hand"
        raise RuntimeError(message)

    broken.cache_clear = lambda: None
    monkeypatch.setattr({"report_usage_stats": vllm.modules["vllm.v1.utils"], "_devices": vllm_config}.get(part, vllm_plugin), part, broken)


@pytest.mark.parametrize("part", ["report_usage_stats", "_devices", "_reporter"])
def test_what_fails_as_the_engine_starts_is_left_to_vllms_own_reporter(vllm, to_project, monkeypatch, part):
    """The engine starts as usual."""
    break_part(vllm, monkeypatch, part)

    vllm.start(vllm.Context.LLM_CLASS)

    assert len(vllm.work()) == 1


NOT_TO_THE_PROJECT = {
    "local by a file": ({}, "local"),
    "off by a file": ({}, "off"),
    "off by an embedder": ({"OTEL_USAGE_SUPPRESSED_VLLM": "me"}, None),
    "off by OpenTelemetry's switch": ({"OTEL_SDK_DISABLED": "true"}, None),
    "the file alone": ({"OTEL_USAGE_EXPORTER": "none"}, None),
    "the operator's collector alone": ({"OTEL_USAGE_EXPORTER": "otlp"}, None),
    "an exporter that there is not": ({"OTEL_USAGE_EXPORTER": "project,console"}, None),
    "turned on at a later time": ({}, "on 9999-01-01T00:00:00Z"),
}


@pytest.fixture(params=NOT_TO_THE_PROJECT.values(), ids=NOT_TO_THE_PROJECT)
def not_to_the_project(request, to_project, home, monkeypatch):
    """Keep reports from the project in one of the ways that a user has."""
    variables, mode = request.param
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if mode:
        directory = home / ".config" / "vllm"
        directory.mkdir(parents=True)
        (directory / "usage_mode").write_text(mode)


@pytest.mark.parametrize("part", ["report_usage_stats", "_devices", "_reporter", "resolve", "is_marked", "decide"])
def test_what_fails_here_lets_vllms_own_reporter_send_nothing_that_the_user_does_not_allow(
    vllm, not_to_the_project, monkeypatch, part
):
    """That reporter knows neither `usage_mode` nor `OTEL_USAGE_EXPORTER`, and would send everything."""
    break_part(vllm, monkeypatch, part)

    vllm.start(vllm.Context.LLM_CLASS)

    assert (vllm.work(), vllm.beat()) == ([], ([], []))


@pytest.mark.parametrize("part", ["resolve", "Gate", "since"])
def test_a_decision_that_fails_lets_vllms_own_reporter_send_nothing(vllm, to_project, monkeypatch, part):
    """A failed decision counts as a no."""
    break_part(vllm, monkeypatch, part)

    assert (vllm.work(), vllm.beat()) == ([], ([], []))


def test_an_opt_out_ends_vllms_own_reporter_while_it_runs(vllm, to_project, monkeypatch):
    """It was allowed to start, and would report every ten minutes."""
    began = vllm.work()
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "none")

    assert (len(began), vllm.beat()) == (1, ([], []))


def parts(stand_in):
    """Return the functions that the plugin replaces beside vLLM's own reporter."""
    return stand_in.usage.set_runtime_usage_data, stand_in.EngineArgs.create_engine_config, stand_in.Executor.get_class


@pytest.mark.parametrize("part", ["_own_reporter", "_guarded", "_runtime", "_configuration", "_start"])
def test_a_register_that_fails_raises_nothing_and_vllms_own_reporter_sends_nothing_that_is_not_allowed(
    monkeypatch, not_to_the_project, part
):
    """An exception of a plugin would keep the engine of vLLM from starting. A reporter without a guard is opted out."""
    stand_in = StandIn(next(iter(SHAPES.values())), lambda name, module: monkeypatch.setitem(sys.modules, name, module) or module)
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    before = parts(stand_in)
    monkeypatch.delattr(vllm_plugin, part)

    vllm_plugin.register()

    own = stand_in.work() if "VLLM_NO_USAGE_STATS" not in os.environ else []
    assert (parts(stand_in), own) == (before, [])


@pytest.mark.parametrize("part", ["_own_reporter", "_runtime", "_configuration", "_start"])
def test_a_register_that_fails_leaves_vllms_own_reporter_where_it_is_allowed(monkeypatch, to_project, part):
    """That reporter works as it does without the plugin."""
    stand_in = StandIn(next(iter(SHAPES.values())), lambda name, module: monkeypatch.setitem(sys.modules, name, module) or module)
    before = parts(stand_in)
    monkeypatch.delattr(vllm_plugin, part)

    vllm_plugin.register()

    assert (parts(stand_in), len(stand_in.work()), os.environ.get("VLLM_NO_USAGE_STATS")) == (before, 1, None)


def test_registering_again_changes_nothing(vllm):
    """Plugins may be loaded several times."""
    before = (vllm.usage.UsageMessage.report_usage, vllm.Executor.get_class)

    vllm_plugin.register()

    assert (vllm.usage.UsageMessage.report_usage, vllm.Executor.get_class) == before


INSPECTS = """
    import os, sys
    from otel_usage.integrations.vllm_plugin import register
    before = set(sys.modules)
    register()
    found = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(sorted(found & {"vllm", "opentelemetry", "torch", "psutil"}), os.environ.get("VLLM_NO_USAGE_STATS"))
"""


@pytest.mark.parametrize(("exporter", "own"), [("project", "None"), ("none", "1"), ("otlp", "1")])
def test_a_process_without_vllms_reporter_loads_none_and_opts_it_out_unless_it_is_allowed(run_python, exporter, own):
    """To load it costs 0.8 s in the process that inspects a model's class; another process may load it later without a guard."""
    done = run_python(INSPECTS, OTEL_USAGE_EXPORTER=exporter)

    assert (done.stdout, done.stderr) == (f"[] {own}\n", "")


def test_the_mark_counts_for_every_thread_while_it_is_hidden(vllm, to_project, reported):
    """Another thread may start an engine or a worker while this one makes a configuration."""
    vllm.start()
    other = vllm.EngineArgs().create_engine_config()
    seen = []

    def meanwhile():
        vllm.making = lambda: None
        vllm.Executor.get_class(other)
        seen.extend(vllm.work())

    vllm.making = meanwhile
    vllm.EngineArgs().create_engine_config()

    assert (seen, len(reported())) == ([], 1)


def test_a_worker_makes_no_configuration_and_only_its_reporter_is_replaced(monkeypatch):
    """A process that has not loaded vLLM's arguments loads no module for them."""
    stand_in = StandIn(next(iter(SHAPES.values())), lambda name, module: monkeypatch.setitem(sys.modules, name, module) or module)
    monkeypatch.delitem(sys.modules, "vllm.engine.arg_utils")

    vllm_plugin.register()

    replaced = [hasattr(function, "__wrapped__") for function in
                (stand_in.usage.UsageMessage.report_usage, stand_in.Executor.get_class)]  # fmt: skip
    assert replaced == [True, False]


def test_the_mark_is_hidden_while_vllm_checks_its_variables(vllm):
    """An unknown variable VLLM_... makes vLLM warn, and with one option refuse to start."""
    vllm.start()
    mark, seen = os.environ[MARK], []
    vllm.making = lambda: seen.append(MARK in os.environ)

    vllm.EngineArgs().create_engine_config()

    assert (seen, os.environ[MARK]) == ([False], mark)


def test_the_mark_is_back_where_making_the_configuration_fails(vllm):
    """The caller gets vLLM's own error."""
    vllm.start()
    mark = os.environ[MARK]

    def fail():
        message = "vLLM's own"
        raise ValueError(message)

    vllm.making = fail

    with pytest.raises(ValueError, match="vLLM's own"):
        vllm.EngineArgs().create_engine_config()
    assert os.environ[MARK] == mark


def test_runtime_data_feeds_the_heartbeats_and_stays_known_to_vllm(vllm, monkeypatch):
    """Only the keys that are declared for heartbeats count."""
    app = App("vllm", facts=[Fact("requests", int, on="heartbeat", why="how much a run serves")])
    reporter = UsageReporter(app)
    monkeypatch.setattr(vllm_plugin, "_reporter", lambda: reporter)
    vllm_plugin._reporter.cache_clear = lambda: None

    vllm.usage.set_runtime_usage_data("requests", 1200)
    vllm.usage.set_runtime_usage_data("secret", "x")

    assert (reporter._run.runtime, reporter.dropped) == ({"requests": 1200}, 1)
    assert vllm.runtime == {"requests": 1200, "secret": "x"}


NONE = dict.fromkeys(OF_GPUS)
DEVICES = {"gpu_count": 4, "gpu_type": "the first device", "gpu_memory_per_device": 2**36}


@pytest.mark.parametrize(
    ("kind", "devices"),
    [
        ("cpu", NONE),
        ("cuda", {**NONE, **DEVICES, "cuda_runtime": "12.8"}),
        ("rocm", {"xpu_runtime": None, "cuda_runtime": None}),
        ("xpu", {**NONE, **DEVICES, "xpu_runtime": "20250101"}),
        ("tpu", {**NONE, "cuda_runtime": "tpu_inference", "gpu_count": 8, "gpu_type": "v6e", "gpu_memory_per_device": 2**35}),
    ],
)
def test_devices_are_those_of_the_platform_that_vllm_runs_on(vllm, kind, devices):
    """It may differ from the one that torch is built for; ROCm's are left to the detectors, which read the kernel's files."""
    vllm.platform.kind = kind

    assert vllm_config._devices() == devices


def test_no_driver_is_asked_beside_vllm(vllm, reported, monkeypatch):
    """The engine is forked at that time, and the child would inherit a driver's lock for good."""
    asked = []
    monkeypatch.setitem(DETECTORS, "gpu", lambda: asked.append("a driver") or iter(()))

    vllm.start()

    assert ([report["gpu_count"] for report in reported()], asked) == ([None], [])
