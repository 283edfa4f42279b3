"""The facts of one configuration of vLLM, as vLLM's own code for usage states them."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import ContextVar
    from typing import Any


def facts_of(config: object, context: object, told: ContextVar[list[dict[str, Any]] | None]) -> dict[str, Any] | None:
    """Return what vLLM's reporter would say of a configuration; None where vLLM itself was told to say nothing.

    told: the list that the reporter, which is replaced, appends the arguments of its call to.
    Raises what vLLM's code raises where it has changed too much.
    """
    from vllm.v1.utils import report_usage_stats  # noqa: PLC0415 -- only where vLLM is

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
    found: dict[str, Any] = json.loads(json.dumps(facts))  # an enum, say, becomes the string that vLLM sends
    return found


def _variables() -> str:
    from vllm import envs  # noqa: PLC0415 -- only where vLLM is
    from vllm.usage import usage_lib  # noqa: PLC0415 -- only where vLLM is

    return json.dumps({name: getattr(envs, name) for name in usage_lib._USAGE_ENV_VARS_TO_COLLECT})  # noqa: SLF001


def _devices() -> dict[str, Any]:
    """Return what vLLM knows of its devices; a None keeps the detectors from finding what vLLM does not use.

    Only ROCm's are left to them. A GPU's memory is what vLLM's platform is told by the driver, a little more than what
    its worker reports, which torch would have to make a context for; the first process must not have one.
    """
    import torch  # noqa: PLC0415 -- vLLM's; it is loaded where vLLM is
    from vllm.platforms import current_platform as platform  # noqa: PLC0415 -- only where vLLM is

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
    """Return what vLLM's reporter asks of tpu_inference, which makes the TPU platform."""
    from vllm.usage.usage_lib import UsageMessage  # noqa: PLC0415 -- only where vLLM is

    message = UsageMessage()
    message._report_tpu_inference_usage()  # noqa: SLF001 -- it catches what goes wrong
    return {key: vars(message)[key] for key in ("cuda_runtime", "gpu_count", "gpu_type", "gpu_memory_per_device")}
