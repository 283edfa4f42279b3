"""NVIDIA GPUs, from the management library (NVML) of their driver."""

from __future__ import annotations

import os
import sys

from otel_usage.detect import cuda

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

LIBRARY = "libnvidia-ml.so.1"


def find(environ: Mapping[str, str]) -> Gpus | None:
    """Find the GPUs that CUDA would see.

    Args:
        environ: The environment variables.

    Returns:
        The GPUs, which the caller closes; None if no driver is installed or loaded.

    Raises:
        pynvml.NVMLError: The driver answers with an error.
    """
    if not _library_loads(environ):
        return None
    import pynvml  # 36 ms, only where there is a driver

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return None
    try:
        return Gpus(pynvml, environ)
    except Exception:
        pynvml.nvmlShutdown()
        raise


class Gpus:
    """The visible devices. Each method may raise pynvml.NVMLError.

    Args:
        nvml: The module pynvml, initialised.
        environ: The environment variables, with CUDA_VISIBLE_DEVICES.

    Attributes:
        count: How many devices are visible.
    """

    def __init__(self, nvml: ModuleType, environ: Mapping[str, str]) -> None:
        self._nvml = nvml
        self.count, self._first = cuda.devices(nvml, environ.get("CUDA_VISIBLE_DEVICES"))

    def name(self) -> str | None:
        """Return the product name of the first device; None if there is no device."""
        return None if self._first is None else str(self._nvml.nvmlDeviceGetName(self._first))

    def memory(self) -> int | None:
        """Return the total memory of the first device in bytes, from NVML; None if it has no memory of its own."""
        if self._first is None:
            return None
        try:
            return int(self._nvml.nvmlDeviceGetMemoryInfo(self._first).total)
        except self._nvml.NVMLError_NotSupported:  # not a failure: it shares the CPU's memory, as GB10 does
            return None

    def close(self) -> None:
        """Shut NVML down. NVML counts initialisations, so the host's own use goes on."""
        self._nvml.nvmlShutdown()


def _library_loads(environ: Mapping[str, str]) -> bool:
    import ctypes  # 4 ms; it saves the 36 ms of pynvml on most machines

    for path in _libraries(environ):
        try:
            ctypes.CDLL(path)
        except OSError:
            continue
        return True
    return False


def _libraries(environ: Mapping[str, str]) -> list[str]:
    """Return the paths from which pynvml loads the driver's library; none on macOS."""
    if sys.platform == "darwin":
        return []
    if not sys.platform.startswith("win"):
        return [LIBRARY]
    windows = environ.get("WINDIR", "C:/Windows")
    programs = environ.get("ProgramFiles", "C:/Program Files")
    return [
        os.path.join(windows, "System32/nvml.dll"),
        os.path.join(programs, "NVIDIA Corporation/NVSMI/nvml.dll"),
    ]
