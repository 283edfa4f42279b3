"""Heartbeats: what a run has done so far, from time to time, under the ids of its report."""

from __future__ import annotations

import math

from otel_usage.delivery import write
from otel_usage.parcel import Parcel
from otel_usage.report import Report
from otel_usage.table import HEARTBEAT
from otel_usage.thread import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_usage.delivery import Gate
    from otel_usage.destination import Destination
    from otel_usage.facts import Scalar

MOST_SKIPPED = 6


class Heartbeat:
    """The heartbeats of one run.

    pairs: the run's report to each destination, under its own ids; the first is the one in the file.
    interval: seconds between two. clock: seconds, monotonic.
    """

    __slots__ = ("_clock", "_failures", "_gate", "_interval", "_pairs", "_skip", "_start", "beats")

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
        self._failures = self._skip = 0
        #: How many there were.
        self.beats = 0

    def beat(self, runtime: Mapping[str, Scalar], *, final: bool = False) -> None:
        """Write a line and send it on; when final, leave the sending to a later run.

        runtime: what the app says its run has done, admitted.
        While a destination does not answer, ever more of them are not sent, up to an hour's; none is when opted out.
        """
        self.beats += 1
        uptime = max(int(self._clock() - self._start), 0)
        made = [(self._made(report, {**runtime, "uptime": uptime}), destination) for report, destination in self._pairs]
        write(made[0][0], self._gate)
        if self._skip and not final:
            self._skip -= 1
            return
        for report, destination in made:
            if destination is not None and self._gate.may_send():
                self._send(Parcel(report, destination, self._gate), final=final)

    @staticmethod
    def _made(report: Report, runtime: Mapping[str, Scalar]) -> Report:
        about = {key: value for key, value in report.facts.items() if key not in ("context", "log_time")}
        return Report(report.app, {**about, **runtime}, name=HEARTBEAT)

    def _send(self, parcel: Parcel, *, final: bool) -> None:
        parcel.keep()
        if final:
            parcel.leave()
        elif parcel.attempt():
            self._failures = 0
        else:
            self._failures += 1
            asked = math.ceil(parcel.after / self._interval)
            self._skip = max(asked, min(2**self._failures - 1, MOST_SKIPPED))
