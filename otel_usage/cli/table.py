"""`facts`: everything that may be collected, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import Context, console, pass_context, print_json
from otel_usage.facts import NAMES
from otel_usage.table import GIB

if TYPE_CHECKING:
    from otel_usage.app import App
    from otel_usage.facts import Attribute

FEW = 5
LONGEST_PATTERN = 60


@click.command()
@click.option("--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table", show_default=True,
              help="A table for people, JSON for programs, or Markdown for documents.")  # fmt: skip
@pass_context
def facts(context: Context, form: str) -> None:
    """Show every fact that may be collected: key, attribute, type, allowed values, and why.

    \b
    Example:
      otel-usage facts --format markdown
    """
    if form == "json":
        print_json(rows(context.app))
    elif form == "markdown":
        click.echo(as_markdown(context.app))
    else:
        _print_table(context.app)


def rows(app: App) -> list[dict[str, Any]]:
    """Return the table of an app, a dict for each fact, in the order of the file."""
    return [
        {
            "key": fact.key,
            "in_file": fact.in_line,
            "on": fact.on,
            "why": fact.why,
            "since": fact.since,
            "deprecated": fact.deprecated,
            "attributes": [
                {
                    "name": a.name, "place": a.place, "type": NAMES[a.type], "unit": a.unit, "step": a.step,
                    "values": list(a.values) if a.values else None, "pattern": a.pattern, "open": a.open,
                }
                for a in app.columns[fact.key]
            ],
        }
        for fact in app.rows.values()
    ]  # fmt: skip


def as_markdown(app: App) -> str:
    """Return the table of an app in Markdown."""
    lines = ["| key in the file | attribute | type | allowed | why |", "|---|---|---|---|---|"]
    for fact in app.rows.values():
        cells = [f"`{fact.key}`" if fact.in_line else "(OTLP only)", *_cells(app.columns[fact.key], "`{}`", "<br>")]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in [*cells, fact.why])} |")
    return "\n".join(lines)


def _cells(attributes: tuple[Attribute, ...], name: str, join: str) -> list[str]:
    """Return the attributes' names, types and allowed values, a cell each."""
    return [
        join.join(name.format(a.name) for a in attributes),
        join.join(NAMES[a.type] + (f", {a.unit}" if a.unit else "") for a in attributes),
        join.join(_allowed(a, name) for a in attributes),
    ]


def _allowed(attribute: Attribute, code: str) -> str:
    if attribute.values is not None:
        shown = ", ".join(attribute.values[:FEW])
        return shown if len(attribute.values) <= FEW else f"{shown} and {len(attribute.values) - FEW} more"
    if attribute.open is not None:
        return f"free text: {attribute.open}"
    if attribute.pattern is not None:
        return "matches " + code.format(
            attribute.pattern if len(attribute.pattern) < LONGEST_PATTERN else "a published form"
        )
    if attribute.step is not None:
        return "steps of 1 GiB" if attribute.step == GIB else f"steps of {attribute.step:g}"
    return ""


def _print_table(app: App) -> None:
    from rich.table import Column, Table  # noqa: PLC0415 -- 50 ms, for people only

    names = (Column("key", no_wrap=True), Column("attribute", no_wrap=True))
    table = Table(*names, "type", "allowed", "why", title=f"What {app.name} may report", title_justify="left")
    for fact in app.rows.values():
        table.add_row(fact.key if fact.in_line else "(OTLP only)", *_cells(app.columns[fact.key], "{}", "\n"), fact.why)
    console().print(table)
