"""The GPU detector asks torch for its runtime, then NVIDIA's driver, then AMD's."""

import importlib.util
import sys
import types

import pytest

from otel_usage.detect import gpu

L4 = "GPU|NVIDIA L4|24152899584|GPU-11111111-aa31-4ff1-4aa9-c388d80f85f1|none"
NAVI = {"simd_count": 192, "gfx_target_version": 110000}


def torch(**version):
    """Return a module like torch, with the given `version`."""
    module = types.ModuleType("torch")
    module.version = types.ModuleType("torch.version")
    vars(module.version).update(version)
    return module


class Word(str):
    """A subclass of str."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("module", "facts"),
    [
        (torch(cuda="12.8", hip=None, xpu=None), {"cuda_runtime": "12.8"}),
        (torch(cuda=None, hip="6.4.43484-123eb5128", xpu=None), {"rocm_runtime": "6.4.43484-123eb5128"}),
        (torch(cuda=None, hip=None, xpu="20250101"), {"xpu_runtime": "20250101"}),
        (torch(cuda=None, hip=None), {}),
        (torch(cuda=12.8, hip=b"6", xpu=Word("2025")), {}),
        (torch(cuda=""), {}),
        (torch(), {}),
        (types.ModuleType("torch"), {}),
        (types.SimpleNamespace(version=types.SimpleNamespace(cuda="12.8")), {"cuda_runtime": "12.8"}),
        (types.SimpleNamespace(version="2.8.0"), {}),
        (object(), {}),
        (None, {}),
    ],
)
def test_the_runtime_is_what_an_imported_torch_says(monkeypatch, module, facts):
    """Only plain strings count; a half-initialised module, or an object that is no module, says nothing."""
    monkeypatch.setitem(sys.modules, "torch", module)

    assert dict(gpu.runtimes()) == facts


def test_without_torch_there_is_no_runtime(monkeypatch):
    """No torch is imported for it."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [])

    assert dict(gpu.runtimes()) == {}
    assert "torch" not in sys.modules


def test_a_lazy_torch_stays_unloaded(monkeypatch, tmp_path):
    """Some modules load themselves when an attribute is read; none is read."""
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was loaded')\n")
    spec = importlib.util.spec_from_file_location("torch", tmp_path / "torch.py")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "torch", module)

    assert dict(gpu.runtimes()) == {}


def test_a_torch_that_imports_at_a_look_is_not_made_to(monkeypatch):
    """The `__getattr__` of torch itself is not called."""
    module = types.ModuleType("torch")
    module.__getattr__ = lambda name: pytest.fail(f"{name} was asked for")
    monkeypatch.setitem(sys.modules, "torch", module)

    assert dict(gpu.runtimes()) == {}


def test_the_runtime_is_known_before_any_driver_is_asked(monkeypatch, nvml, find):
    """It counts even if the driver fails."""
    monkeypatch.setitem(sys.modules, "torch", torch(cuda="12.8"))
    nvml.has(L4, fail="nvmlInitWithFlags=999")
    facts, error = find()

    assert (facts, str(error)) == ({"cuda_runtime": "12.8"}, "Unknown Error")


def test_with_nvidias_driver_amds_is_not_asked(nvml, sysfs, find):
    """A workstation does not compute on its built-in AMD adapter."""
    nvml.has(L4)
    sysfs.node(1, **NAVI)

    assert find() == ({"gpu_count": 1, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 24152899584}, None)


def test_without_nvidias_driver_amds_is_asked(nvml, sysfs, find):
    """NVIDIA's library without its kernel driver does not count as a driver."""
    sysfs.node(1, [(1, 2**34)], **NAVI)

    assert find() == ({"gpu_count": 1, "gpu_type": "gfx1100", "gpu_memory_per_device": 2**34}, None)


def test_without_any_driver_nothing_is_known(nvml, find):
    """A missing driver is no failure."""
    assert find() == ({}, None)


def test_the_process_environment_is_the_default(monkeypatch, nvml):
    """CUDA reads it as well."""
    nvml.has(L4, L4, L4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")

    assert dict(gpu.detect()) == {"gpu_count": 2, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 24152899584}


def test_importing_the_detector_imports_nothing_heavy(run_python):
    """Each import waits until it is known to be needed."""
    done = run_python("""
        import sys
        before = set(sys.modules)
        import otel_usage.detect.gpu
        heavy = {"ctypes", "dataclasses", "enum", "json", "logging", "pathlib", "pynvml", "re", "subprocess", "torch", "typing"}
        print(sorted(heavy & set(sys.modules) - before))
    """)

    assert (done.stdout, done.stderr) == ("[]\n", "")
