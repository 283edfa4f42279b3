"""The host's forks wait for threads of ours that are busy, and interpreter shutdown until they are gone."""

import os
import threading
import time

import pytest

from otel_usage.system import busy
from otel_usage.system.busy import Busy, wait_until_idle
from otel_usage.system.threads import start

FORKS = """
import os, signal, time
from otel_usage import UsageReporter
usage = UsageReporter("myengine", endpoint="http://127.0.0.1:9", version="1")
usage.report()
children = []
for _ in range(3):
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        import {module}
        os._exit(0)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children], flush=True)
print(usage.flush(20), flush=True)
"""


@pytest.mark.parametrize("module", ["opentelemetry.sdk.trace", "logging.handlers"])
def test_child_that_is_forked_while_a_report_is_sent_can_import_what_sending_imports(run_python, lines, module):
    """A module that a thread of ours is importing is locked in the child by a thread that is not there: it would hang."""
    done = run_python(FORKS.format(module=module), "-W", "ignore::DeprecationWarning")  # Python 3.12 and newer warn each host that forks

    assert (done.stdout, done.stderr) == ("[0, 0, 0]\nFalse\n", "")
    assert [line["num_cpu"] for line in lines()] == [os.cpu_count()]


def test_fork_waits_for_a_thread_that_hangs_once_and_for_others_again():
    """The next fork does not wait for it, and threads go on after each."""
    begun, hangs, over = threading.Event(), threading.Event(), threading.Event()

    def hang():
        with Busy():
            begun.set()
            hangs.wait(30)
        over.set()

    start(hang)
    assert begun.wait(5)
    seconds = []
    for _ in range(2):
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        seconds.append(time.monotonic() - begin)
    hangs.set()

    assert over.wait(5)
    assert seconds[0] > 4.9
    assert seconds[1] < 4.9
    assert Busy.hung == set()


def test_shutdown_waits_until_a_thread_that_is_through_is_gone(monkeypatch):
    """A thread that ends is counted until the interpreter has freed its state, a few milliseconds after its last line."""
    counts, pauses = iter([3, 2, 1, 0]), []
    monkeypatch.setattr(busy._thread, "_count", lambda: next(counts) + busy._remaining())
    monkeypatch.setattr(busy, "pause", pauses.append)
    wait_until_idle(125)

    assert pauses == [busy.PAUSE] * 3


def test_shutdown_waits_20_ms_for_threads_that_the_host_started_past_threading(monkeypatch):
    """They can't be told from ours."""
    pauses = []
    monkeypatch.setattr(busy._thread, "_count", lambda: 1 + busy._remaining())
    monkeypatch.setattr(busy, "pause", pauses.append)
    wait_until_idle(125)

    assert sum(pauses) == pytest.approx(0.02)


def test_threads_that_wait_for_the_network_hold_up_no_shutdown():
    """They are at rest, and stop when they come back."""
    begun, over = threading.Event(), threading.Event()

    def wait():
        begun.set()
        over.wait(30)

    start(wait)
    assert begun.wait(5)
    begin = time.monotonic()
    wait_until_idle(125)
    took = time.monotonic() - begin
    over.set()

    assert took < 0.25
