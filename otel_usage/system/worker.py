"""One daemon thread that runs tasks, at once or later, and is there only while there is something to do.

Started by `_thread`, which costs the caller a quarter of what `threading.Thread` does. Time is monotonic, so that no
clock that is set, and no machine that sleeps, makes a task late or early by more than that.
"""

from __future__ import annotations

import os
import threading

from otel_usage.system.busy import Busy
from otel_usage.system.clock import now
from otel_usage.system.threads import start, uncount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Task = Callable[[], None]


AT_ONCE = float("-inf")  # whatever the clock says, which a host may have set to another time


class Worker:
    """Runs tasks one after the other. on_error: told, with what a task raised; a task that raises stops nothing."""

    __slots__ = ("_alive", "_due", "_news", "_on_error", "_stopped")

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._news = threading.Condition()
        self._due: list[tuple[float, Task]] = []
        self._alive = self._stopped = False

    def soon(self, task: Task) -> None:
        """Run a task as soon as those before it are done. Raises RuntimeError where no thread can be started."""
        self._add(AT_ONCE, task)

    def later(self, seconds: float, task: Task) -> None:
        """Run a task after so many seconds; a worker that was stopped does so only for tasks without a delay.

        Raises RuntimeError where no thread can be started; the task waits for the next one then.
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
        """Forget every task that is for later."""
        with self._news:
            self._stopped = True
            time = now()
            self._due = [(due, task) for due, task in self._due if due <= time]
            self._news.notify()

    @property
    def alive(self) -> bool:
        """Whether there is a thread."""
        return self._alive

    def run_here(self) -> None:
        """Run what is due on the caller's thread, where none could be started for it."""
        with self._news:
            if self._alive:
                return
            self._alive = True
        self._run_tasks(wait=False)

    def _run(self) -> None:
        with Busy():
            leave_signals_alone()
        self._run_tasks(wait=True)

    def _run_tasks(self, *, wait: bool) -> None:
        while (task := self._next(wait=wait)) is not None:
            with Busy():
                try:
                    task()
                except Exception as error:  # noqa: BLE001 -- a thread of ours must not print a traceback
                    self._on_error(error)
                uncount()

    def _next(self, *, wait: bool) -> Task | None:
        """Return the next task that is due, and wait for it if told so; None, and no thread, where there is none."""
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


def leave_signals_alone() -> None:
    """Have this thread, and those that it starts, get no signal but those of their own faults.

    The host's reach the host's threads, and a connection that breaks (SIGPIPE) ends no host that leaves that at its
    default.
    """
    try:
        import signal  # noqa: PLC0415 -- loads `enum`, which an importing host need not pay
    except Exception:  # noqa: BLE001 -- no descriptor is left to load it by; a thread of ours must not print a traceback
        return
    if hasattr(signal, "pthread_sigmask"):
        faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)


def jitter(low: float, high: float) -> float:
    """Return a random number in between, from the system's own source: the host may have seeded `random`.

    The middle where there is no source.
    """
    try:
        drawn = os.urandom(4)
    except (OSError, NotImplementedError):
        drawn = bytes((128, 0, 0, 0))
    return low + (high - low) * int.from_bytes(drawn, "big") / 2**32
