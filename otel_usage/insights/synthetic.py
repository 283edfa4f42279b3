"""Made-up reports that look like real ones: for demonstrations, for tests, and for whoever tries the page.

They hang together: a GPU has its memory and its clouds, a model its sizes, so that the GPUs that it is split over
follow; runs grow in number, versions come and go, some machines have no GPU, and some hide what they run. Each says
that it is `synthetic`.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_usage.facts.admission import admit_value
from otel_usage.facts.builtin import GIB, HEARTBEAT, REPORT, SCOPE, SERVICE_NAME
from otel_usage.facts.fact import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute, Scalar

    Facts = dict[str, Scalar | None]

WEEKS, GROWTH = 26, 1.05
KINDS = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}


class Gpu(NamedTuple):
    """A GPU: how often it is met, its memory in GiB, how many a machine has, and in whose clouds."""

    name: str
    weight: float
    memory: int
    counts: tuple[int, ...]
    clouds: tuple[str, ...]
    trend: float = 1.0


GPUS = (
    Gpu("NVIDIA H100 80GB HBM3", 24, 80, (1, 2, 4, 8, 8, 8), ("AWS", "GCP", "AZURE", "OCI", "UNKNOWN", "UNKNOWN")),
    Gpu("NVIDIA A100-SXM4-80GB", 13, 80, (1, 2, 4, 8), ("AWS", "GCP", "AZURE", "UNKNOWN"), 0.97),
    Gpu("NVIDIA L4", 11, 24, (1, 1, 2, 4), ("GCP", "GCP", "AWS", "UNKNOWN")),
    Gpu("NVIDIA H200", 9, 141, (1, 4, 8, 8), ("AWS", "OCI", "UNKNOWN"), 1.03),
    Gpu("NVIDIA GeForce RTX 4090", 9, 24, (1, 1, 1, 2), ("UNKNOWN", "UNKNOWN", "RUNPOD")),
    Gpu("NVIDIA L40S", 8, 48, (1, 2, 4, 8), ("AWS", "RUNPOD", "UNKNOWN")),
    Gpu("NVIDIA A10G", 7, 24, (1, 1, 4), ("AWS",), 0.98),
    Gpu("AMD Instinct MI300X", 5, 192, (1, 8, 8), ("AZURE", "OCI", "UNKNOWN"), 1.02),
    Gpu("NVIDIA B200", 4, 183, (8,), ("AWS", "GCP", "UNKNOWN"), 1.05),
    Gpu("Tesla T4", 3, 16, (1, 1, 2, 4), ("GCP", "AWS", "AZURE"), 0.97),
    Gpu("NVIDIA GeForce RTX 5090", 3, 32, (1, 1, 2), ("UNKNOWN", "RUNPOD"), 1.05),
    Gpu("NVIDIA GH200 480GB", 1.5, 96, (1,), ("UNKNOWN",)),
    Gpu("Intel(R) Data Center GPU Max 1550", 1, 128, (1, 4, 8), ("UNKNOWN",)),
)
CPUS = {"AMD EPYC 9654 96-Core Processor": 5, "Intel(R) Xeon(R) Platinum 8480C": 4, "AMD EPYC 7R13 Processor": 3,
        "Intel(R) Xeon(R) CPU @ 2.20GHz": 3, "AMD Ryzen 9 7950X 16-Core Processor": 2, "Neoverse-V2": 1}  # fmt: skip
# A model's class, how often it is met, its sizes in billions of parameters, its experts, its longest context.
MODELS = (
    ("Qwen3ForCausalLM", 22, (4, 8, 14, 32), 0, 40960), ("LlamaForCausalLM", 20, (3, 8, 8, 70), 0, 131072),
    ("Qwen2ForCausalLM", 12, (7, 14, 32, 72), 0, 32768), ("GptOssForCausalLM", 9, (21, 117), 128, 131072),
    ("Qwen3MoeForCausalLM", 8, (30, 235), 128, 40960), ("Gemma3ForConditionalGeneration", 7, (4, 12, 27), 0, 131072),
    ("MistralForCausalLM", 6, (7, 24), 0, 32768), ("DeepseekV3ForCausalLM", 5, (671,), 256, 163840),
    ("Qwen2_5_VLForConditionalGeneration", 5, (7, 72), 0, 32768), ("MixtralForCausalLM", 2, (47, 141), 8, 32768),
    ("OPTForCausalLM", 1, (0.1, 1.3), 0, 2048), (OTHER, 3, (8, 32), 0, 32768),
)  # fmt: skip
QUANTIZATIONS: tuple[tuple[str | None, float, float], ...] = (
    (None, 50, 2), ("fp8", 20, 1), ("awq_marlin", 12, 0.6), ("compressed-tensors", 9, 1), ("gptq_marlin", 5, 0.6),
    ("mxfp4", 4, 0.6), ("modelopt_fp4", 2, 0.6),
)  # fmt: skip
LARGE_MEMORY = 80
KERNELS = ("5.15.0-generic", "6.8.0-generic", "6.8.0-aws", "6.8.0-gcp", "6.11.0-generic")


class Population:
    """Made-up reports of an app, the same for the same seed, number and last day."""

    def __init__(self, app: App, reports: int, seed: int, until: date) -> None:
        self.app, self.reports = app, reports
        self._chosen = random.Random(seed)  # noqa: S311 -- made up, and the same each time
        self._begin = datetime(until.year, until.month, until.day, tzinfo=timezone.utc) - timedelta(
            weeks=WEEKS, days=-1
        )
        self._encoded: dict[tuple[str, object], str] = {}

    def lines(self) -> Iterator[str]:
        """Yield the lines of a collector's file: a report each, and of those that last a heartbeat."""
        weights = [GROWTH**week for week in range(WEEKS)]
        whole = sum(weights)
        done = made = 0.0
        for week, weight in enumerate(weights):
            done += self.reports * weight / whole
            while made < round(done):
                made += 1
                yield from self._run(week)

    def _run(self, week: int) -> Iterator[str]:
        pick = self._chosen
        start = self._begin + timedelta(seconds=pick.randrange(7 * 24 * 3600) + 7 * 24 * 3600 * week)
        hour = int(start.timestamp()) // 3600 * 3600
        facts = {**self._machine(week), **self._settings(week)}
        facts |= self._model(facts)
        resource = self._resource({key: value for key, value in facts.items() if key in self.app.facts_by_key})
        context = self._chosen.choice(self.app.contexts[1:] or self.app.contexts)
        yield self._line(REPORT, hour, resource, {self._named("context"): context})
        uptime = int(min(pick.lognormvariate(9, 2), 60 * 24 * 3600)) // 60 * 60
        last = min(hour + uptime, int(self._begin.timestamp()) + WEEKS * 7 * 24 * 3600 - 3600)
        if uptime >= 600:  # noqa: PLR2004 -- the first heartbeat's time
            yield self._line(HEARTBEAT, last // 3600 * 3600, resource, {self._named("uptime"): uptime})

    def _machine(self, week: int) -> Facts:
        """Return the hardware of a machine; one in fourteen has no GPU, one in a hundred hides its GPU's name."""
        pick = self._chosen
        facts: Facts = {"cpu_type": self._one_of(CPUS), "architecture": "x86_64",
                        "platform": f"Linux-{pick.choice(KERNELS)}-x86_64-with-glibc2.35"}  # fmt: skip
        if facts["cpu_type"] == "Neoverse-V2":
            facts |= {"architecture": "aarch64", "platform": "Linux-6.8.0-generic-aarch64-with-glibc2.39"}
        if pick.random() < 1 / 14:
            return {**facts, "provider": pick.choice(("AWS", "GCP", "UNKNOWN", "UNKNOWN")),
                    "num_cpu": pick.choice((8, 16, 32, 64)), "total_memory": pick.choice((32, 64)) * GIB}  # fmt: skip
        gpu = pick.choices(GPUS, [gpu.weight * gpu.trend**week for gpu in GPUS])[0]
        count = pick.choice(gpu.counts)
        runtime = {"A": ("rocm_runtime", ("6.4", "7.0")), "I": ("xpu_runtime", ("20250101", "20250802"))}
        key, versions = runtime.get(gpu.name[0], ("cuda_runtime", ("12.8", "12.8", "12.9", "13.0")))
        return {
            **facts, "provider": pick.choice(gpu.clouds), key: pick.choice(versions), "gpu_count": count,
            "gpu_type": OTHER if pick.random() < 0.01 else gpu.name,  # noqa: PLR2004 -- one in a hundred
            "gpu_memory_per_device": gpu.memory * GIB, "num_cpu": 24 * max(count, 1),
            "total_memory": 96 * max(count, 1) * GIB,
        }  # fmt: skip

    def _settings(self, week: int) -> Facts:
        """Return a version that is in use in that week, and settings that hang on nothing."""
        pick = self._chosen
        newest = 28 + week * 6 // WEEKS
        version = f"0.{max(newest - min(int(pick.expovariate(0.9)), 6), 24)}.{pick.choice((0, 0, 0, 1))}"
        return {
            self.app.version_key: version, "source": "synthetic", "enable_prefix_caching": pick.random() < 0.93,  # noqa: PLR2004
            "enforce_eager": pick.random() < 0.11, "enable_lora": pick.random() < 0.06,  # noqa: PLR2004
            "gpu_memory_utilization": pick.choice((0.92, 0.92, 0.92, 0.9, 0.85, 0.95, 0.5)), "block_size": 16,
            "compilation_mode": pick.choice(("VLLM_COMPILE", "VLLM_COMPILE", "VLLM_COMPILE", "NONE")),
            "max_num_seqs": pick.choice((256, 256, 256, 1024, 128, 64)),
            "data_parallel_size": pick.choice((1,) * 9 + (2,)),
            "disable_custom_all_reduce": pick.random() < 0.1,  # noqa: PLR2004
            "pipeline_parallel_size": pick.choice((1,) * 19 + (2,)),
            "max_num_batched_tokens": pick.choice((8192, 8192, 2048, 16384)),
            "spec_decode_method": pick.choice((None,) * 9 + ("eagle3", "ngram")),
            "kv_connector": pick.choice((None,) * 14 + ("NixlConnector", "LMCacheConnectorV1")),
            "env_var_json": json.dumps({"VLLM_USE_TRITON_AWQ": pick.random() < 0.02,  # noqa: PLR2004
                                        "VLLM_ENABLE_V1_MULTIPROCESSING": pick.random() < 0.97}),  # noqa: PLR2004
        }  # fmt: skip

    def _model(self, machine: Facts) -> Facts:
        """Return a model that fits into the machine, and what follows from both."""
        pick = self._chosen
        count = int(machine.get("gpu_count") or 0)
        room = int(machine.get("gpu_memory_per_device") or 32 * GIB) // GIB * 0.8
        quantization, _, width = pick.choices(QUANTIZATIONS, [weight for _, weight, _ in QUANTIZATIONS])[0]
        fitting = [(name, weight, size, experts, longest) for name, weight, sizes, experts, longest in MODELS
                   for size in sizes if size * width <= room * max(count, 1)]  # fmt: skip
        if not fitting:
            fitting = [("OPTForCausalLM", 1, 0.1, 0, 2048)]
        name, _, size, experts, longest = pick.choices(fitting, [one[1] for one in fitting])[0]
        split = 1
        while split < count and (size * width > room * split or pick.random() < 0.3):  # noqa: PLR2004 -- to be faster
            split *= 2
        gpu = str(machine.get("gpu_type", ""))
        hopper = machine.get("gpu_memory_per_device", 0) and room > LARGE_MEMORY * 0.7
        return {
            "model_architecture": name, "quantization": quantization, "tensor_parallel_size": min(split, max(count, 1)),
            "dtype": "torch.bfloat16" if hopper or pick.random() < 0.7 else "torch.float16",  # noqa: PLR2004
            "kv_cache_dtype": "fp8" if hopper and pick.random() < 0.2 else "auto", "num_experts": experts,  # noqa: PLR2004
            "enable_expert_parallel": experts > 0 and pick.random() < 0.3,  # noqa: PLR2004
            "max_model_len": pick.choice((longest, longest, 32768, 8192)),
            "attention_backend": None if pick.random() < 0.7 else  # noqa: PLR2004
            "CPU_ATTN" if not count else "ROCM_AITER_FA" if gpu.startswith("AMD") else
            pick.choice(("FLASH_ATTN", "FLASHINFER")),
        }  # fmt: skip

    def _resource(self, facts: Facts) -> str:
        """Return the resource's attributes in JSON, as a collector writes them that has admitted them."""
        parts = [self._attribute(SERVICE_NAME, self.app.name)]
        parts.append(self._attribute(self._named("uuid"), self._uuid()))
        for key, value in facts.items():
            if value is not None:
                attributes, values = self.app.attributes_of[key], self.app.facts_by_key[key].split(value)
                parts += [
                    self._admitted(a, part) for a, part in zip(attributes, values, strict=True) if part is not None
                ]
        return ",".join(parts)

    def _admitted(self, attribute: Attribute, value: Scalar) -> str:
        key = attribute.name, value
        if key not in self._encoded:
            admitted, _ = admit_value(attribute, value)
            self._encoded[key] = self._attribute(attribute.name, value if admitted is None else admitted)
        return self._encoded[key]

    def _attribute(self, name: str, value: Scalar) -> str:
        given: Any = str(value) if type(value) is int else value
        return json.dumps({"key": name, "value": {KINDS[type(value)]: given}}, separators=(",", ":"))

    def _line(self, name: str, time: int, resource: str, attributes: dict[str, Any]) -> str:
        span = ",".join(self._attribute(key, value) for key, value in attributes.items())
        ids = f'"traceId":"{self._chosen.getrandbits(128):032x}","spanId":"{self._chosen.getrandbits(64):016x}"'
        return (
            f'{{"resourceSpans":[{{"resource":{{"attributes":[{resource}]}},"scopeSpans":[{{"scope":{{"name":"{SCOPE}"}},'
            f'"spans":[{{{ids},"parentSpanId":"","flags":256,"name":"{name}","kind":1,"startTimeUnixNano":"{time}000000000",'
            f'"endTimeUnixNano":"{time}000000000","attributes":[{span}],"status":{{}}}}]}}]}}]}}'
        )

    def _named(self, key: str) -> str:
        return self.app.attributes_of[key][0].name

    def _uuid(self) -> str:
        import uuid

        return str(uuid.UUID(int=self._chosen.getrandbits(128), version=4))

    def _one_of(self, weights: dict[str, int]) -> str:
        return self._chosen.choices(list(weights), list(weights.values()))[0]
