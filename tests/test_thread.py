"""Threads of ours begin only where that harms no host."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from otel_usage.thread import Ending, start


def began(*, needed):
    """Start a thread; tell whether it ran."""
    over = threading.Event()
    start(over.set, needed=needed)
    return over.wait(5)


def test_thread_starts_while_the_program_runs():
    """Needed at the end or not."""
    assert began(needed=False)
    assert began(needed=True)


def test_only_what_an_exit_waits_for_starts_while_it_waits_and_nothing_after():
    """A thread that begins while the interpreter frees its state can end the process by a fault."""
    with Ending():
        assert began(needed=True)
        with pytest.raises(RuntimeError, match="about to end"):
            start(print)

    with pytest.raises(RuntimeError, match="about to end"):
        start(print, needed=True)


def test_exit_handler_of_the_host_starts_none(run_python):
    """Whether or not a report was made before; a thread of the host that outlives the main one still does."""
    done = run_python("""
        import atexit, threading, time
        from otel_usage.thread import start
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


END_AT = """
import sys, time
from otel_usage import UsageReporter
UsageReporter("myengine", heartbeat=0).report()
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.slow
def test_process_ends_well_at_whatever_moment_of_a_report_it_ends(home):
    """While it detects, writes, loads OpenTelemetry, or has nobody to send to; freed memory is overwritten here."""
    environment = {"HOME": str(home), "PYTHONDEVMODE": "1", "OTEL_USAGE_EXPORTER": "otlp",
                   "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}  # fmt: skip

    def ended(moment):
        command = [sys.executable, "-c", END_AT, str(moment)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    with ThreadPoolExecutor(6) as several:
        runs = list(several.map(ended, (number / 300 for number in range(120))))

    assert {(run.returncode, run.stdout, run.stderr) for run in runs} == {(0, "", "")}
