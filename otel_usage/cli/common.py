"""What the commands share: the app that is meant, output for people and for programs."""

from __future__ import annotations

import json
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from otel_usage.consent import ON
from otel_usage.delivery import destination
from otel_usage.delivery.gate import Gate
from otel_usage.facts import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_usage.consent import Decision
    from otel_usage.facts.app import App

WIDE = 160

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON, for programs.")


class Context:
    """The app that the command is about, loaded when it is first asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def app(self) -> App:
        """The app. Raises click.UsageError where it is not installed."""
        try:
            return registry.load(self.name)
        except registry.UnknownAppError as error:
            raise click.UsageError(str(error)) from error

    @cached_property
    def gate(self) -> Gate:
        """The app's destinations, as the command line sees them: it gives no endpoint of its own."""
        return Gate(self.app, destination.resolve(self.app, endpoint=None))

    @property
    def directory(self) -> str:
        """The directory that the app writes to. Raises click.ClickException where there is none."""
        directory = self.gate.directory
        if directory is None:
            message = "there is no directory to write to: set HOME to an absolute path"
            raise click.ClickException(message)
        return directory


pass_context = click.make_pass_decorator(Context)


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table for people: what is too wide for their terminal is folded, never cut."""
    from rich.console import Console  # noqa: PLC0415 -- 50 ms, for people only
    from rich.table import Column, Table  # noqa: PLC0415 -- the same

    click.echo(title)
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout is not None and sys.stdout.isatty() else WIDE
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def print_json(value: Any) -> None:  # noqa: ANN401 -- whatever JSON can hold
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def printable(text: str) -> str:
    """Return the text with control characters escaped, so that no value can steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def because(decision: Decision) -> str:
    """Say in words what decided the mode."""
    signal = decision.signal
    if signal is None:
        return "by default" if decision.mode == ON else "by the app's own default"
    value = "exists" if signal.value == "exists" else f"is '{printable(signal.value or '')}'"
    return f"because {printable(signal.name)} {value}"
