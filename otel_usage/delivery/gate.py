"""Where an app's reports go on this machine and beyond it, and whether they may, asked anew before each step."""

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
    """The consent that holds for an app's reports, decided anew each time it is asked; nothing of it is kept.

    Attributes:
        app: The app whose reports they are.
        destinations: Where they may be sent.
    """

    __slots__ = ("_directory", "app", "destinations")

    def __init__(self, app: App, destinations: Sequence[Destination]) -> None:
        self.app, self.destinations = app, destinations
        self._directory: tuple[str | None] | None = None

    @property
    def directory(self) -> str | None:
        """The directory of the app's files, None where there is none; resolved once, when it is first asked for.

        It is not resolved before, since without HOME the look-up of the account may ask the network.
        """
        if self._directory is None:
            self._directory = (config_directory(self.app.name),)
        return self._directory[0]

    def decide(self) -> Decision:
        """Return the mode that holds now and the signal that decides it."""
        return decide(self.app.name, loopback=self.loopback, default=self.app.default)

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

    def may_leave(self, report: Report) -> bool:
        """Tell whether a report may leave now: the mode is on, and was turned on before the report was made."""
        return self.may_send() and int(report.facts["log_time"]) > since(self.app.name) * NANO
