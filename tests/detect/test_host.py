"""The host detector finds the processor, memory, architecture and operating system."""

import os
import platform as standard
import sys

import psutil
import pytest

from otel_usage.detect import host

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz
stepping\t: 7

processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n"


@pytest.mark.parametrize(
    ("cpuinfo", "facts"),
    [
        (INTEL, {"cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7"}),
        (INTEL.replace(": 7", ": 0"), {"cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,0"}),
        (INTEL.replace("stepping", "x"), {"cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,"}),
        (ARM, {}),
        ("", {}),
        ("no colon here\n\0\n", {}),
        ("flags\t: x\n" * 8192 + INTEL, {}),
        (INTEL * 4096, {"cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7"}),
    ],
)
def test_the_first_processor_is_read_as_the_kernel_has_it(tmp_path, cpuinfo, facts):
    """A stepping of 0 counts and an unknown part is empty; a missing part is left out, as is one after the first 64 KiB."""
    (tmp_path / "cpuinfo").write_text(cpuinfo)

    assert dict(host.processor(str(tmp_path / "cpuinfo"))) == facts


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff\xfe: \x80\n")])
def test_a_system_without_readable_cpuinfo_has_no_processor(tmp_path, make):
    """The file may be missing, a directory or no text: there are no facts and no error."""
    make(tmp_path / "cpuinfo")

    assert dict(host.processor(str(tmp_path / "cpuinfo"))) == {}


def test_this_machine_is_what_the_standard_library_and_psutil_say():
    """The standard library gives the count, architecture and platform, and psutil the memory."""
    found = dict(host.detect())

    assert {key: found[key] for key in ("num_cpu", "architecture", "platform", "total_memory")} == {
        "num_cpu": os.cpu_count(),
        "architecture": standard.machine(),
        "platform": standard.platform(),
        "total_memory": psutil.virtual_memory().total,
    }


@pytest.mark.parametrize("release", ["5.15.0 custom", "5.15.0/x", "5.15.0--x", "5.15.0-unknown", "5.15.0(x)"])
def test_a_kernel_whose_name_would_be_changed_is_left_to_the_standard_library(monkeypatch, release):
    """The standard library answers wherever a short cut could answer differently."""
    system = os.uname()
    monkeypatch.setattr(host.os, "uname", lambda: os.uname_result((system[0], system[1], release, system[3], system[4])))
    monkeypatch.setattr(standard, "platform", lambda: "asked")

    assert host.platform() == "asked"


@pytest.mark.parametrize("answer", ["", "musl", ValueError, OSError])
def test_another_c_library_is_left_to_the_standard_library(monkeypatch, answer):
    """The standard library answers where the C library does not name itself."""

    def confstr(_):
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr(host.os, "confstr", confstr)
    monkeypatch.setattr(standard, "platform", lambda: "asked")

    assert host.platform() == "asked"


def test_another_system_is_left_to_the_standard_library(monkeypatch):
    """On macOS and Windows the standard library gives the architecture and the platform."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(host.os, "uname")
    monkeypatch.setattr(standard, "platform", lambda: "Windows-10-10.0.19045-SP0")
    monkeypatch.setattr(standard, "machine", lambda: "AMD64")

    assert (host.machine(), host.platform()) == ("AMD64", "Windows-10-10.0.19045-SP0")


def test_nothing_is_forked(run_python):
    """`platform.platform()` would start `uname -p`; the detector starts no process."""
    done = run_python("""
        import sys
        def hook(event, arguments):
            if event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"):
                print(event, arguments)
        sys.addaudithook(hook)
        from otel_usage.detect.host import detect
        print(len(dict(detect())), flush=True)
        import os
        os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ), 0)  # so that the hook is seen to work
    """)
    found, hook = done.stdout.splitlines()

    assert (found, hook.partition(" ")[0], done.stderr) == (str(len(dict(host.detect()))), "os.posix_spawn", "")
