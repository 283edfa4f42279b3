"""One daemon thread runs tasks, at once or later."""

import random
import threading
import time

import pytest

from otel_usage.system import worker as worker_module
from otel_usage.system.worker import Worker, jitter


@pytest.fixture
def errors():
    """The exceptions that tasks raise."""
    return []


def test_tasks_run_one_after_the_other_on_one_thread_that_ends(errors):
    """Tasks run in the order of their times; then the thread ends, and the next task starts another."""
    worker, done, over = Worker(errors.append), [], threading.Event()
    worker.later(0.05, lambda: done.append(("late", threading.get_ident())))
    worker.later(0.06, over.set)
    worker.soon(lambda: done.append(("soon", threading.get_ident())))
    over.wait(5)
    deadline = time.monotonic() + 5
    while worker._alive and time.monotonic() < deadline:
        time.sleep(0.001)
    again = threading.Event()
    worker.soon(again.set)

    assert [name for name, _ in done] == ["soon", "late"]
    assert len({thread for _, thread in done}) == 1
    assert again.wait(5)


def test_a_task_that_raises_stops_nothing(errors):
    """The exception is passed on, and the next task runs."""
    worker, over = Worker(errors.append), threading.Event()
    worker.soon(lambda: 1 // 0)
    worker.soon(over.set)

    assert over.wait(5)
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_a_stopped_worker_forgets_what_is_for_later(errors):
    """A task that is due still runs."""
    worker, done, over = Worker(errors.append), [], threading.Event()
    worker.later(0.05, lambda: done.append("late"))
    worker.stop()
    worker.later(0.01, lambda: done.append("later"))
    worker.soon(over.set)

    assert over.wait(5)
    time.sleep(0.1)
    assert done == []


@pytest.mark.parametrize("never", [float("inf"), 1e300, threading.TIMEOUT_MAX * 2])
def test_a_task_for_a_time_that_never_comes_stops_nothing(errors, never):
    """No lock can wait for that long, and tasks that are due still run."""
    worker, over = Worker(errors.append), threading.Event()
    worker.later(never, lambda: errors.append("never"))
    time.sleep(0.05)
    worker.soon(over.set)
    ran = over.wait(5)
    worker.stop()

    assert ran is True
    assert errors == []


def test_a_thread_that_can_not_be_started_is_told_and_the_task_waits(errors, monkeypatch):
    """The next task that is added starts a thread for both."""

    def fail(*_):
        raise RuntimeError

    worker, done, over = Worker(errors.append), [], threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", fail)
        with pytest.raises(RuntimeError):
            worker.soon(lambda: done.append("first"))
    worker.soon(over.set)

    assert over.wait(5)
    assert done == ["first"]


def test_a_task_for_now_waits_for_no_clock(errors, monkeypatch):
    """A host's test may freeze the clock in the far future while the task is added, and let it go on afterwards."""

    def fail(*_):
        raise RuntimeError

    worker, done, over = Worker(errors.append), [], threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: 1e12)
        patch.setattr(worker_module, "now", lambda: 1e12, raising=False)
        patch.setattr("_thread.start_new_thread", fail)
        with pytest.raises(RuntimeError):
            worker.soon(lambda: done.append("first"))
    worker.soon(over.set)

    assert over.wait(5)
    assert done == ["first"]


def test_what_is_due_runs_here_where_no_thread_could_be_started(errors, monkeypatch):
    """A task for later does not run; where there is a thread, the thread runs what is due."""

    def fail(*_):
        raise RuntimeError

    worker, done = Worker(errors.append), []
    monkeypatch.setattr("_thread.start_new_thread", fail)
    for add in (lambda: worker.soon(lambda: done.append(threading.get_ident())), lambda: worker.later(60, lambda: done.append("later"))):
        with pytest.raises(RuntimeError):
            add()
    worker.run_here()
    worker.run_here()

    assert (done, worker._alive, len(worker._due)) == ([threading.get_ident()], False, 1)


def test_without_a_source_of_randomness_a_wait_is_the_middle(monkeypatch):
    """The task is planned in any case."""

    def fail(_):
        raise NotImplementedError

    monkeypatch.setattr("os.urandom", fail)

    assert jitter(10, 20) == 15


def test_waits_are_spread_whatever_the_host_seeds():
    """Ten thousand processes that start together do not return together: no tenth of the time has twice its share."""
    random.seed(0)
    waits = [jitter(0.9, 1.1) for _ in range(10_000)]
    random.seed(0)
    again = [jitter(0.9, 1.1) for _ in range(10_000)]
    tenths = [sum(0.9 + n / 50 <= wait < 0.92 + n / 50 for wait in waits) for n in range(10)]

    assert 0.9 <= min(waits) < max(waits) <= 1.1
    assert waits != again
    assert max(tenths) < 2 * 1_000


@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 1e12])
def test_a_task_that_is_never_due_holds_up_no_other(seconds):
    """No lock can wait for that long: a thread that tried would end, and no task would run any more."""
    worker, over = Worker(print), threading.Event()
    worker.later(seconds, print)
    time.sleep(0.1)
    worker.soon(over.set)
    done = over.wait(5)
    worker.stop()

    assert done
