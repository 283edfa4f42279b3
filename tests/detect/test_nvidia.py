"""The real nvidia-ml-py meets NVIDIA's driver in every state that NVML knows."""

import itertools
import json
import os
import subprocess
import sys
import time

import pynvml
import pytest

from otel_usage.detect import nvidia

L4 = "GPU|NVIDIA L4|24152899584|GPU-00000000-0000-0000-0000-00000000000{}|none"
H100 = "GPU|NVIDIA H100 80GB HBM3|85520809984|GPU-c08d91cb-e324-655c-71ba-7570956445bc|off"
T4 = "GPU|Tesla T4|16106127360|GPU-b668a901-6b19-5c0c-554c-cce49d58af0a|none"
GB10 = "GPU|NVIDIA GB10|0|GPU-2dee1e25-b3b5-007e-2b55-79f2d0f2ebe5|none"
KNOWN = {
    "nvmlInitWithFlags": {},
    "nvmlDeviceGetCount_v2": {},
    "nvmlDeviceGetName": {"gpu_count": 1},
    "nvmlDeviceGetMemoryInfo": {"gpu_count": 1, "gpu_type": "NVIDIA L4"},
}
CODES = [*sorted(value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_")), 12345]
NO_MEMORY = ("nvmlDeviceGetMemoryInfo", pynvml.NVML_ERROR_NOT_SUPPORTED)
NO_DRIVER = {pynvml.NVML_ERROR_DRIVER_NOT_LOADED, pynvml.NVML_ERROR_LIBRARY_NOT_FOUND}
NONE_VISIBLE = {"gpu_count": 0, "gpu_type": None, "gpu_memory_per_device": None}


@pytest.mark.parametrize("count", [1, 8])
def test_like_gpus_are_counted_and_the_first_described(nvml, find, count):
    """The facts are the count, the product name and NVML's total of the memory in bytes."""
    nvml.has(*(L4.format(index) for index in range(count)))

    assert find() == ({"gpu_count": count, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 24152899584}, None)


def test_a_driver_without_gpus_is_a_count_of_0(nvml, find):
    """Without a driver there is no count at all."""
    nvml.has()

    assert find() == (NONE_VISIBLE, None)


@pytest.mark.parametrize(
    ("devices", "name", "memory"),
    [((H100, T4), "NVIDIA H100 80GB HBM3", 85520809984), ((T4, H100), "Tesla T4", 16106127360)],
)
def test_of_unlike_gpus_the_first_is_described(nvml, find, devices, name, memory):
    """All of them are counted; the first one in NVML's order gives name and memory."""
    nvml.has(*devices)

    assert find() == ({"gpu_count": 2, "gpu_type": name, "gpu_memory_per_device": memory}, None)


def test_only_the_first_gpu_is_started_up(nvml, find):
    """The detector asks for one handle and shuts NVML down."""
    nvml.has(*(L4.format(index) for index in range(8)))
    find()

    assert nvml.calls == [
        "nvmlInitWithFlags", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMigMode",
        "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlShutdown",
    ]  # fmt: skip
    assert nvml.initialised == 0


def test_no_gpu_is_started_up_where_none_is_visible(nvml, find):
    """With an empty CUDA_VISIBLE_DEVICES only the count is asked for."""
    nvml.has(L4.format(0))
    find(CUDA_VISIBLE_DEVICES="")

    assert nvml.calls == ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2", "nvmlShutdown"]


@pytest.mark.parametrize(("function", "code"), [pair for pair in itertools.product(KNOWN, CODES) if pair != NO_MEMORY])
def test_an_error_ends_the_detector_after_what_was_known(nvml, find, function, code):
    """The exception names NVML's code; only an error at initialisation may mean that there is no driver."""
    nvml.has(L4.format(0), fail=f"{function}={code}")
    facts, error = find()
    raised = getattr(error, "value", None)
    no_driver = function == "nvmlInitWithFlags" and code in NO_DRIVER

    assert (facts, raised, nvml.initialised) == (KNOWN[function], None if no_driver else code, 0)


@pytest.mark.parametrize("function", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMigMode"])
def test_a_lost_gpu_is_an_error(nvml, find, function):
    """No fact is known then, and NVML is shut down."""
    nvml.has(L4.format(0), fail=f"{function}={pynvml.NVML_ERROR_GPU_IS_LOST}")
    facts, error = find()

    assert (facts, type(error), nvml.initialised) == ({}, pynvml.NVMLError_GpuIsLost, 0)


def test_a_gpu_that_shares_the_processors_memory_has_none_of_its_own(nvml, find):
    """NVML answers "not supported", which is no failure."""
    nvml.has(GB10, fail="{}={}".format(*NO_MEMORY))

    assert find() == ({"gpu_count": 1, "gpu_type": "NVIDIA GB10", "gpu_memory_per_device": None}, None)


def test_a_host_that_uses_nvml_itself_goes_on(nvml, find):
    """NVML counts its initialisations; the detector undoes only its own."""
    nvml.has(L4.format(0))
    pynvml.nvmlInit()
    find()
    left = nvml.initialised
    pynvml.nvmlShutdown()

    assert left == 1


def test_a_detector_that_is_given_up_shuts_nvml_down(nvml):
    """The closing of the generator does it."""
    from otel_usage.detect.gpu import detect

    nvml.has(L4.format(0))
    detector = detect(environ={})
    next(detector)
    before = nvml.initialised
    detector.close()

    assert (before, nvml.initialised) == (1, 0)


PRINT = """
import json
from otel_usage.detect.gpu import detect
for pair in detect():
    print(json.dumps(pair), flush=True)
"""


@pytest.mark.parametrize(
    ("function", "known"),
    [
        ("nvmlInitWithFlags", []),
        ("nvmlDeviceGetHandleByIndex_v2", []),
        ("nvmlDeviceGetName", [["gpu_count", 1]]),
        ("nvmlDeviceGetMemoryInfo", [["gpu_count", 1], ["gpu_type", "NVIDIA L4"]]),
    ],
)
def test_a_call_that_hangs_costs_what_was_not_known_before(nvml_directory, tmp_path, function, known):
    """The facts are yielded before the call is made."""
    calls = tmp_path / "calls"
    stand_in = {"STAND_IN_DEVICES": L4.format(0), "STAND_IN_HANG": function, "STAND_IN_CALLS": str(calls)}
    child = subprocess.Popen(
        [sys.executable, "-c", PRINT],
        env={**os.environ, "LD_LIBRARY_PATH": str(nvml_directory), **stand_in},
        stdout=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while time.monotonic() < until and not (calls.exists() and calls.read_text().endswith(f"{function}\n")):
        time.sleep(0.01)
    ended = child.poll()
    child.kill()
    output, _ = child.communicate()

    assert (ended, [json.loads(line) for line in output.splitlines()]) == (None, known)


@pytest.mark.parametrize(
    ("stand_in", "outcome"),
    [
        ({"STAND_IN_DEVICES": "\n".join(L4.format(index) for index in range(8))}, "[8, 'NVIDIA L4', 24152899584]"),
        ({"STAND_IN_DEVICES": L4.format(0), "STAND_IN_FAIL": "nvmlDeviceGetName=999"}, "NVMLError_Unknown"),
        ({"STAND_IN_DEVICES": L4.format(0), "STAND_IN_FAIL": "nvmlInitWithFlags=18"}, "NVMLError_LibRmVersionMismatch"),
        ({}, "[]"),
    ],
)
def test_nothing_is_printed(run_python, nvml_directory, tmp_path, stand_in, outcome):
    """A process that runs the detector prints nothing, whatever the driver answers."""
    done = run_python(
        f"""
        import pathlib
        from otel_usage.detect.gpu import detect
        try:
            outcome = str([value for _, value in detect(sysfs="/nonexistent")])
        except Exception as error:
            outcome = type(error).__name__
        pathlib.Path({str(tmp_path / "outcome")!r}).write_text(outcome)
        """,
        LD_LIBRARY_PATH=str(nvml_directory),
        **stand_in,
    )

    assert (done.stdout, done.stderr, (tmp_path / "outcome").read_text()) == ("", "", outcome)


IMPORTED = """
import sys
from otel_usage.detect.gpu import detect
try:
    outcome = dict(detect(sysfs="/nonexistent"))
except Exception as error:
    outcome = type(error).__name__
print(outcome, [name for name in ("pynvml", "torch") if name in sys.modules])
"""


def test_without_a_library_pynvml_is_not_imported(run_python):
    """Most machines have no NVIDIA driver, and are spared the import."""
    if run_python("import ctypes; ctypes.CDLL('libnvidia-ml.so.1')").returncode == 0:
        pytest.skip("this machine has a driver of NVIDIA's")

    assert run_python(IMPORTED).stdout == "{} []\n"


@pytest.mark.parametrize("content", [b"", b"no library at all\n" * 100])
def test_a_file_that_is_no_library_is_no_driver(run_python, tmp_path, content):
    """The loader refuses it, and pynvml is not imported to try again."""
    (tmp_path / "libnvidia-ml.so.1").write_bytes(content)

    assert run_python(IMPORTED, LD_LIBRARY_PATH=str(tmp_path)).stdout == "{} []\n"


def test_a_library_that_is_not_nvml_is_an_error(run_python, nvml_directory, tmp_path):
    """It lies where the driver's library does and has none of its functions."""
    options = ["-shared", "-Wl,-soname,libnvidia-ml.so.1", "-x", "c", os.devnull]
    subprocess.run(["cc", *options, "-o", tmp_path / "libnvidia-ml.so.1"], check=True)

    assert run_python(IMPORTED, LD_LIBRARY_PATH=str(tmp_path)).stdout == "NVMLError_FunctionNotFound ['pynvml']\n"


def test_torch_is_not_imported_where_there_is_a_driver(run_python, nvml_directory, tmp_path):
    """A torch that could be imported stays unloaded."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    done = run_python(IMPORTED, LD_LIBRARY_PATH=str(nvml_directory), STAND_IN_DEVICES=T4, PYTHONPATH=str(tmp_path))

    assert done.stdout == (
        "{'gpu_count': 1, 'gpu_type': 'Tesla T4', 'gpu_memory_per_device': 16106127360} ['pynvml']\n"
    )


@pytest.mark.parametrize(
    ("platform", "environ", "paths"),
    [
        ("linux", {}, ["libnvidia-ml.so.1"]),
        ("darwin", {}, []),
        ("win32", {}, ["C:/Windows/System32/nvml.dll", "C:/Program Files/NVIDIA Corporation/NVSMI/nvml.dll"]),
        ("win32", {"WINDIR": "D:/W", "ProgramFiles": "D:/P"},
         ["D:/W/System32/nvml.dll", "D:/P/NVIDIA Corporation/NVSMI/nvml.dll"]),
    ],
)  # fmt: skip
def test_the_library_is_looked_for_where_pynvml_does(monkeypatch, platform, environ, paths):
    """Linux has one name, Windows two paths and macOS none; no library loads in this test."""
    tried = []

    def refuse(path):
        tried.append(path)
        raise OSError

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("ctypes.CDLL", refuse)

    assert (nvidia.find(environ), tried) == (None, paths)
