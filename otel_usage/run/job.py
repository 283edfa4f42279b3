"""One report on its way: detected, written, then sent to each destination until that has taken or refused it."""

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

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0


class Job:
    """One report, run by the reporter's thread.

    known: what is known when it is asked for, see facts.report.known_facts.
    gate: the consent and the destinations that hold for it. picked: tells whether this process reports at all.
    may_leave: asked once, before the first attempt to send, whether anything of this run leaves.
    """

    __slots__ = ("_detection", "_hurried", "_known", "_leaves", "_may_leave", "_pending", "_picked",
                 "attempted", "attempts", "gate", "line_ok", "misfits", "pairs", "report", "written")  # fmt: skip

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
        #: How often it was run.
        self.attempts = 0
        #: The report to each destination, under ids of its own.
        self.pairs: list[tuple[Report, Destination]] = []
        self.report: Report | None = None
        self.line_ok = False
        self.misfits = 0
        #: Set once the line is in the file, or can't be.
        self.written = threading.Event()
        #: Set once every destination was tried since the last `clear`.
        self.attempted = threading.Event()

    @property
    def done(self) -> bool:
        """Whether the line is written, or must not be, and no destination is left to try."""
        return self.attempted.is_set() and self.line_ok and not self._pending

    @property
    def waiting(self) -> list[str | None]:
        """The names of its own in the outbox, which it tries itself."""
        return [pending.name for pending in self._pending]

    def hurry(self) -> None:
        """Do without what the detectors have not found yet."""
        self._hurried = True
        if self._detection is not None:
            self._detection.hurry()

    def leave(self) -> None:
        """Leave what is to be sent in the outbox, the next time that this runs."""
        self._leaves = True

    def run(self, made: Callable[[], object] = bool) -> None:
        """Do what is still to be done: the first time all of it, then what a destination did not take.

        Args:
            made: Called once there is a report, before the first attempt to send it, which may take long.
        """
        self.attempts += 1
        if self.report is None:
            from otel_usage.system.host_state import reserve_standard_streams  # noqa: PLC0415 -- loads `warnings`

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
        if Shutdown.begun or self._leaves:  # a later run sends it, or a later attempt
            self._leaves = False
            for pending in self._pending:
                pending.leave()
            return
        self._pending = [pending for pending in self._pending if not pending.attempt()]

    @property
    def pause(self) -> float | None:
        """The seconds until the next attempt, to make the report or to send it; None where there is nothing left to do.

        Twice as long each time, up to an hour, give or take a half at random, and at least what a server asked for.
        """
        if not self._pending and (self.line_ok or self.report is not None):
            return None
        pause = min(FIRST_PAUSE * 2.0 ** min(self.attempts - 1, 10), LONGEST_PAUSE)
        return max([jitter(pause / 2, pause * 1.5), *(pending.after for pending in self._pending)])

    def _detected(self) -> dict[str, Scalar]:
        """Return what the detectors find of what is not known."""
        self._detection = _detection(frozenset(self._known))
        if self._hurried:
            self._detection.hurry()
        return self._detection.facts()


def _detection(known: frozenset[str]) -> Detection:
    from otel_usage.detect import Detection  # noqa: PLC0415 -- nothing is loaded where nothing is reported

    return Detection(known=known)
