"""The GPUs that this process may use, and the GPU runtime that it already uses.

NVIDIA's are asked of the driver's own library, AMD's are read from the kernel's files. No CUDA or HIP context is made,
and torch is never imported: only what the host has imported itself is looked at.
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
    """Yield what is known of the GPUs, each fact as soon as it is; where there is no driver, nothing.

    The type is the first visible device's product name, the memory its own, in bytes; both are None where a driver
    has no visible device. Raises what a driver answers with instead: pynvml.NVMLError, OSError.

    environ: os.environ by default. sysfs: the directory of the kernel's files.
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
    """Yield the version of the runtime that torch, where it is imported already, was built for."""
    version = _stored(sys.modules.get("torch"), "version")
    for name, key in RUNTIMES.items():
        text = _stored(version, name)
        if type(text) is str and text:
            yield key, text


def _stored(thing: object, name: str) -> object:
    """Return an attribute that is there; one that would have to be made or imported first counts as None.

    A lazy module loads itself at the first ordinary look at any attribute, even at its `__dict__`.
    """
    try:
        return object.__getattribute__(thing, "__dict__").get(name)
    except AttributeError:
        return None
