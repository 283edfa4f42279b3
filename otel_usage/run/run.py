"""One run of an app: its reports, its heartbeats, and what earlier runs could not send, all in one thread."""

from __future__ import annotations

import os
import threading

from otel_usage.delivery.pending_report import send_waiting, waiting
from otel_usage.run.heartbeat import Heartbeat
from otel_usage.system.busy import wait_until_idle
from otel_usage.system.clock import PAUSE, now
from otel_usage.system.shutdown import Shutdown
from otel_usage.system.worker import jitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_usage.delivery.gate import Gate
    from otel_usage.facts.fact import Scalar
    from otel_usage.run.job import Job
    from otel_usage.system.worker import Worker

# 0.25 s, counted in pauses, since a host may have replaced the clock.
PAUSES_FOR_LINE = 125
# What earlier runs left is sent slowly, so that many processes that start at once do not flood the server.
MOST_OF_OTHERS = 4
WAIT_FOR_OTHERS = (10.0, 600.0)


class Run:
    """Plans all tasks of a run, from its first report until the process ends.

    Args:
        interval: Seconds between two heartbeats, with a jitter of 10 %; 0 for none.
        worker: Runs the tasks.
        on_error: Called with an exception in the exit handler.

    Attributes:
        misfits: How many values did not leave, or left as `other`, since their facts do not allow them.
        runtime: The admitted heartbeat facts that the app has set.
    """

    __slots__ = ("_heartbeat", "_interval", "_jobs", "_on_error", "_process", "_worker", "misfits", "runtime")

    def __init__(self, interval: float, worker: Worker, on_error: Callable[[Exception], None]) -> None:
        self._interval, self._worker, self._on_error = interval, worker, on_error
        self._process = os.getpid()
        self._jobs: list[Job] = []
        self._heartbeat: Heartbeat | None = None
        self.misfits = 0
        self.runtime: dict[str, Scalar] = {}

    @property
    def is_new(self) -> bool:
        """Whether no job was added yet."""
        return not self._jobs

    def add(self, job: Job) -> None:
        """Run a job in the background.

        Raises:
            NoThreadError: No thread can be started. The job stays queued.
        """
        self._jobs = [*(other for other in self._jobs if not other.done), job]
        self._worker.soon(lambda: self._do(job))

    def _do(self, job: Job) -> None:
        """Run a job, and plan its next attempt."""
        before = job.misfits
        try:
            job.run(made=lambda: self._begin(job))
        finally:
            self.misfits += job.misfits - before
            job.written.set()
            job.attempted.set()
            if (pause := job.pause) is not None:
                attempts = job.attempts
                self._worker.later(pause, lambda: self._again(job, attempts))

    def _begin(self, job: Job) -> None:
        """Plan the heartbeats of the run, and when to send what earlier runs left; no attempt to send delays them."""
        if self._heartbeat is None and job.report is not None:
            self._heartbeat = Heartbeat(job.report, job.pairs, job.gate, self._interval)
            self._plan_heartbeat()
            for task in self._others()[:MOST_OF_OTHERS]:
                self._worker.later(jitter(*WAIT_FOR_OTHERS), task)

    def _again(self, job: Job, attempts: int) -> None:
        """Run a job again, unless `flush` has run it in the meantime and so planned the next attempt."""
        if job.attempts == attempts:
            self._do(job)

    def _others(self) -> list[Callable[[], None]]:
        """Return tasks that send what earlier runs left in the outbox, oldest first; none if this run sends nothing.

        The entries of this run's jobs are left out, since the jobs send them.
        """
        gate = next((job.gate for job in self._jobs if job.pairs), None)
        own = {name for job in self._jobs for name in job.waiting}
        return [] if gate is None else [_task(gate, name) for name in waiting(gate) if name not in own]

    def _plan_heartbeat(self) -> None:
        if self._interval > 0:
            self._worker.later(jitter(0.9, 1.1) * self._interval, self._beat)

    def _beat(self) -> None:
        self._plan_heartbeat()
        if self._heartbeat is not None:
            self._heartbeat.beat(self.runtime)

    def flush(self, timeout: float) -> bool:
        """Send now what waits, ignoring back-off; see UsageReporter.flush.

        Raises:
            NoThreadError: No thread can be started.
        """
        if not self._jobs:
            return True
        until = now() + timeout
        self._worker.soon(_do_nothing)  # starts the thread, if none could be started before
        for job in self._jobs:
            if job.attempted.is_set() and not job.done:
                job.attempted.clear()
                self._worker.soon(lambda job=job: self._do(job))  # type: ignore[misc]
        for job in self._jobs:
            job.attempted.wait(max(until - now(), 0.0))
        for task in self._others():
            self._worker.soon(task)
        over = threading.Event()
        self._worker.soon(over.set)
        over.wait(max(until - now(), 0.0))
        return all(job.done for job in self._jobs)

    def close(self) -> None:
        """Stop the heartbeats, and wait until the line is in the local file; see UsageReporter.close."""
        self._worker.stop()
        self._write_here()
        self._wait_for_lines()

    def end(self) -> None:
        """Write the line at once, without what the detectors have not found yet. This is the exit handler.

        A last heartbeat, with all that the run has done, goes to the outbox for a later run.
        """
        if self._process != os.getpid():  # a forked child runs the exit handlers of its parent
            return
        try:
            with Shutdown():
                for job in self._jobs:
                    job.hurry()
                self._write_here()
                wait_until_idle(self._wait_for_lines())
            if self._heartbeat is not None and (self._heartbeat.beats or self.runtime):
                self._heartbeat.beat(self.runtime, final=True)
        except Exception as error:  # noqa: BLE001 -- an exit handler must not print a traceback
            self._on_error(error)

    def _write_here(self) -> None:
        """If there is no thread, write the lines in the calling thread. Nothing is sent, since the host waits."""
        if not self._worker.alive:
            for job in self._jobs:
                if not job.written.is_set():
                    job.leave()
            self._worker.run_here()

    def _wait_for_lines(self) -> int:
        """Wait for the lines of all jobs, for at most 0.25 s; return how many pauses of that are left."""
        left = PAUSES_FOR_LINE
        for job in self._jobs:
            while left and not job.written.wait(PAUSE):
                left -= 1
        return left


def _task(gate: Gate, name: str) -> Callable[[], None]:
    return lambda: send_waiting(gate, name)


def _do_nothing() -> None:
    """Do nothing."""
