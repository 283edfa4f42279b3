"""Every test has a private world: an empty home, no settings, and only this machine to connect to."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import hypothesis
import pytest
from receiver import GrpcReceiver, HttpReceiver

from otel_usage import consent, reporter
from otel_usage.run.run import Run
from otel_usage.system import shutdown

SUPPORT = Path(__file__).parent / "support"
LOOPBACK = ("127.", "::1", "localhost")
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START", "COV_CORE_DATAFILE")


# Each run has the same examples, however slow the machine is; `make soak` has far more.
hypothesis.settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.register_profile("soak", hypothesis.settings.get_profile("same"), max_examples=100_000)


def pytest_addoption(parser):
    """Have `make soak` choose the sizes."""
    parser.addoption("--soak", action="store_true", help="the larger sizes, for tests that are marked so")


def pytest_configure(config):
    """Have hypothesis follow."""
    hypothesis.settings.load_profile("soak" if config.getoption("--soak") else "same")


@pytest.fixture
def size(request):
    """Choose between the size for every run and the size for `make soak`."""
    soaks = request.config.getoption("--soak")
    return lambda ci, soak: soak if soaks else ci


def _refuse_the_world(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not str(arguments[1][0]).startswith(LOOPBACK):
        message = f"a test tried to reach {arguments[1]}"
        raise RuntimeError(message)


sys.addaudithook(_refuse_the_world)
# A process in the background ignores interrupts and passes that on to the children that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _start_measured(function, arguments, start=_thread.start_new_thread):
    """Start a thread that coverage sees: coverage only hooks into the threads of `threading`."""

    def run():
        for _ in range(1000):
            with contextlib.suppress(RuntimeError):  # Python refuses while another thread sets its own
                sys.settrace(threading.gettrace())
                break
        function(*arguments)

    return start(run, ())


if threading.gettrace() is not None:
    _thread.start_new_thread = _start_measured


def _left_at_home():
    """Return every file in the real home that a test could leave there."""
    directories = [Path.home() / ".config" / app for app in ("vllm", "myengine")]
    return {path: path.stat().st_mtime_ns for directory in directories for path in directory.rglob("*")}


BEFORE = _left_at_home()


def pytest_sessionfinish(session, exitstatus):
    """Fail a run that skipped a test for want of a part, or that left a file in the real home."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # this is a parallel worker: the process that started it checks all of them
        return
    left = [str(path) for path, changed in _left_at_home().items() if BEFORE.get(path) != changed]
    if left:
        reporter.write_line(f"left in the real home: {', '.join(left)}", red=True)
    if exitstatus == 0 and (left or reporter.stats.get("skipped")):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty HOME, an environment without other settings, and an empty /etc."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(consent, "SYSTEM_DIRECTORY", str(tmp_path / "etc"))
    monkeypatch.setattr(reporter, "captured", {})
    monkeypatch.setattr(shutdown.Shutdown, "begun", False)
    runs = []
    monkeypatch.setattr(reporter, "Run", lambda *arguments: runs.append(Run(*arguments)) or runs[-1])
    yield folder
    for run in runs:
        atexit.unregister(run.end)  # it would write into the real home
        run._worker.stop()
    end = time.monotonic() + 10
    while any(run._worker._alive for run in runs) and time.monotonic() < end:
        time.sleep(0.001)  # its last writes belong into this test's home


@pytest.fixture
def lines(home):
    """Read the local file of an app line by line; each line must be an object."""

    def read(app="myengine"):
        path = home / ".config" / app / "usage_stats.json"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture
def environ(monkeypatch):
    """Set the given environment variables."""

    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.fixture
def receiver():
    """A real OTLP/HTTP receiver on loopback."""
    server = HttpReceiver()
    yield server
    server.close()


@pytest.fixture
def grpc_receiver():
    """A real OTLP/gRPC receiver on loopback."""
    server = GrpcReceiver()
    yield server
    server.close()


@pytest.fixture
def made_up_app(tmp_path, monkeypatch):
    """The made-up app, installed like a package for this process and its children."""
    info = tmp_path / "site" / "myengine-1.2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: myengine\nVersion: 1.2.0\n")
    (info / "entry_points.txt").write_text("[otel_usage.apps]\nmyengine = myengine_app:APP\n")
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(info.parent), str(SUPPORT)]))
    from myengine_app import APP

    return APP


@pytest.fixture
def run_python(tmp_path):
    """Run Python code in a process of its own, and return the process when it has ended."""

    def run(code, *arguments, **environment):
        return subprocess.run(
            [sys.executable, *arguments, "-c", textwrap.dedent(code)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )

    return run


@pytest.fixture
def start():
    """Start programs that end with the test, whatever its outcome."""
    with contextlib.ExitStack() as stack:

        def started(program):
            stack.callback(lambda: program.process and program.kill())
            return program.start()

        yield started
