"""One report on its way: detected, written, then sent to each destination until that has taken or refused it."""

from __future__ import annotations

import threading

from otel_usage.delivery.pending_report import PendingReport
from otel_usage.delivery.sending import assign, write
from otel_usage.facts.admission import admit, admit_attributes
from otel_usage.facts.report import Report
from otel_usage.system.threads import Ending
from otel_usage.system.worker import jitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.sending import Gate
    from otel_usage.detect import Detection
    from otel_usage.facts.fact import Scalar

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0


class Job:
    """One report, run by the reporter's thread.

    given: what the app passed, admitted. keys: what it passed at all, which no detector may fill in.
    gate: the consent and the destinations that hold for it. picked: tells whether this process reports at all.
    may_leave: asked once, before the first attempt to send, whether anything of this run leaves.
    """

    __slots__ = ("_detection", "_given", "_hurried", "_keys", "_leaves", "_may_leave", "_pending", "_picked",
                 "attempted", "attempts", "gate", "line_ok", "misfits", "pairs", "report", "written")  # fmt: skip

    def __init__(
        self,
        given: dict[str, Scalar],
        keys: frozenset[str],
        gate: Gate,
        *,
        picked: Callable[[], bool],
        may_leave: Callable[[Gate], bool],
    ) -> None:
        self._given, self._keys, self.gate, self._picked, self._may_leave = given, keys, gate, picked, may_leave
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

    def run(self) -> None:
        """Do what is still to be done: the first time all of it, then what a destination did not take."""
        self.attempts += 1
        if self.report is None:
            from otel_usage.system.host_state import reserve_standard_streams  # noqa: PLC0415 -- loads `warnings`

            reserve_standard_streams()
            if not self.gate.may_record() or not self._picked():
                self.line_ok = True
                self.written.set()
                return
            self.report = Report(self.gate.app, self._facts())
            written = write(self.report, self.gate)
            self.line_ok = written or not self.gate.may_record()
            self.written.set()
            self.misfits = len(misfits(self.report))
            if self.gate.destinations and self.gate.may_send() and self._may_leave(self.gate):
                self.pairs = assign(self.report, self.gate, written=written)
            self._pending = [PendingReport(*pair, self.gate) for pair in self.pairs]
            for pending in self._pending:
                pending.keep()
        if Ending.begun or self._leaves:  # a later run sends it, or a later attempt
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

    def _facts(self) -> dict[str, Scalar]:
        """Detect what was not given, as it stands at the time of the call."""
        self._detection = _detection(self._keys)
        if self._hurried:
            self._detection.hurry()
        app = self.gate.app
        detected, _ = admit(app, {app.version_key: app.version, **self._detection.facts()})
        return {**{key: value for key, value in detected.items() if key not in self._keys}, **self._given}


def misfits(report: Report) -> list[str]:
    """Say what will not leave, or leave as `other`."""
    return [
        problem
        for place in ("resource", "span")
        for problem in admit_attributes(report.app, report.attributes(place), place)[1]
    ]


def _detection(known: frozenset[str]) -> Detection:
    from otel_usage.detect import Detection  # noqa: PLC0415 -- nothing is loaded where nothing is reported

    return Detection(known=known)
