"""One attempt to send a report to a destination. Consent is checked before each step, and the outcome is logged."""

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

# Seconds after which an attempt that hangs is left behind.
LIMIT = 30.0


def assign(report: Report, gate: Gate, *, recorded: bool) -> list[tuple[Report, Destination]]:
    """Pair each destination with the report that it gets.

    The first destination gets the ids of the line in the local file. Each other one gets new ids, so that the data of
    two destinations can't be joined.

    Args:
        report: The report as it is in the local file.
        gate: Has the destinations.
        recorded: Whether the line is in the local file. If not, the project gets nothing, since the operator could not
            see what was sent; a destination that the operator named gets its report all the same.
    """
    reports = [report, *(report.renamed() for _ in gate.destinations[1:])]
    pairs = zip(reports, gate.destinations, strict=False)
    return [(own, destination) for own, destination in pairs if recorded or destination.by_operator]


def send(
    report: Report, destination: Destination, gate: Gate, *, limit: float = LIMIT, timeout: float | None = None
) -> Outcome:
    """Send a report to one destination and log the outcome.

    Args:
        report: What to send.
        destination: Where to send it.
        gate: Checked before each step.
        limit: Seconds after which the outcome is `no answer`.
        timeout: Seconds for one attempt of the sender; None for the sender's own.

    Returns:
        The outcome. No Exception is raised.
    """
    if not gate.may_leave(report):
        return STOPPED
    from otel_usage.system import deadline  # only where something is sent

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
        from otel_usage.system.host_state import WarningsFiltersKept  # only where something is sent

    def allowed() -> bool:
        return gate.may_leave(report)

    if destination.kind == "project" and destination.wire == "json":
        with Busy():
            from otel_usage.delivery.exporters.project_sender import ProjectSender

        return ProjectSender(destination, allowed).send_line(report.line)
    with WarningsFiltersKept():
        with Busy():
            from otel_usage.delivery.pipeline import deliver  # takes 100 ms or more

        return deliver(report, destination, allowed, timeout=timeout)
