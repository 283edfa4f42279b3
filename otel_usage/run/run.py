"""One run of an app: its reports, its heartbeats, and what earlier runs could not deliver, all on one thread."""

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

# 0.25 s, however the host's clock runs.
PAUSES_FOR_LINE = 125
# What earlier runs left goes out slowly, so that many processes that start at once are no flood.
MOST_OF_OTHERS = 4
WAIT_FOR_OTHERS = (10.0, 600.0)


class Run:
    """Does what follows from a report, until the process ends.

    interval: seconds between two heartbeats, give or take a tenth; 0 for none. worker: runs its tasks.
    on_error: told what the exit handler raised.
    """

    __slots__ = ("_heartbeat", "_interval", "_jobs", "_on_error", "_process", "_worker", "misfits", "runtime")

    def __init__(self, interval: float, worker: Worker, on_error: Callable[[Exception], None]) -> None:
        self._interval, self._worker, self._on_error = interval, worker, on_error
        self._process = os.getpid()
        self._jobs: list[Job] = []
        self._heartbeat: Heartbeat | None = None
        #: How many values did not leave, or left as `other`, because they are not declared so.
        self.misfits = 0
        #: What the app says the run has done so far, admitted.
        self.runtime: dict[str, Scalar] = {}

    @property
    def is_new(self) -> bool:
        """Whether it has had no job yet."""
        return not self._jobs

    def add(self, job: Job) -> None:
        """Have a job done in the background. Raises RuntimeError where no thread can be started."""
        self._jobs = [*(other for other in self._jobs if not other.done), job]
        self._worker.soon(lambda: self._do(job))

    def _do(self, job: Job) -> None:
        """Do a job, and plan what follows from it."""
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
        """Do a job again, unless `flush` has done so since, which has planned the next attempt."""
        if job.attempts == attempts:
            self._do(job)

    def _others(self) -> list[Callable[[], None]]:
        """Return the tasks that send what earlier runs left, oldest first; a job sends its own by itself.

        None where nothing of this run leaves.
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
        """Send now what waits, whatever back-off; see UsageReporter.flush. Raises RuntimeError without a thread."""
        if not self._jobs:
            return True
        until = now() + timeout
        self._worker.soon(_nothing)  # begins with what was left when no thread could be started
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
        """End the heartbeats, and wait until the line is in the local file; see UsageReporter.close."""
        self._worker.stop()
        self._write_here()
        self._wait_for_lines()

    def end(self) -> None:
        """Have the line written at once, as the process ends, with null for what the detectors have not found yet.

        A last heartbeat, with all that the run has done, waits in the outbox for a later run to send it.
        """
        if self._process != os.getpid():  # a forked child, which runs its parent's exit handlers as well
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
        """Write on this thread what no thread could be started for, and send nothing: the host waits for it."""
        if not self._worker.alive:
            for job in self._jobs:
                if not job.written.is_set():
                    job.leave()
            self._worker.run_here()

    def _wait_for_lines(self) -> int:
        """Wait for the lines of all jobs; return how many pauses it would have waited on."""
        left = PAUSES_FOR_LINE
        for job in self._jobs:
            while left and not job.written.wait(PAUSE):
                left -= 1
        return left


def _task(gate: Gate, name: str) -> Callable[[], None]:
    return lambda: send_waiting(gate, name)


def _nothing() -> None:
    """Do nothing."""
