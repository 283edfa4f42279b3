"""The devices that CUDA would enumerate, found without asking CUDA, which would make a context.

NVML starts up an idle GPU when its handle is asked for, which can take a second for each where no persistence daemon
runs: no more handles are asked for than the answer needs.
"""

from __future__ import annotations

from otel_usage.detect import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

# Older ones enumerate one MIG instance and nothing beside it (NVIDIA's MIG User Guide, "CUDA Device Enumeration").
DRIVER_WITH_MANY_INSTANCES = 570


def devices(nvml: ModuleType, value: str | None) -> tuple[int, object | None]:
    """Return how many devices there are, and the NVML handle of the first.

    They are in NVML's order, that of the PCI addresses. CUDA puts the fastest first unless CUDA_DEVICE_ORDER says
    PCI_BUS_ID, and NVML can't tell which that is; so among unlike GPUs the first may be another one.

    nvml: the initialised pynvml. value: that of CUDA_VISIBLE_DEVICES. Raises pynvml.NVMLError.
    """
    if value is not None and value.startswith("MIG-"):
        return _summary(_named_instances(nvml, value))
    everything = range(nvml.nvmlDeviceGetCount())
    gpus = _chosen(nvml, value, everything)
    first = _handle(nvml, gpus[0]) if gpus else None
    if gpus and first is None:
        # NVML counts GPUs that a device cgroup denies this process, as Slurm's do; CUDA numbers the others from 0.
        gpus = _chosen(nvml, value, [gpu for gpu in everything if _handle(nvml, gpu) is not None])
        first = _handle(nvml, gpus[0]) if gpus else None
    # Where the first can't be partitioned (into MIG instances) the others are taken for whole as well, and left alone.
    if first is None or _partitioned(nvml, first) is None:
        return len(gpus), first
    return _summary(_with_instances(nvml, gpus))


def _summary(found: list[object]) -> tuple[int, object | None]:
    return len(found), found[0] if found else None


def _chosen(nvml: ModuleType, value: str | None, gpus: Sequence[int]) -> Sequence[int]:
    """Return those of these GPUs, by their NVML indices, that the variable leaves, in its order."""
    if value is None:
        return gpus
    if value.startswith("GPU-"):
        uuids = [_uuid(nvml, gpu) for gpu in gpus]
        found = visible.cuda(value, lambda entry: visible.by_uuid(entry, uuids))
    else:
        found = visible.cuda(value, lambda entry: visible.by_leading_number(entry, len(gpus)))
    return [gpus[index] for index in found]


def _handle(nvml: ModuleType, gpu: int) -> object | None:
    """Return the handle of a GPU, or None where this process may not use it."""
    try:
        handle: object = nvml.nvmlDeviceGetHandleByIndex(gpu)
    except nvml.NVMLError_NoPermission:
        return None
    return handle


def _uuid(nvml: ModuleType, gpu: int) -> str:
    handle = _handle(nvml, gpu)
    return "" if handle is None else str(nvml.nvmlDeviceGetUUID(handle))


def _partitioned(nvml: ModuleType, handle: object) -> bool | None:
    """Tell whether a GPU is in MIG mode; None where it has no such mode."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return None
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _with_instances(nvml: ModuleType, gpus: Sequence[int]) -> list[object]:
    """Return the devices of these GPUs; one in MIG mode counts as its instances, and without any as nothing."""
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
    """Return the first compute instance of each GPU instance: CUDA uses one of them."""
    found: dict[int, object] = {}
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except (nvml.NVMLError_NotFound, nvml.NVMLError_NoPermission):
            continue
        found.setdefault(nvml.nvmlDeviceGetGpuInstanceId(instance), instance)
    return list(found.values())


def _named_instances(nvml: ModuleType, value: str) -> list[object]:
    """Return the instances that CUDA_VISIBLE_DEVICES names, one of each GPU instance."""
    found: dict[tuple[str, int], object] = {}
    for uuid in visible.cuda(value, lambda entry: _instance_uuid(nvml, entry)):
        instance = nvml.nvmlDeviceGetHandleByUUID(uuid)
        gpu = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        found.setdefault((nvml.nvmlDeviceGetUUID(gpu), nvml.nvmlDeviceGetGpuInstanceId(instance)), instance)
    return list(found.values()) if _many_instances(nvml) else list(found.values())[:1]


def _instance_uuid(nvml: ModuleType, entry: str) -> str | None:
    """Return the UUID of the instance that an entry names, in either form: MIG-<uuid>, or MIG-GPU-<uuid>/<gi>/<ci>."""
    if not entry.startswith("MIG-"):
        return None
    try:
        return str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(entry)))
    except (nvml.NVMLError_NotFound, nvml.NVMLError_InvalidArgument, nvml.NVMLError_NoPermission):
        return None


def _many_instances(nvml: ModuleType) -> bool:
    version: str = nvml.nvmlSystemGetDriverVersion()
    return int(version.partition(".")[0]) >= DRIVER_WITH_MANY_INSTANCES
