"""The hardware detector works as a resource detector in somebody else's pipeline."""

import pytest
from opentelemetry.sdk.resources import Resource

from otel_usage.standalone import detector
from otel_usage.standalone.detector import HardwareResourceDetector

FOUND = {"num_cpu": 2, "cpu_type": "AMD EPYC", "total_memory": 25276063744, "architecture": "x86_64", "provider": "AWS",
         "platform": "Linux-5.15.0-acme-x86_64-with-glibc2.35", "gpu_count": 1}  # fmt: skip


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """A machine that is the same in every run."""
    monkeypatch.setattr(detector.Detection, "facts", lambda _: FOUND)


@pytest.mark.parametrize("chosen", [None, "otel_usage", "process,otel_usage,*"])
def test_the_detector_gives_the_hardware_as_coarse_as_it_leaves(monkeypatch, chosen):
    """Its name in the variable or declarative configuration asks for it; it never gives service.*."""
    if chosen:
        monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", chosen)

    assert dict(HardwareResourceDetector().detect().attributes) == {
        "otel_usage.cpu.logical_count": 2, "host.cpu.model.name": "AMD EPYC", "otel_usage.memory.limit": 24 * 2**30,
        "host.arch": "amd64", "cloud.provider": "aws", "os.description": "Linux-5.15.0-x86_64-with-glibc2.35",
        "os.type": "linux", "otel_usage.gpu.count": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "*"), ("DO_NOT_TRACK", "1"), ("OTEL_SDK_DISABLED", "true")]
)
def test_the_detector_gives_nothing_when_off_or_named_by_a_star_only(monkeypatch, name, value):
    """A user who asks for every detector did not ask for this one."""
    monkeypatch.setenv(name, value)

    assert HardwareResourceDetector().detect() == Resource({})
