"""The facts of one vLLM configuration, from vLLM's own code for usage statistics."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import ContextVar
    from typing import Any


def facts_of(config: object, context: object, told: ContextVar[list[dict[str, Any]] | None]) -> dict[str, Any] | None:
    """Return what vLLM's own reporter would report about a configuration.

    Args:
        config: The VllmConfig.
        context: vLLM's UsageContext.
        told: While it holds a list, the plugin's replacement of vLLM's reporter appends the arguments of each call to
            that list, and reports nothing.

    Returns:
        The facts by key; None if vLLM itself would not report.

    Raises:
        Exception: Anything that vLLM's code raises, for instance if it has changed too much.
    """
    from vllm.v1.utils import report_usage_stats  # only where vLLM is

    calls: list[dict[str, Any]] = []
    token = told.set(calls)
    try:
        report_usage_stats(config, context)
    finally:
        told.reset(token)
    if not calls:
        return None
    facts = {
        **_devices(),
        "env_var_json": _variables(),
        "model_architecture": calls[0]["model_architecture"],
        **(calls[0].get("extra_kvs") or {}),
    }
    found: dict[str, Any] = json.loads(json.dumps(facts))  # as vLLM sends it: an enum, for instance, becomes a string
    return found


def _variables() -> str:
    from vllm import envs  # only where vLLM is
    from vllm.usage import usage_lib  # only where vLLM is

    return json.dumps({name: getattr(envs, name) for name in usage_lib._USAGE_ENV_VARS_TO_COLLECT})  # noqa: SLF001


def _devices() -> dict[str, Any]:
    """Return the facts about devices that vLLM knows. A None prevents the detectors from reporting unused devices.

    Only for ROCm the detectors find the GPUs. The memory of a GPU is the driver's figure, which is slightly more than
    the one that vLLM's worker reports. That one comes from torch, which would make a GPU context for it, and the first
    process must not have one.
    """
    import torch  # vLLM has imported it
    from vllm.platforms import current_platform as platform  # only where vLLM is

    runtimes = {
        "xpu_runtime": torch.version.xpu if platform.is_xpu() else None,
        "cuda_runtime": torch.version.cuda if platform.is_cuda() else None,
    }
    if platform.is_rocm():
        return runtimes
    devices = {**runtimes, **dict.fromkeys(("rocm_runtime", "gpu_count", "gpu_type", "gpu_memory_per_device"))}
    if platform.is_cuda() or platform.is_xpu():
        devices["gpu_count"] = platform.device_count()
        devices["gpu_type"] = platform.get_device_name()
        devices["gpu_memory_per_device"] = platform.get_device_total_memory()
    return {**devices, **(_tpus() if platform.is_tpu() else {})}


def _tpus() -> dict[str, Any]:
    """Return what vLLM's own reporter gets from tpu_inference, the package with vLLM's TPU platform."""
    from vllm.usage.usage_lib import UsageMessage  # only where vLLM is

    message = UsageMessage()
    message._report_tpu_inference_usage()  # noqa: SLF001 -- it catches its exceptions
    return {key: vars(message)[key] for key in ("cuda_runtime", "gpu_count", "gpu_type", "gpu_memory_per_device")}
