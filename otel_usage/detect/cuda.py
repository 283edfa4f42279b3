"""The devices that CUDA would enumerate, found through NVML, since CUDA itself would make a context.

To open a handle, NVML initialises an idle GPU. Without a persistence daemon that can take a second for each GPU, so no
more handles are opened than necessary.
"""

from __future__ import annotations

from otel_usage.detect import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

# With an older driver, CUDA enumerates one MIG instance and no other device (NVIDIA's MIG User Guide, "CUDA Device
# Enumeration").
DRIVER_WITH_MANY_INSTANCES = 570


def devices(nvml: ModuleType, value: str | None) -> tuple[int, object | None]:
    """Count the devices that CUDA would enumerate.

    They are in NVML's order, which is by PCI address. CUDA puts the fastest GPU first, unless CUDA_DEVICE_ORDER is
    PCI_BUS_ID. NVML does not know which one is the fastest, so the first may be another than CUDA's if the GPUs differ.

    Args:
        nvml: The module pynvml, initialised.
        value: The value of CUDA_VISIBLE_DEVICES; None if it is unset.

    Returns:
        The number of devices, and the NVML handle of the first; None if there is no device.

    Raises:
        pynvml.NVMLError: The driver answers with an error.
    """
    if value is not None and value.startswith("MIG-"):
        return _summary(_named_instances(nvml, value))
    everything = range(nvml.nvmlDeviceGetCount())
    gpus = _chosen(nvml, value, everything)
    first = _handle(nvml, gpus[0]) if gpus else None
    if gpus and first is None:
        # NVML counts the GPUs that a device cgroup, such as Slurm's, denies this process; CUDA does not number them.
        gpus = _chosen(nvml, value, [gpu for gpu in everything if _handle(nvml, gpu) is not None])
        first = _handle(nvml, gpus[0]) if gpus else None
    # If the first GPU does not support MIG, assume that no other one does, and open no handle of it.
    if first is None or _partitioned(nvml, first) is None:
        return len(gpus), first
    return _summary(_with_instances(nvml, gpus))


def _summary(found: list[object]) -> tuple[int, object | None]:
    return len(found), found[0] if found else None


def _chosen(nvml: ModuleType, value: str | None, gpus: Sequence[int]) -> Sequence[int]:
    """Return the NVML indices of those GPUs that CUDA_VISIBLE_DEVICES makes visible, in its order."""
    if value is None:
        return gpus
    if value.startswith("GPU-"):
        uuids = [_uuid(nvml, gpu) for gpu in gpus]
        found = visible.cuda(value, lambda entry: visible.by_uuid(entry, uuids))
    else:
        found = visible.cuda(value, lambda entry: visible.by_leading_number(entry, len(gpus)))
    return [gpus[index] for index in found]


def _handle(nvml: ModuleType, gpu: int) -> object | None:
    """Return the handle of a GPU; None if this process may not use it."""
    try:
        handle: object = nvml.nvmlDeviceGetHandleByIndex(gpu)
    except nvml.NVMLError_NoPermission:
        return None
    return handle


def _uuid(nvml: ModuleType, gpu: int) -> str:
    handle = _handle(nvml, gpu)
    return "" if handle is None else str(nvml.nvmlDeviceGetUUID(handle))


def _partitioned(nvml: ModuleType, handle: object) -> bool | None:
    """Tell whether a GPU is in MIG mode; None if it does not support MIG."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return None
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _with_instances(nvml: ModuleType, gpus: Sequence[int]) -> list[object]:
    """Return the devices of these GPUs. A GPU in MIG mode is not a device itself, but each of its instances is."""
    found: list[object] = []
    for gpu in gpus:
        handle = _handle(nvml, gpu)
        if handle is None:
            continue
        if not _partitioned(nvml, handle):
            found.append(handle)
            continue
        instances = _instances(nvml, handle)
        if instances and not _many_instances(nvml):
            return instances[:1]
        found += instances
    return found


def _instances(nvml: ModuleType, handle: object) -> list[object]:
    """Return the first compute instance of each GPU instance, since CUDA enumerates only one of them."""
    found: dict[int, object] = {}
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except (nvml.NVMLError_NotFound, nvml.NVMLError_NoPermission):
            continue
        found.setdefault(nvml.nvmlDeviceGetGpuInstanceId(instance), instance)
    return list(found.values())


def _named_instances(nvml: ModuleType, value: str) -> list[object]:
    """Return the MIG instances that CUDA_VISIBLE_DEVICES names, one for each GPU instance."""
    found: dict[tuple[str, int], object] = {}
    for uuid in visible.cuda(value, lambda entry: _instance_uuid(nvml, entry)):
        instance = nvml.nvmlDeviceGetHandleByUUID(uuid)
        gpu = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        found.setdefault((nvml.nvmlDeviceGetUUID(gpu), nvml.nvmlDeviceGetGpuInstanceId(instance)), instance)
    return list(found.values()) if _many_instances(nvml) else list(found.values())[:1]


def _instance_uuid(nvml: ModuleType, entry: str) -> str | None:
    """Return the UUID of the instance that MIG-<uuid> or MIG-GPU-<uuid>/<gi>/<ci> names; None for an invalid entry."""
    if not entry.startswith("MIG-"):
        return None
    try:
        return str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(entry)))
    except (nvml.NVMLError_NotFound, nvml.NVMLError_InvalidArgument, nvml.NVMLError_NoPermission):
        return None


def _many_instances(nvml: ModuleType) -> bool:
    version: str = nvml.nvmlSystemGetDriverVersion()
    return int(version.partition(".")[0]) >= DRIVER_WITH_MANY_INSTANCES
