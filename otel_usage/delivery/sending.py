"""One attempt to send a report to a destination; consent is asked before each step, and the outcome is logged."""

from __future__ import annotations

from otel_usage.delivery import log
from otel_usage.delivery.exporters.outcome import STOPPED, Outcome
from otel_usage.system.busy import Busy
from otel_usage.system.threads import NoThreadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.gate import Gate
    from otel_usage.facts.report import Report

LIMIT = 30.0


def assign(report: Report, gate: Gate, *, recorded: bool) -> list[tuple[Report, Destination]]:
    """Return what goes where: the first destination gets the ids that the file holds, each other one gets new ids.

    Where the line could not be written, the project gets nothing: its operator could not see what was sent.
    """
    reports = [report, *(report.renamed() for _ in gate.destinations[1:])]
    pairs = zip(reports, gate.destinations, strict=False)
    return [(own, destination) for own, destination in pairs if recorded or destination.by_operator]


def send(
    report: Report, destination: Destination, gate: Gate, *, limit: float = LIMIT, timeout: float | None = None
) -> Outcome:
    """Send a report to one destination, log the outcome for `status`, and return it; never raises an Exception.

    Args:
        report: What to send.
        destination: Where to.
        gate: Asked before each step.
        limit: Seconds after which the outcome is `no answer`.
        timeout: See pipeline.deliver.
    """
    if not gate.may_leave(report):
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
        log.note(gate.directory, destination, outcome)
    return outcome


def _attempt(report: Report, destination: Destination, gate: Gate, timeout: float | None) -> Outcome:
    with Busy():
        from otel_usage.system.host_state import WarningsFiltersKept  # noqa: PLC0415 -- only where something is sent

    def allowed() -> bool:
        return gate.may_leave(report)

    if destination.kind == "project" and destination.wire == "json":
        with Busy():
            from otel_usage.delivery.exporters.project_sender import ProjectSender  # noqa: PLC0415 -- the same

        return ProjectSender(destination, allowed).send_line(report.line)
    with WarningsFiltersKept():
        with Busy():
            from otel_usage.delivery.pipeline import deliver  # noqa: PLC0415 -- 100 ms and more

        return deliver(report, destination, allowed, timeout=timeout)
