"""A report for one destination: in the outbox from before the first attempt until it was taken or refused for good."""

from __future__ import annotations

import time

from otel_usage.consent import config_directory
from otel_usage.delivery import outbox
from otel_usage.delivery.gate import NANO
from otel_usage.delivery.sending import LIMIT, send
from otel_usage.facts.admission import admit
from otel_usage.facts.builtin import HEARTBEAT, REPORT
from otel_usage.facts.report import Report
from otel_usage.system.shutdown import Shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.exporters.outcome import Outcome
    from otel_usage.delivery.gate import Gate
    from otel_usage.delivery.outbox import Entry
    from otel_usage.facts.app import App

# No fact's key has a dot, so these stand beside the facts in one flat object.
NAME, TRACE, SPAN, TO = "otel_usage.name", "otel_usage.trace_id", "otel_usage.span_id", "otel_usage.destination"
HEXADECIMAL = frozenset("0123456789abcdef")


class PendingReport:
    """One report on its way to one destination; where the outbox can't be written it waits in memory.

    outcome: what became of the last attempt, None before there was one.
    """

    __slots__ = ("_entry", "_gate", "destination", "name", "outcome", "report")

    def __init__(self, report: Report, destination: Destination, gate: Gate, entry: Entry | None = None) -> None:
        self.report, self.destination, self._gate, self._entry = report, destination, gate, entry
        self.name = None if entry is None else entry.name
        self.outcome: Outcome | None = None

    @property
    def after(self) -> float:
        """The seconds that the last answer asked to wait; 0 if it did not ask."""
        return (self.outcome.after or 0.0) if self.outcome is not None else 0.0

    def keep(self) -> None:
        """Put it into the outbox, claimed, unless it is there; a disk that can't take it is no reason not to send."""
        directory = self._gate.directory
        if self._entry is not None or directory is None or not self._gate.may_send():
            return
        facts = self.report.facts
        try:
            self._entry = outbox.put(
                directory,
                {
                    **facts,
                    NAME: self.report.name,
                    TRACE: f"{self.report.trace_id:032x}",
                    SPAN: f"{self.report.span_id:016x}",
                    TO: self.destination.key,
                },
                collected=int(facts["log_time"]),
                kind="heartbeat" if self.report.name == HEARTBEAT else "report",
                run=str(facts["uuid"]),
            )
        except (OSError, ValueError):
            return
        self.name = self._entry.name

    def attempt(self, *, limit: float = LIMIT, timeout: float | None = None) -> bool:
        """Send it once; True when nothing is left to do: it was taken or refused, or another process has it.

        What was collected before reporting was turned on is never sent.
        limit, timeout: see delivery.send.
        """
        entry, self._entry = self._entry, None
        if entry is None and self.name is not None:
            entry = _claimed(self._gate.directory, self.name)
            if entry is None:
                return True
        outcome = send(self.report, self.destination, self._gate, limit=limit, timeout=timeout)
        self.outcome = outcome
        if entry is not None:
            _settle(entry, again=outcome.again)
        return not outcome.again

    def leave(self) -> None:
        """Leave it in the outbox for a later run."""
        entry, self._entry = self._entry, None
        if entry is not None:
            _settle(entry, again=True)


def waiting(gate: Gate) -> list[str]:
    """Return the names of what waits in the outbox, oldest first."""
    return [] if gate.directory is None else outbox.waiting(gate.directory)


def forget_waiting(app: App) -> None:
    """Delete unsent what waits, since the mode is no longer on; looks nothing up that may go to the network."""
    directory = config_directory(app.name, ask_account=False)
    if directory is not None:
        outbox.clear(directory)


def send_waiting(gate: Gate, name: str) -> None:
    """Send what another run left, if it may be sent; what must not be is deleted unsent."""
    entry = None if Shutdown.begun else _claimed(gate.directory, name)
    if entry is None:
        return
    try:
        pending = _restored(gate, entry)
    except Exception:  # noqa: BLE001 -- whatever stands in it, it must not hold up those behind it
        _set_aside(entry)
        return
    if pending is None:
        _settle(entry, again=False)
    else:
        pending.attempt()


def _restored(gate: Gate, entry: Entry) -> PendingReport | None:
    """Return the pending of an entry, admitted by the present table; None where it must not be sent.

    That is: too old, or its destination is no longer one. Raises an Exception for an entry that `keep` has not written.
    """
    to = next((d for d in gate.destinations if d.key == entry.values.get(TO)), None)
    age = time.time() - entry.time / NANO
    if to is None or age > outbox.OLDEST:
        return None
    facts, _ = admit(gate.app, {k: v for k, v in entry.values.items() if "." not in k}, on=None)
    if facts.get("log_time") != entry.time or "uuid" not in facts:
        raise ValueError("the entry is not the report that its name says")
    trace_id, span_id = (_id(entry.values[key], digits) for key, digits in ((TRACE, 32), (SPAN, 16)))
    name = HEARTBEAT if entry.values.get(NAME) == HEARTBEAT else REPORT
    report = Report.restored(gate.app, facts, name=name, trace_id=trace_id, span_id=span_id)
    return PendingReport(report, to, gate, entry)


def _id(text: object, digits: int) -> int:
    """Read an id that `keep` wrote. Raises ValueError for anything else, and for 0, which is no id to OpenTelemetry."""
    found = int(text, 16) if isinstance(text, str) and len(text) == digits and set(text) <= HEXADECIMAL else 0
    if not found:
        raise ValueError("no id of a report")
    return found


def _claimed(directory: str | None, name: str) -> Entry | None:
    try:
        return None if directory is None else outbox.claim(directory, name)
    except OSError:
        return None


def _set_aside(entry: Entry) -> None:
    try:
        entry.set_aside()
    except OSError:
        return


def _settle(entry: Entry, *, again: bool) -> None:
    try:
        if again:
            entry.leave()
        else:
            entry.remove()
    except OSError:
        return
