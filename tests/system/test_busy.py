"""The host's fork waits for busy threads of ours, and interpreter shutdown waits until they are gone."""

import os
import threading
import time

import pytest

from otel_usage.system import busy, threads
from otel_usage.system.busy import Busy, wait_until_idle
from otel_usage.system.shutdown import Shutdown
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
def test_a_child_that_is_forked_while_a_report_is_sent_can_import_what_sending_imports(run_python, lines, module):
    """A child forked during an import would inherit the module's lock from a thread that it does not have, and would hang."""
    done = run_python(FORKS.format(module=module), "-W", "ignore::DeprecationWarning")  # Python 3.12 and newer warn a host with threads when it forks

    assert (done.stdout, done.stderr) == ("[0, 0, 0]\nFalse\n", "")
    assert [line["num_cpu"] for line in lines()] == [os.cpu_count()]


def test_a_fork_waits_once_for_a_thread_that_hangs_and_again_for_others():
    """After one wait no fork waits for the hanging thread again; every fork lets the threads go on."""
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


@pytest.mark.parametrize(("left", "waited"), [(3, 3), (10**6, 125)], ids=["soon", "never"])
def test_shutdown_waits_for_a_thread_that_was_started_and_has_not_begun(monkeypatch, left, waited):
    """It waits at most 0.25 s: finalization frees state that such a thread uses before its first line."""
    pauses, token = [], object()
    busy.busy_threads()  # its first call in a process empties the sets

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == left:
            Busy.beginning.discard(token)

    monkeypatch.setattr(busy, "pause", pause)
    monkeypatch.setattr(Busy, "beginning", {token})
    monkeypatch.setattr(Busy, "ended", set())
    monkeypatch.setattr(Busy, "threads", set())
    wait_until_idle(125)

    assert pauses == [busy.PAUSE] * waited


@pytest.mark.parametrize(("left", "waited"), [(3, 3), (10**6, 125)], ids=["soon", "never"])
def test_shutdown_waits_for_a_thread_that_has_run_its_last_line_until_the_system_has_it_no_more(monkeypatch, left, waited):
    """It waits at most 0.25 s: finalization frees state that such a thread uses after its last line."""
    pauses = []
    busy.busy_threads()  # its first call in a process empties the sets
    monkeypatch.setattr(busy, "pause", pauses.append)
    monkeypatch.setattr(busy, "_is_there", lambda thread: thread == 7 and len(pauses) < left)
    monkeypatch.setattr(Busy, "ended", {7, 8})
    monkeypatch.setattr(Busy, "beginning", set())
    monkeypatch.setattr(Busy, "threads", set())
    wait_until_idle(125)

    assert pauses == [busy.PAUSE] * waited


def test_a_started_thread_counts_as_beginning_until_it_runs(monkeypatch):
    """It is counted before it is started, and no longer where it can't be started."""
    monkeypatch.setattr(Busy, "beginning", set())
    noted, over = [], threading.Event()
    monkeypatch.setattr(threads._thread, "start_new_thread", lambda *_: noted.append(len(Busy.beginning)))
    start(over.set)
    monkeypatch.setattr(threads._thread, "start_new_thread", lambda *_: (_ for _ in ()).throw(RuntimeError("no more threads")))
    with pytest.raises(RuntimeError):
        start(over.set)
    before = len(Busy.beginning)
    monkeypatch.undo()
    start(over.set)

    assert over.wait(5)
    assert (noted, before, Busy.beginning) == ([1], 1, set())


def test_a_thread_that_is_through_while_the_process_ends_is_blocked(monkeypatch):
    """It must not end during interpreter finalization; a thread that ends before that is forgotten."""
    ids = []
    for begun in (False, True):
        monkeypatch.setattr(Shutdown, "begun", begun)
        monkeypatch.setattr(Shutdown, "waiting", int(begun))
        start(lambda: ids.append(threading.get_native_id()), needed=True)
        end = time.monotonic() + 5
        while (len(ids) < 1 + begun or Busy.started) and time.monotonic() < end:
            time.sleep(0.001)
    time.sleep(0.05)

    assert {*ids} & {int(thread) for thread in os.listdir("/proc/self/task")} == {ids[1]}
    assert ids[1] not in Busy.ended


def test_threads_that_wait_for_the_network_hold_up_no_shutdown(monkeypatch):
    """A thread that waits is not busy, and it stops when its wait ends."""
    monkeypatch.setattr(Busy, "beginning", set())
    monkeypatch.setattr(Busy, "ended", set())
    monkeypatch.setattr(Busy, "threads", set())
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
