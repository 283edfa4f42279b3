"""Heartbeats: at regular intervals, what a run has done so far, with the uuid of its report."""

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

    Args:
        report: The run's report as it is in the local file.
        pairs: The run's report to each destination, each with ids of its own.
        gate: The consent and the destinations.
        interval: Seconds between two heartbeats.
        clock: Returns seconds; monotonic.

    Attributes:
        beats: How many heartbeats there were.
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
        # By destination: its failures in a row, and how many of the next heartbeats are not sent to it.
        self._failures: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        self.beats = 0

    def beat(self, runtime: Mapping[str, Scalar], *, final: bool = False) -> None:
        """Write the line of a heartbeat, then send it, unless the mode forbids it.

        A destination that fails gets exponential back-off: it misses 1, 3, then 6 heartbeats, and at least as many as
        Retry-After asks for.

        Args:
            runtime: The admitted heartbeat facts that the app has set.
            final: Whether to leave it in the outbox for a later run, since the process ends.
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
