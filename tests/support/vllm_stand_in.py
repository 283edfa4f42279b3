"""A vLLM of a recorded shape takes the place of the real one: it has what the plugin replaces or calls, and no engine."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace

SHAPES = {path.stem: json.loads(path.read_text()) for path in
          sorted((Path(__file__).parents[1] / "integrations" / "shapes").glob("*.json"))}  # fmt: skip
FACTS = {
    "model_architecture": "OPTForCausalLM", "dtype": "torch.float16", "block_size": 16, "gpu_memory_utilization": 0.92,
    "enable_lora": False, "tensor_parallel_size": 2, "data_parallel_size": 1,
}  # fmt: skip


class Config:
    """A VllmConfig."""

    def __init__(self, **parallel):
        self.parallel_config = SimpleNamespace(
            **{"data_parallel_rank": 0, "node_rank": 0, "distributed_executor_backend": "mp", **parallel}
        )


class Platform:
    """vLLM's platform: by default the CPU."""

    kind = "cpu"

    def is_cuda(self):
        return self.kind == "cuda"

    def is_rocm(self):
        return self.kind == "rocm"

    def is_xpu(self):
        return self.kind == "xpu"

    def is_tpu(self):
        return self.kind == "tpu"

    def device_count(self):
        return 4

    def get_device_name(self):
        return "the first device"

    def get_device_total_memory(self):
        return 2**36


class StandIn:
    """The modules. `own`: what vLLM's reporter had to report. `written`, `sent`: what it did. `facts`: those of a configuration."""

    def __init__(self, shape, put):
        self.own, self.runtime, self.enabled, self.asked, self.platform = [], {}, True, 0, Platform()
        self.written, self.sent = [], []
        self.facts = {key: FACTS.get(key) for key in shape["facts"]}
        self.architecture = FACTS["model_architecture"]
        self.Context = Enum("UsageContext", {name: name for name in shape["contexts"]}, type=str)
        self.making = lambda: None
        usage = self._usage(shape["variables"])
        names = {
            "vllm": {"__version__": shape["version"], "envs": self._module("vllm.envs", dict.fromkeys(shape["variables"]))},
            "vllm.usage": {"usage_lib": usage},
            "vllm.usage.usage_lib": vars(usage),
            "vllm.platforms": {"current_platform": self.platform},
            "vllm.engine.arg_utils": {"EngineArgs": self._engine_args()},
            "vllm.v1.executor.abstract": {"Executor": self._executor()},
            "vllm.v1.utils": {"report_usage_stats": self.report_usage_stats},
            "torch": {"version": SimpleNamespace(cuda="12.8", xpu="20250101", hip=None)},
        }
        self.modules = {name: put(name, self._module(name, values)) for name, values in names.items()}
        for name in ("vllm.v1", "vllm.v1.executor", "vllm.engine"):
            put(name, ModuleType(name))
        self.usage = self.modules["vllm.usage.usage_lib"]
        self.EngineArgs = self.modules["vllm.engine.arg_utils"].EngineArgs
        self.Executor = self.modules["vllm.v1.executor.abstract"].Executor

    @staticmethod
    def _module(name, values):
        module = ModuleType(name)
        module.__dict__.update({key: value for key, value in values.items() if key != "__name__"})
        return module

    def _usage(self, variables):
        stand_in = self

        class UsageMessage:
            gpu_count = gpu_type = gpu_memory_per_device = cuda_runtime = None

            def report_usage(self, model_architecture, usage_context, extra_kvs=None):
                stand_in.own.append((model_architecture, usage_context, extra_kvs))

            def _write_to_file(self, data):
                stand_in.written.append(data)

            def _send_to_server(self, data):
                stand_in.sent.append(data)

            def _report_tpu_inference_usage(self):
                self.gpu_count, self.gpu_type, self.gpu_memory_per_device = 8, "v6e", 2**35
                self.cuda_runtime = "tpu_inference"

        def set_runtime_usage_data(key, value):
            stand_in.runtime[key] = value

        return self._module("vllm.usage.usage_lib", {
            "UsageMessage": UsageMessage, "set_runtime_usage_data": set_runtime_usage_data,
            "_USAGE_ENV_VARS_TO_COLLECT": variables, "usage_message": UsageMessage(),
        })  # fmt: skip

    def _engine_args(self):
        stand_in = self

        class EngineArgs:
            def create_engine_config(self, usage_context=None, headless=False):  # noqa: FBT002 -- vLLM's
                stand_in.making()
                return Config()

        return EngineArgs

    def _executor(self):
        class Executor:
            @staticmethod
            def get_class(vllm_config):
                return "the executor"

        return Executor

    def report_usage_stats(self, vllm_config, usage_context=None):
        """Do what vLLM's function does: pass the facts of a configuration to the reporter."""
        self.asked += 1
        if self.enabled:
            self.usage.usage_message.report_usage(self.architecture, usage_context, extra_kvs=self.facts)

    def start(self, context=None, *, config=None, **named):
        """Start an engine as vLLM's first process does, and return its configuration."""
        made = self.EngineArgs().create_engine_config(context, **named)
        made.parallel_config.__dict__.update(config or {})
        assert self.Executor.get_class(made) == "the executor"
        return made

    def beat(self):
        """Do what vLLM's own reporter does every ten minutes, and return what it wrote and sent."""
        for name in ("_write_to_file", "_send_to_server"):
            getattr(self.usage.usage_message, name)({"uuid": "own"})
        return self.written, self.sent

    def work(self):
        """Do what vLLM's worker for GPUs does, and return what its own reporter had to report."""
        self.report_usage_stats(Config(), self.Context.ENGINE_CONTEXT)
        return self.own
