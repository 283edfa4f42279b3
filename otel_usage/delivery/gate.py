"""The gate: where an app's reports go, and whether they may. Consent is decided again before each step."""

from __future__ import annotations

from otel_usage.consent import OFF, ON, config_directory, decide, since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_usage.consent import Decision
    from otel_usage.delivery.destination import Destination
    from otel_usage.facts.app import App
    from otel_usage.facts.report import Report

NANO = 10**9


class Gate:
    """The consent for an app's reports. Each call decides again, so that an opt-out has effect at once.

    Attributes:
        app: The app that reports.
        destinations: Where its reports may be sent.
    """

    __slots__ = ("_directory", "app", "destinations")

    def __init__(self, app: App, destinations: Sequence[Destination]) -> None:
        self.app, self.destinations = app, destinations
        self._directory: tuple[str | None] | None = None

    @property
    def directory(self) -> str | None:
        """The app's config directory, or None if there is none. It is resolved at the first access and kept.

        Not earlier, since without HOME the look-up of the account may use the network.
        """
        if self._directory is None:
            self._directory = (config_directory(self.app.name),)
        return self._directory[0]

    def decide(self) -> Decision:
        """Return the present mode and the signal that decides it."""
        return decide(self.app.name, loopback=self.loopback, default=self.app.default)

    @property
    def loopback(self) -> bool:
        """Whether there are destinations and all of them are on this machine."""
        return bool(self.destinations) and all(destination.loopback for destination in self.destinations)

    def may_record(self) -> bool:
        """Tell whether the local file may be written now."""
        return self.decide().mode != OFF

    def may_send(self) -> bool:
        """Tell whether a connection may be opened, or a request sent on an open one, now."""
        return self.decide().mode == ON

    def may_leave(self, report: Report) -> bool:
        """Tell whether a report may be sent now: the mode is `on`, and was turned on before the report was made."""
        return self.may_send() and int(report.facts["log_time"]) > since(self.app.name) * NANO
