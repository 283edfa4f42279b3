"""A report's way out: first its line into the local file, then to each destination, consent asked before every step."""

from __future__ import annotations

import os
import time

from otel_usage.consent import OFF, ON, config_directory, decide, since
from otel_usage.delivery.exporters.local_file import FILE, append_line, read_objects
from otel_usage.delivery.exporters.outcome import STOPPED, Outcome
from otel_usage.system.threads import Busy, NoThreadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_usage.consent import Decision
    from otel_usage.delivery.destination import Destination
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Scalar
    from otel_usage.facts.report import Report

LEDGER = "usage_deliveries.json"
LEDGER_BYTES = 64 * 1024
LIMIT = 30.0
NANO = 10**9


class Gate:
    """The consent that holds for an app's reports to its destinations, decided anew each time it is asked."""

    __slots__ = ("app", "destinations")

    def __init__(self, app: App, destinations: Sequence[Destination]) -> None:
        self.app, self.destinations = app, destinations

    def decide(self) -> Decision:
        """Return the mode that holds now and the signal that decides it."""
        return decide(self.app.name, loopback=self.loopback)

    @property
    def loopback(self) -> bool:
        """Whether there are destinations, and none is beyond this machine."""
        return bool(self.destinations) and all(destination.loopback for destination in self.destinations)

    def may_record(self) -> bool:
        """Tell whether the local file may be written now."""
        return self.decide().mode != OFF

    def may_send(self) -> bool:
        """Tell whether anything may leave now: a connection, or a request on one that is open."""
        return self.decide().mode == ON


def local_file(app: App) -> str | None:
    """Return the path of the app's local file, None where it has no directory."""
    directory = config_directory(app.name)
    return None if directory is None else os.path.join(directory, FILE)


def write(report: Report, gate: Gate) -> bool:
    """Write the report's line to the local file; False where it is not there, for whatever reason."""
    path = local_file(report.app)
    if path is None or not gate.may_record():
        return False
    try:
        append_line(path, report.line)
    except (OSError, ValueError):
        return False
    return True


def assign(report: Report, gate: Gate, *, written: bool) -> list[tuple[Report, Destination]]:
    """Return what goes where: the first destination gets the ids that the file holds, others get their own.

    Where the line could not be written, the project gets nothing that its operator can't see and did not ask for.
    """
    reports = [report, *(report.renamed() for _ in gate.destinations[1:])]
    pairs = zip(reports, gate.destinations, strict=False)
    return [(own, destination) for own, destination in pairs if written or destination.by_operator]


def may_leave(report: Report, gate: Gate) -> bool:
    """Tell whether a report may leave now: the mode is on, and has been turned on before the report was made."""
    return gate.may_send() and int(report.facts["log_time"]) > since(report.app.name) * NANO


def send(
    report: Report, destination: Destination, gate: Gate, *, limit: float = LIMIT, timeout: float | None = None
) -> Outcome:
    """Send a report to one destination, note the outcome for `status`, and return it; never raises an Exception.

    limit: the seconds after which the answer is `no answer`. timeout: see pipeline.deliver.
    """
    if not may_leave(report, gate):
        return STOPPED
    from otel_usage.system import deadline  # noqa: PLC0415 -- only where something is sent

    try:
        outcome = deadline.call(lambda: _attempt(report, destination, gate, timeout), limit)
    except TimeoutError:
        outcome = Outcome("no answer")
    except NoThreadError as error:
        outcome = Outcome(f"not sent: {error}")
    except Exception as error:  # noqa: BLE001 -- the host's OTEL_* variables can make the SDK raise anything
        outcome = Outcome(f"OpenTelemetry failed to load or to run ({type(error).__name__})")
    if gate.may_record():
        _note(report.app, destination, outcome)
    return outcome


def _attempt(report: Report, destination: Destination, gate: Gate, timeout: float | None) -> Outcome:
    with Busy():
        from otel_usage.system.host_state import WarningsFiltersKept  # noqa: PLC0415 -- only where something is sent

    def allowed() -> bool:
        return may_leave(report, gate)

    if destination.kind == "project" and destination.wire == "json":
        with Busy():
            from otel_usage.delivery.exporters.project_sender import ProjectSender  # noqa: PLC0415 -- only where something is sent

        return ProjectSender(destination, allowed).send_line(report.line)
    with WarningsFiltersKept():
        with Busy():
            from otel_usage.delivery.pipeline import deliver  # noqa: PLC0415 -- 100 ms and more

        return deliver(report, destination, allowed, timeout=timeout)


def _note(app: App, destination: Destination, outcome: Outcome) -> None:
    """Append the outcome to the ledger that `status` reads."""
    import json  # noqa: PLC0415 -- only where something is sent

    directory = config_directory(app.name)
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "destination": destination.kind,
        "endpoint": destination.endpoint,
        "ok": outcome.ok,
        "detail": outcome.detail,
    }
    try:
        append_line(os.path.join(directory or "", LEDGER), json.dumps(entry), max_bytes=LEDGER_BYTES)
    except (OSError, ValueError):
        return


def last_delivery(app: App) -> dict[str, Scalar | None] | None:
    """Return the newest entry of the ledger, None where there is none."""
    directory = config_directory(app.name)
    newest = None
    for entry in read_objects(os.path.join(directory, LEDGER)) if directory else ():
        newest = entry if "time" in entry else newest
    return newest
