"""A report for one destination, kept in the outbox until the server has accepted or permanently rejected it."""

from __future__ import annotations

import time

from otel_usage.consent import config_directory
from otel_usage.delivery import outbox
from otel_usage.delivery.gate import NANO
from otel_usage.delivery.outbox_files import OLDEST
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

# Keys of the entry beside the facts, in one flat object. No key of a fact has a dot.
NAME, TRACE, SPAN, TO = "otel_usage.name", "otel_usage.trace_id", "otel_usage.span_id", "otel_usage.destination"
HEXADECIMAL = frozenset("0123456789abcdef")


class PendingReport:
    """One report that is to be sent to one destination. If the outbox can't be written, it waits in memory.

    Attributes:
        report: What to send.
        destination: Where to send it.
        name: The name of its entry in the outbox; None if it has none.
        outcome: The outcome of the last attempt; None before the first.
    """

    __slots__ = ("_entry", "_gate", "destination", "name", "outcome", "report")

    def __init__(self, report: Report, destination: Destination, gate: Gate, entry: Entry | None = None) -> None:
        self.report, self.destination, self._gate, self._entry = report, destination, gate, entry
        self.name = None if entry is None else entry.name
        self.outcome: Outcome | None = None

    @property
    def after(self) -> float:
        """The seconds that the server asked to wait (Retry-After) at the last attempt; 0 if it did not ask."""
        return (self.outcome.after or 0.0) if self.outcome is not None else 0.0

    def keep(self) -> None:
        """Put the report into the outbox and claim the entry, unless it has one.

        It does not if the mode is not `on`. If the disk is full, the report is sent from memory all the same.
        """
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
        """Send the report once. A report that was made before reporting was turned on is never sent.

        Args:
            limit: See sending.send.
            timeout: See sending.send.

        Returns:
            Whether nothing is left to do: the report was accepted or permanently rejected, may not be sent, or belongs
            to another process by now.
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
        """Give up the claim, and leave the entry in the outbox for a later attempt."""
        entry, self._entry = self._entry, None
        if entry is not None:
            _settle(entry, again=True)


def waiting(gate: Gate) -> list[str]:
    """Return the names of the entries in the outbox, oldest first."""
    return [] if gate.directory is None else outbox.waiting(gate.directory)


def forget_waiting(app: App) -> None:
    """Delete all entries unsent, since the mode is no longer `on`. The look-up of the directory uses no network."""
    directory = config_directory(app.name, ask_account=False)
    if directory is not None:
        outbox.clear(directory)


def send_waiting(gate: Gate, name: str) -> None:
    """Send an entry that another run left; delete it if it must not be sent, and set it aside if it is malformed.

    Args:
        gate: Checked before each step.
        name: The name of the entry.
    """
    entry = None if Shutdown.begun else _claimed(gate.directory, name)
    if entry is None:
        return
    try:
        pending = _restored(gate, entry)
    except Exception:  # noqa: BLE001 -- no content of an entry may block the next ones
        _set_aside(entry)
        return
    if pending is None:
        _settle(entry, again=False)
    else:
        pending.attempt()


def _restored(gate: Gate, entry: Entry) -> PendingReport | None:
    """Return the report of an entry, admitted again by the present facts.

    None means that it must not be sent: it is too old, or its destination is not configured any more. An entry that
    `keep` has not written raises an Exception.
    """
    to = next((d for d in gate.destinations if d.key == entry.values.get(TO)), None)
    age = time.time() - entry.time / NANO
    if to is None or age > OLDEST:
        return None
    facts, _ = admit(gate.app, {k: v for k, v in entry.values.items() if "." not in k}, on=None)
    if facts.get("log_time") != entry.time or "uuid" not in facts:
        raise ValueError("the entry is not the report that its name says")
    trace_id, span_id = (_id(entry.values[key], digits) for key, digits in ((TRACE, 32), (SPAN, 16)))
    name = HEARTBEAT if entry.values.get(NAME) == HEARTBEAT else REPORT
    report = Report.restored(gate.app, facts, name=name, trace_id=trace_id, span_id=span_id)
    return PendingReport(report, to, gate, entry)


def _id(text: object, digits: int) -> int:
    """Parse an id that `keep` wrote. Raises ValueError for anything else, and for 0, which OpenTelemetry forbids."""
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
