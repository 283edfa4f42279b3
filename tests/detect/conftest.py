"""A stand-in for NVIDIA's driver, which the real nvidia-ml-py calls, and a made-up /sys with AMD's GPUs."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from otel_usage.detect import gpu

SOURCE = Path(__file__).with_name("nvml_stand_in.c")
LIBRARY = "libnvidia-ml.so.1"


class StandIn:
    """The driver of this process until the test ends."""

    def __init__(self, library, calls, monkeypatch):
        self._library, self._calls, self._monkeypatch = library, calls, monkeypatch

    def has(self, *devices, **settings):
        """Describe the machine: one line for each device, and the settings that the head of the C file explains."""
        self._monkeypatch.setenv("STAND_IN_DEVICES", "\n".join(devices))
        for name, value in settings.items():
            self._monkeypatch.setenv(f"STAND_IN_{name.upper()}", value)

    @property
    def initialised(self):
        """The number of initialisations that were not shut down again."""
        return self._library.stand_in_initialised()

    @property
    def calls(self):
        """The names of the called functions, in order."""
        return self._calls.read_text().split()


class Sysfs:
    """A made-up /sys."""

    def __init__(self, root):
        self.root = root

    def write(self, name, text):
        """Write a file as the kernel does, with a newline at its end."""
        path = Path(self.root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def node(self, number, banks=(), **properties):
        """Write a node of the compute driver with the heap type and the bytes of each memory bank."""
        directory = f"class/kfd/kfd/topology/nodes/{number}"
        self.write(f"{directory}/properties", "\n".join(f"{name} {value}" for name, value in properties.items()))
        for index, (heap, size) in enumerate(banks):
            self.write(f"{directory}/mem_banks/{index}/properties", f"heap_type {heap}\nsize_in_bytes {size}\nflags 0")

    def adapter(self, minor, **files):
        """Write the files of a display adapter, which is known by the number of its render node."""
        for name, text in files.items():
            self.write(f"class/drm/renderD{minor}/device/{name}", text)


@pytest.fixture(scope="session")
def nvml_directory(tmp_path_factory):
    """The directory of the compiled stand-in, as LD_LIBRARY_PATH has it."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    directory = tmp_path_factory.mktemp("nvml")
    options = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run(["cc", *options, SOURCE, "-o", directory / LIBRARY], check=True)
    return directory


@pytest.fixture
def nvml(nvml_directory, tmp_path, monkeypatch):
    """The stand-in in this process, where the loader finds it by its name; there is no driver until the test describes one."""
    import pynvml

    library = ctypes.CDLL(str(nvml_directory / LIBRARY))
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("STAND_IN_CALLS", str(tmp_path / "calls"))
    return StandIn(library, tmp_path / "calls", monkeypatch)


@pytest.fixture
def sysfs(tmp_path):
    """A made-up /sys, empty at first."""
    return Sysfs(str(tmp_path / "sys"))


@pytest.fixture
def find(sysfs):
    """Run the detector to its end; return the facts, and the exception that ended it or None."""

    def run(**environ):
        facts = {}
        try:
            for key, value in gpu.detect(environ=environ, sysfs=sysfs.root):
                facts[key] = value  # noqa: PERF403 -- what was found before an exception is wanted
        except Exception as error:  # noqa: BLE001 -- which one it is, the test says
            return facts, error
        return facts, None

    return run
