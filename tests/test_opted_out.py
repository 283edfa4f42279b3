"""After an opt-out the kernel sees nothing of us: strace watches one process for each signal."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from signals import BLIND, LOCAL, OFF

from otel_usage.delivery.outbox import put

PROGRAM = """
import json, os, pwd, sys
from otel_usage import UsageReporter, consent
from otel_usage.integrations.vllm import APP
def nobody(_):
    raise KeyError
pwd.getpwuid = nobody  # the account has no home: only a process without a HOME asks
consent.SYSTEM_DIRECTORY = sys.argv[1]
if sys.argv[2:]:
    sys.modules["pytest"] = sys
for app in (UsageReporter("myengine", endpoint="http://127.0.0.1:9"), UsageReporter(APP)):
    app.report(context="API_SERVER")
    app.set_runtime()
    app.flush(5)
    app.close()
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted(loaded & {"opentelemetry", "psutil", "pynvml", "grpc", "requests", "urllib3", "http", "socket", "ssl"})))
"""
LOOKS = ("access", "faccessat", "faccessat2", "stat", "lstat", "newfstatat", "statx", "statfs", "readlink", "readlinkat",
         "getcwd", "exit", "exit_group")  # fmt: skip
CALL = re.compile(r"^\d+ +(\w+)\((.*)")
NETWORK = re.compile(r"^(socket|connect|bind|listen|accept|send|recv|execve|fork|vfork)")


@pytest.fixture
def watched(tmp_path):
    """Run the program under strace; return every act beyond reading, and the modules that it had loaded at its end."""

    def run(*arguments, **environment):
        assert shutil.which("strace"), "strace is missing: install it (Debian: apt-get install strace)"
        log = tmp_path / "strace"
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", log, "-e", "trace=%network,%process,%file",
             sys.executable, "-B", "-c", PROGRAM, str(tmp_path / "etc"), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "VLLM_USAGE_STATS_SERVER": "http://127.0.0.1:9", **environment},
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

        assert (done.returncode, done.stderr) == (0, "")
        first, *calls = [found.groups() for line in log.read_text(errors="replace").splitlines() if (found := CALL.match(line))]
        assert first[0] == "execve"
        return [f"{name}({rest}" for name, rest in calls if not _only_looks(name, rest)], json.loads(done.stdout)

    return run


def _only_looks(name, rest):
    reads = name in ("open", "openat") and "O_RDONLY" in rest and "O_CREAT" not in rest
    return name in LOOKS or reads


@pytest.mark.slow
@pytest.mark.parametrize("signal", [*OFF, *BLIND])
def test_opted_out_the_kernel_sees_nothing(watched, tmp_path, signal):
    """There is no socket, no file that is made, written or deleted, no thread and no process; no heavy module is loaded."""
    give = {**OFF, **BLIND}[signal]
    done, loaded = watched(**give(tmp_path))

    assert (done, loaded) == ([], [])


def test_opted_out_what_waits_is_unlinked_and_nothing_else_is_done(watched, tmp_path):
    """Directories are opened for reading only, and another user's file in the outbox stays."""
    directory = tmp_path / "home" / ".config" / "myengine"
    for number in range(2):
        put(str(directory), {}, collected=number, kind="report", run="r").leave()
    (directory / "usage_outbox" / "mine").touch()
    done, loaded = watched(DO_NOT_TRACK="1")

    assert (sorted({call.partition("(")[0] for call in done}), len(done), loaded) == (["unlinkat"], 2, [])
    assert [path.name for path in (directory / "usage_outbox").iterdir()] == ["mine"]


@pytest.mark.slow
@pytest.mark.parametrize("signal", [*LOCAL, "pytest"])
def test_in_local_mode_the_kernel_sees_no_socket(watched, tmp_path, signal):
    """There is no other process and no OpenTelemetry either: only the file is written."""
    environment = LOCAL[signal](tmp_path) if signal in LOCAL else {"MYENGINE_USAGE_STATS_SERVER": "https://192.0.2.1", "VLLM_USAGE_STATS_SERVER": "https://192.0.2.1"}  # fmt: skip
    done, loaded = watched(*(["running"] if signal == "pytest" else []), **environment)

    assert [call for call in done if NETWORK.match(call)] == []
    assert any("usage_stats.json" in call and "O_APPEND" in call for call in done)
    assert not set(loaded) & {"opentelemetry", "grpc", "requests", "urllib3", "http", "ssl"}


def test_the_watch_sees_what_is_done_when_nobody_opted_out(watched):
    """Files, threads, sockets and libraries show; without this, the tests above would prove nothing."""
    done, loaded = watched()
    kinds = {call.partition("(")[0] for call in done}

    assert {"openat", "socket", "connect"} <= kinds
    assert kinds & {"clone", "clone3"}
    assert {"opentelemetry", "psutil", "socket"} <= set(loaded)
