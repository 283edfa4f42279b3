"""Heartbeats: what a run has done so far, from time to time, under the ids of its report."""

from __future__ import annotations

import math

from otel_usage.delivery.local_file import record
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.facts.builtin import HEARTBEAT
from otel_usage.facts.report import Report
from otel_usage.system.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.gate import Gate
    from otel_usage.facts.fact import Scalar

MOST_SKIPPED = 6


class Heartbeat:
    """The heartbeats of one run.

    pairs: the run's report to each destination, under its own ids; the first is the one in the file.
    interval: seconds between two. clock: seconds, monotonic.
    """

    __slots__ = ("_clock", "_failures", "_gate", "_interval", "_pairs", "_skipped", "_start", "beats")

    def __init__(
        self,
        report: Report,
        pairs: list[tuple[Report, Destination]],
        gate: Gate,
        interval: float,
        clock: Callable[[], float] = now,
    ) -> None:
        self._pairs: list[tuple[Report, Destination | None]] = [*pairs] or [(report, None)]
        self._gate, self._interval, self._clock = gate, interval, clock
        self._start = clock()
        # By destination: how often it did not answer, and how many of the next are not sent to it.
        self._failures: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        #: How many there were.
        self.beats = 0

    def beat(self, runtime: Mapping[str, Scalar], *, final: bool = False) -> None:
        """Write a line and send it on; when final, leave the sending to a later run.

        runtime: what the app says its run has done, admitted.
        While a destination does not answer, ever more of them are not sent to it, up to an hour's. None is sent when
        opted out.
        """
        self.beats += 1
        uptime = max(int(self._clock() - self._start), 0)
        made = [(self._made(report, {**runtime, "uptime": uptime}), destination) for report, destination in self._pairs]
        record(made[0][0], self._gate)
        for report, destination in made:
            if destination is not None and (final or self._is_turn(destination)) and self._gate.may_send():
                self._send(PendingReport(report, destination, self._gate), final=final)

    @staticmethod
    def _made(report: Report, runtime: Mapping[str, Scalar]) -> Report:
        about = {key: value for key, value in report.facts.items() if key not in ("context", "log_time")}
        return Report(report.app, {**about, **runtime}, name=HEARTBEAT)

    def _is_turn(self, destination: Destination) -> bool:
        left = self._skipped.get(destination.key, 0)
        self._skipped[destination.key] = max(left - 1, 0)
        return left == 0

    def _send(self, pending: PendingReport, *, final: bool) -> None:
        to = pending.destination.key
        pending.keep()
        if final:
            pending.leave()
        elif pending.attempt():
            self._failures[to] = 0
        else:
            self._failures[to] = failures = self._failures.get(to, 0) + 1
            asked = math.ceil(pending.after / self._interval)
            self._skipped[to] = max(asked, min(2**failures - 1, MOST_SKIPPED))
