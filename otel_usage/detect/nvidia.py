"""NVIDIA's GPUs, by the management library (NVML) that comes with their driver."""

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
    """Return the GPUs that CUDA would see, to be closed after use, or None where no driver is installed or loaded.

    Raises pynvml.NVMLError where the driver is there and answers with an error.
    """
    if not _library_loads(environ):
        return None
    import pynvml  # noqa: PLC0415 -- 36 ms, for those with a driver alone

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
    """The visible devices; each question may raise pynvml.NVMLError.

    nvml: the initialised pynvml. environ: where CUDA_VISIBLE_DEVICES is looked up.
    """

    def __init__(self, nvml: ModuleType, environ: Mapping[str, str]) -> None:
        self._nvml = nvml
        self.count, self._first = cuda.devices(nvml, environ.get("CUDA_VISIBLE_DEVICES"))

    def name(self) -> str | None:
        """Return the first device's product name, None where there is none."""
        return None if self._first is None else str(self._nvml.nvmlDeviceGetName(self._first))

    def memory(self) -> int | None:
        """Return NVML's total of the first device's memory, in bytes; None where it has none of its own."""
        if self._first is None:
            return None
        try:
            return int(self._nvml.nvmlDeviceGetMemoryInfo(self._first).total)
        except self._nvml.NVMLError_NotSupported:  # it shares the processor's, as GB10 does: no fault
            return None

    def close(self) -> None:
        """Shut NVML down as often as it was initialised; it counts, so the host's own use goes on."""
        self._nvml.nvmlShutdown()


def _library_loads(environ: Mapping[str, str]) -> bool:
    import ctypes  # noqa: PLC0415 -- 4 ms, to save the 36 of pynvml on most machines

    for path in _libraries(environ):
        try:
            ctypes.CDLL(path)
        except OSError:
            continue
        return True
    return False


def _libraries(environ: Mapping[str, str]) -> list[str]:
    """Return the paths from which pynvml loads the driver's library; there is none for macOS."""
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
