"""What the commands share: the app that is meant, output for people and for programs."""

from __future__ import annotations

import functools
import json
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from otel_usage.cli import apps
from otel_usage.cli.completion import complete_app
from otel_usage.consent import LOCAL, OFF, ON, config_directory
from otel_usage.delivery import destination
from otel_usage.delivery.gate import Gate
from otel_usage.facts import registry
from otel_usage.facts.app import App

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otel_usage.consent import Decision
    from otel_usage.delivery.destination import Destination

P = ParamSpec("P")
R = TypeVar("R")

WIDE = 160

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON, for programs.")


class Context:
    """An app that the command is about, loaded when it is first asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def app(self) -> App:
        """The app, without declared facts where no package declares it. Raises click.UsageError where it is broken."""
        if not self.is_declared:
            return App(self.name)
        try:
            return registry.load(self.name)
        except registry.UnknownAppError as error:
            raise click.UsageError(str(error)) from error

    @cached_property
    def is_declared(self) -> bool:
        """Whether an installed package declares the app."""
        return self.name in registry.names()

    @cached_property
    def unknown(self) -> str | None:
        """Why it is not known here what the app declares and where its runs send; None where it is."""
        if not self.is_declared:
            return f"no installed package declares {self.name}"
        try:
            _ = self.app
        except click.UsageError as error:
            return error.message
        return None

    @cached_property
    def gate(self) -> Gate:
        """The app's destinations, as the command line sees them: it gives no endpoint of its own."""
        return self.plain_gate if self.unknown else Gate(self.app, destination.resolve(self.app, endpoint=None))

    @property
    def plain_gate(self) -> Gate:
        """The same without what the app declares, for commands that need no app which can be loaded."""
        app = App(self.name)
        return Gate(app, destination.resolve(app, endpoint=None))

    @cached_property
    def engine_destinations(self) -> list[Destination] | None:
        """Where an engine's own run sends, None where that is not known here."""
        return None if self.unknown else destination.resolve(self.app, endpoint=self.app.endpoint)

    @property
    def directory(self) -> str:
        """The directory that the app writes to. Raises click.ClickException where there is none."""
        directory = config_directory(self.name)
        if directory is None:
            message = "there is no directory to write to: set HOME to an absolute path"
            raise click.ClickException(message)
        return directory


class Chosen:
    """What `--app` says before the command, None where it says nothing."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    def named(self, after: str | None) -> str | None:
        """Return the name that is given before or after the command. Raises click.UsageError for one of no app."""
        if None not in (self.name, after) and self.name != after:
            message = f"--app is given twice, as {self.name} and as {after}"
            raise click.UsageError(message)
        name = self.name if after is None else after
        if name is not None and not apps.is_meant(name):
            message = f"no app {name!r} is installed; the known ones are: {', '.join(apps.every()) or 'none'}"
            raise click.UsageError(message)
        return name

    def only(self, after: str | None = None) -> Context:
        """Return the app that is named, else the only one. Raises click.UsageError where there are several."""
        if (name := self.named(after)) is not None:
            return Context(name)
        names = apps.known()
        if len(names) != 1:
            message = f"which app? Say --app NAME; there are {', '.join(names) or 'none'}"
            raise click.UsageError(message)
        return Context(names[0])

    def each(self, after: str | None = None) -> list[Context]:
        """Return the app that is named, else every one."""
        name = self.named(after)
        return [Context(name) for name in (apps.every() if name is None else [name])]


def pass_context(command: Callable[Concatenate[Context, P], R]) -> Callable[P, R]:
    """Have a command take `--app`, and pass it the app that is meant: the only one where none is named."""
    return _taking_app(command, Chosen.only, "The app that is meant; not needed where there is only one.")


def pass_chosen(command: Callable[Concatenate[Chosen, P], R]) -> Callable[P, R]:
    """Have a command take `--app`, and pass it what was chosen, for it to ask for one app or each."""
    words = "The app that is meant."
    return _taking_app(command, lambda chosen, after: Chosen(chosen.named(after)), words)


def pass_contexts(command: Callable[Concatenate[list[Context], P], R]) -> Callable[P, R]:
    """Have a command take `--app`, and pass it each app that is meant: every one where none is named."""
    return _taking_app(command, Chosen.each, "The app that is meant; every one without.")


def _taking_app(
    command: Callable[..., R], choose: Callable[[Chosen, str | None], object], words: str
) -> Callable[..., R]:
    @click.option("--app", "app_", metavar="NAME", shell_complete=complete_app, help=words)
    @functools.wraps(command)
    def with_app(*arguments: Any, app_: str | None, **named: Any) -> R:  # noqa: ANN401 -- passed through
        return command(choose(click.get_current_context().obj, app_), *arguments, **named)

    return with_app


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table for people: what is too wide for their terminal is folded, never cut."""
    from rich.console import Console  # 50 ms, for people only
    from rich.table import Column, Table

    click.echo(title)
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout is not None and sys.stdout.isatty() else WIDE
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def print_json(value: Any) -> None:  # noqa: ANN401 -- whatever JSON can hold
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def print_apps(results: Sequence[dict[str, Any]]) -> None:
    """Print what became of each app as JSON: of one as it is, of several in a list."""
    print_json(results[0] if len(results) == 1 else {"apps": list(results)})


def complain(message: str) -> None:
    """Print an error of one line, as that of a command that fails."""
    click.echo(f"otel-usage: {printable(' '.join(message.split()))}", err=True)


def printable(text: str) -> str:
    """Return the text with control characters escaped, so that no value can steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def because(decision: Decision) -> str:
    """Say in words what decided the mode."""
    signal = decision.signal
    if signal is None:
        return "by default" if decision.mode == ON else "by the app's own default"
    if signal.means == ON:
        return "turned on here"
    value = "exists" if signal.value == "exists" else f"is '{printable(signal.value or '')}'"
    return f"because {printable(signal.name)} {value}"


def places(destinations: Iterable[Destination]) -> str:
    """Name destinations, with their kinds and protocols."""
    return ", ".join(f"{printable(to.endpoint)} ({to.kind}, {printable(to.wire)})" for to in destinations)


def as_objects(destinations: Iterable[Destination]) -> list[dict[str, str]]:
    """Return destinations for JSON."""
    return [{"destination": to.kind, "endpoint": to.endpoint, "wire": to.wire} for to in destinations]


def engine_as_objects(context: Context) -> list[dict[str, str]] | None:
    """Return where an engine's own run sends for JSON, None where that is not known here."""
    return None if context.engine_destinations is None else as_objects(context.engine_destinations)


def engine_sends(context: Context, mode: str) -> str:
    """Say where an engine's own run sends, in this mode and in mode on; the words go on from `an engine's own run`."""
    if context.engine_destinations is None:
        return f"sends to a place that is not known here: {printable(context.unknown or '')}"
    to = places(context.engine_destinations)
    if not to:
        return "sends nowhere: it has no endpoint, and you name no collector"
    now = {LOCAL: "sends nothing in mode local; in mode on it ", OFF: "does nothing in mode off; in mode on it "}
    several = len(context.engine_destinations) > 1
    cure = "; OTEL_USAGE_EXPORTER=otlp makes your collector the only one" if several else ""
    return f"{now.get(mode, '')}sends to {to}{cure}"
