"""The GPUs that this process may use, and the GPU runtime that it uses.

NVIDIA GPUs come from the driver's own library (NVML), AMD GPUs from the kernel's files. No CUDA or HIP context is made,
and torch is not imported; the runtime's version is read if the host has imported torch itself.
"""

from __future__ import annotations

import os
import sys

from otel_usage.detect import amd, nvidia

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RUNTIMES = {"cuda": "cuda_runtime", "xpu": "xpu_runtime", "hip": "rocm_runtime"}
SYSFS = "/sys"


def detect(*, environ: Mapping[str, str] | None = None, sysfs: str = SYSFS) -> Iterator[tuple[str, str | int | None]]:
    """Yield the runtimes, then the facts about the GPUs; the latter only where there is a driver.

    Type and memory (in bytes) are those of the first visible device; None if a driver has no visible device.

    Args:
        environ: The environment variables; `os.environ` by default.
        sysfs: The directory of the kernel's files.

    Raises:
        pynvml.NVMLError: The NVIDIA driver answers with an error.
        OSError: A file of the AMD driver can't be read.
    """
    yield from runtimes()
    environ = os.environ if environ is None else environ
    gpus = nvidia.find(environ) or amd.find(environ, sysfs)
    if gpus is None:
        return
    try:
        yield "gpu_count", gpus.count
        yield "gpu_type", gpus.name()
        yield "gpu_memory_per_device", gpus.memory()
    finally:
        gpus.close()


def runtimes() -> Iterator[tuple[str, str]]:
    """Yield the version of the GPU runtime that torch was built for, if torch is already imported."""
    version = _stored(sys.modules.get("torch"), "version")
    for name, key in RUNTIMES.items():
        text = _stored(version, name)
        if type(text) is str and text:
            yield key, text


def _stored(thing: object, name: str) -> object:
    """Return an attribute of a module if it exists already, else None.

    Ordinary access to any attribute, even to `__dict__`, makes a lazy module import itself.
    """
    try:
        return object.__getattribute__(thing, "__dict__").get(name)
    except AttributeError:
        return None
