"""Interpreter shutdown decides which threads may start and how long it waits for those that run."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from otel_usage.system.shutdown import Shutdown
from otel_usage.system.threads import start


def began(*, needed):
    """Start a thread and return whether it ran."""
    over = threading.Event()
    start(over.set, needed=needed)
    return over.wait(5)


def test_while_an_exit_waits_only_threads_that_it_waits_for_start_and_none_afterwards():
    """A thread that starts while the interpreter frees its state can crash the process."""
    with Shutdown():
        assert began(needed=True)
        with pytest.raises(RuntimeError, match="about to end"):
            start(print)

    with pytest.raises(RuntimeError, match="about to end"):
        start(print, needed=True)


def test_an_exit_handler_of_the_host_starts_no_thread(run_python):
    """It starts none whether or not a report was made before; a host's thread that outlives the main thread still starts one."""
    done = run_python("""
        import atexit, threading, time
        from otel_usage.system.threads import start
        def at_exit():
            try:
                start(print, ("never",), needed=True)
            except RuntimeError as error:
                print(error)
        atexit.register(at_exit)
        def outlive():
            threading.main_thread().join()
            over = threading.Event()
            start(over.set)
            print(over.wait(5))
        threading.Thread(target=outlive).start()
    """)

    assert (done.stdout, done.stderr) == ("True\nthe interpreter is about to end\n", "")


FROZEN = """
import threading, time
def fail(*_):
    raise RuntimeError("the host's own clock")
real = time.monotonic
{before}
from otel_usage import Fact, UsageReporter, detect
{after}
detect.DETECTORS.clear()
detect.DETECTORS["host"] = lambda: iter(lambda: threading.Event().wait(8) and None, 0)
usage = UsageReporter("myengine", facts=[Fact("requests", int, on="heartbeat", why="how much a run serves")])
usage.report(context="API_SERVER")
usage.set_runtime(requests=7)
"""
CLOCKS = {
    "frozen": "time.monotonic = lambda: 100.0",
    "that fails": "time.monotonic = fail",
    "of the day that fails": "time.time = fail",
    "without a sleep": "time.sleep = lambda _: None; time.monotonic = lambda: 100.0",
    "that fails altogether": "time.monotonic = time.time = time.sleep = time.perf_counter = fail",
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_an_exit_waits_a_quarter_of_a_second_by_whatever_clock(run_python, home, clock, when):
    """The host may freeze or break its clocks; the detector here takes 8 s."""
    code = FROZEN.replace("{before}", clock if when == "before" else "").replace("{after}", clock if when == "after" else "")
    start = time.monotonic()
    done = run_python(code, OTEL_USAGE_EXPORTER="none")
    took = time.monotonic() - start
    lines = (home / ".config" / "myengine" / "usage_stats.json").read_text().splitlines()

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [json.loads(line).get("context") for line in lines][:1] == ["API_SERVER"]
    assert took < 5


def test_an_exit_handler_that_fails_prints_nothing(run_python):
    """The last heartbeat asks for the time, and the host makes that fail."""
    code = FROZEN + "usage.flush(0)\nusage.close()\ntime.time_ns = fail\n"
    done = run_python(code.replace("{before}", "").replace("{after}", "").replace("Event().wait(8)", "Event().wait(0)"))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


END_AT = """
import sys, time
from otel_usage import UsageReporter
UsageReporter("myengine", heartbeat=0).report()
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_process_ends_well_at_whatever_moment_of_a_report_it_ends(home):
    """It ends during detection, during the write, while OpenTelemetry loads, or while no server answers; freed memory is overwritten."""
    environment = {"HOME": str(home), "PYTHONDEVMODE": "1", "OTEL_USAGE_EXPORTER": "otlp",
                   "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}  # fmt: skip

    def ended(moment):
        command = [sys.executable, "-c", END_AT, str(moment)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    with ThreadPoolExecutor(6) as several:
        runs = list(several.map(ended, (number / 300 for number in range(120))))

    assert {(run.returncode, run.stdout, run.stderr) for run in runs} == {(0, "", "")}
