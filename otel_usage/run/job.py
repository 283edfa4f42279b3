"""One report: detect the facts, write the line, then send it until each destination has accepted or rejected it."""

from __future__ import annotations

import threading

from otel_usage.delivery.local_file import record
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.delivery.sending import assign
from otel_usage.facts.report import assemble
from otel_usage.system.shutdown import Shutdown
from otel_usage.system.worker import jitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.gate import Gate
    from otel_usage.detect import Detection
    from otel_usage.facts.fact import Scalar
    from otel_usage.facts.report import Report

# Seconds between two attempts.
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0


class Job:
    """One report. The reporter's thread runs it.

    Args:
        known: The facts that are known when the app calls `report`, see facts.report.known_facts.
        gate: The consent and the destinations.
        picked: Tells whether this process is the one that reports.
        may_leave: Tells whether reports of this run may be sent; called once, before the first attempt.

    Attributes:
        attempts: How often it was run.
        pairs: The report to each destination, each with ids of its own.
        report: The report as it is in the local file; None before it is made.
        line_ok: Whether the line is in the local file, or must not be.
        misfits: How many values did not leave, or left as `other`, since their facts do not allow them.
        written: Set once the line is in the local file, or can't or must not be.
        attempted: Set once each destination was tried since the last `clear`.
    """

    __slots__ = (
        "_detection",
        "_hurried",
        "_known",
        "_leaves",
        "_may_leave",
        "_pending",
        "_picked",
        "attempted",
        "attempts",
        "gate",
        "line_ok",
        "misfits",
        "pairs",
        "report",
        "written",
    )

    def __init__(
        self,
        known: dict[str, Scalar | None],
        gate: Gate,
        *,
        picked: Callable[[Gate], bool],
        may_leave: Callable[[Gate], bool],
    ) -> None:
        self._known, self.gate, self._picked, self._may_leave = known, gate, picked, may_leave
        self._detection: Detection | None = None
        self._hurried = self._leaves = False
        self._pending: list[PendingReport] = []
        self.attempts = 0
        self.pairs: list[tuple[Report, Destination]] = []
        self.report: Report | None = None
        self.line_ok = False
        self.misfits = 0
        self.written = threading.Event()
        self.attempted = threading.Event()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: the line is written, or must not be, and no destination is left."""
        return self.attempted.is_set() and self.line_ok and not self._pending

    @property
    def waiting(self) -> list[str | None]:
        """The names of its entries in the outbox, which it sends itself."""
        return [pending.name for pending in self._pending]

    def hurry(self) -> None:
        """Do not wait for what the detectors have not found yet."""
        self._hurried = True
        if self._detection is not None:
            self._detection.hurry()

    def leave(self) -> None:
        """In the next run, leave the report in the outbox instead of sending it."""
        self._leaves = True

    def run(self, made: Callable[[], object] = bool) -> None:
        """The first time, make the report and send it; after that, retry the destinations that are left.

        Args:
            made: Called when the report is made, before the first attempt to send it, which may take long.
        """
        self.attempts += 1
        if self.report is None:
            from otel_usage.system.host_state import reserve_standard_streams  # loads `warnings`

            reserve_standard_streams()
            if not self.gate.may_record() or not self._picked(self.gate):
                self.line_ok = True
                self.written.set()
                return
            self.report = assemble(self.gate.app, self._known, self._detected())
            recorded = record(self.report, self.gate)
            self.line_ok = recorded or not self.gate.may_record()
            self.written.set()
            self.misfits = len(self.report.misfits())
            if self.gate.destinations and self.gate.may_send() and self._may_leave(self.gate):
                self.pairs = assign(self.report, self.gate, recorded=recorded)
            self._pending = [PendingReport(*pair, self.gate) for pair in self.pairs]
            for pending in self._pending:
                pending.keep()
            made()
        if Shutdown.begun or self._leaves:  # a later run or attempt sends it
            self._leaves = False
            for pending in self._pending:
                pending.leave()
            return
        self._pending = [pending for pending in self._pending if not pending.attempt()]

    @property
    def pause(self) -> float | None:
        """The seconds until the next attempt to make or send the report; None if nothing is left to do.

        Exponential back-off with jitter: 30 s, doubled up to 1 h, times 0.5 to 1.5 at random, at least Retry-After.
        """
        if not self._pending and (self.line_ok or self.report is not None):
            return None
        pause = min(FIRST_PAUSE * 2.0 ** min(self.attempts - 1, 10), LONGEST_PAUSE)
        return max([jitter(pause / 2, pause * 1.5), *(pending.after for pending in self._pending)])

    def _detected(self) -> dict[str, Scalar]:
        """Run the detectors, and return what they find."""
        self._detection = _detection(frozenset(self._known))
        if self._hurried:
            self._detection.hurry()
        return self._detection.facts()


def _detection(known: frozenset[str]) -> Detection:
    from otel_usage.detect import Detection  # only where a report is made

    return Detection(known=known)
