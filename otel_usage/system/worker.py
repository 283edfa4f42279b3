"""One daemon thread that runs tasks, at once or after a delay. It exists only while tasks are queued.

Delays are on the monotonic clock, so a change of the wall clock does not move a task.
"""

from __future__ import annotations

import os
import threading

from otel_usage.system.busy import Busy
from otel_usage.system.clock import now
from otel_usage.system.threads import remove_from_threading, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Task = Callable[[], None]


AT_ONCE = float("-inf")  # due at any time: a host may have replaced the clock before we were imported


class Worker:
    """Runs tasks one after the other in one daemon thread.

    Args:
        on_error: Called with each exception that a task raises. The tasks after it run all the same.
    """

    __slots__ = ("_alive", "_due", "_news", "_on_error", "_stopped")

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._news = threading.Condition()
        self._due: list[tuple[float, Task]] = []
        self._alive = self._stopped = False

    def soon(self, task: Task) -> None:
        """Queue a task that is due now.

        Raises:
            NoThreadError: No thread can be started. The task stays queued and runs when a later call starts one.
        """
        self._add(AT_ONCE, task)

    def later(self, seconds: float, task: Task) -> None:
        """Queue a task that is due after so many seconds. A stopped worker ignores it.

        Raises:
            NoThreadError: No thread can be started. The task stays queued and runs when a later call starts one.
        """
        self._add(now() + seconds, task)

    def _add(self, due: float, task: Task) -> None:
        with self._news:
            if self._stopped and due != AT_ONCE:
                return
            self._due.append((due, task))
            self._news.notify()
            if self._alive:
                return
            self._alive = True
        try:
            start(self._run, needed=True)
        except RuntimeError:
            self._alive = False
            raise

    def stop(self) -> None:
        """Drop each task that is not due yet, and take none with a delay from now on."""
        with self._news:
            self._stopped = True
            time = now()
            self._due = [(due, task) for due, task in self._due if due <= time]
            self._news.notify()

    @property
    def alive(self) -> bool:
        """Whether a thread runs tasks at the moment."""
        return self._alive

    def run_here(self) -> None:
        """Run the tasks that are due in the calling thread, unless the worker's own thread exists."""
        with self._news:
            if self._alive:
                return
            self._alive = True
        self._run_tasks(wait=False)

    def _run(self) -> None:
        with Busy():
            block_signals()
        self._run_tasks(wait=True)

    def _run_tasks(self, *, wait: bool) -> None:
        while (task := self._next(wait=wait)) is not None:
            with Busy():
                try:
                    task()
                except Exception as error:  # noqa: BLE001 -- a thread of ours must not print a traceback
                    self._on_error(error)
                remove_from_threading()

    def _next(self, *, wait: bool) -> Task | None:
        """Return the next task that is due; if none is left, record that the thread ends and return None.

        wait: whether to wait for tasks that are not due yet.
        """
        with self._news:
            while self._due:
                first = min(self._due, key=lambda item: item[0])
                left = first[0] - now()
                if left <= 0:
                    self._due.remove(first)
                    return first[1]
                if not wait:
                    break
                self._news.wait(min(left, threading.TIMEOUT_MAX))
            self._alive = False
            return None


def block_signals() -> None:
    """Block all signals in this thread and the threads that it starts, except those of a crash.

    The host's signals then reach the host's threads. SIGPIPE, from a connection that breaks, would end a host that has
    its default action.
    """
    try:
        import signal  # it loads `enum`, which costs too much for `import otel_usage`
    except Exception:  # noqa: BLE001 -- no descriptor is free to load it; a thread of ours must not print a traceback
        return
    if hasattr(signal, "pthread_sigmask"):
        faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)


def jitter(low: float, high: float) -> float:
    """Return a random number from `low` to `high`, or their middle where the system has no random source.

    It does not use `random`: a host that seeds it would give the same number to all of its processes.
    """
    try:
        drawn = os.urandom(4)
    except (OSError, NotImplementedError):
        drawn = bytes((128, 0, 0, 0))
    return low + (high - low) * int.from_bytes(drawn, "big") / 2**32
