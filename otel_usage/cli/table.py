"""`facts`: everything that may be collected, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import Context, as_json, pass_context, print_json, print_table
from otel_usage.facts.builtin import GIB
from otel_usage.facts.fact import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

FEW = 5
LONGEST_PATTERN = 60
OTLP_ONLY = "(OTLP only)"


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="A table for people, JSON for programs, or Markdown for documents.",
)
@as_json
@pass_context
def facts(context: Context, form: str, *, json_: bool) -> None:
    """Show every fact that may be collected, and why.

    With its key, its attributes, their types and what values they may have. --json is
    --format json. Exits with 0.

    \b
    Example:
      otel-usage facts --format markdown
    """
    if not context.is_declared:
        click.echo(f"Only the built-in facts: {context.unknown}.", err=True)
    if json_ or form == "json":
        print_json(rows(context.app))
    elif form == "markdown":
        click.echo(as_markdown(context.app))
    else:
        columns = ("key, and its attributes", "why, and what these may hold")
        print_table(f"What {context.app.name} may report", columns, _lines(context.app))
        click.echo("Every value and pattern: otel-usage facts --format json")


def rows(app: App) -> list[dict[str, Any]]:
    """Return the table of an app, a dict for each fact, in the order of the file."""
    return [
        {
            "key": fact.key,
            "in_file": fact.in_file,
            "on": fact.on,
            "why": fact.why,
            "since": fact.since,
            "deprecated": fact.deprecated,
            "attributes": [
                {
                    "name": a.name,
                    "place": a.place,
                    "type": NAMES[a.type],
                    "unit": a.unit,
                    "step": a.step,
                    "minimum": a.minimum,
                    "maximum": a.maximum,
                    "values": list(a.values) if a.values else None,
                    "pattern": a.pattern,
                    "open": a.open,
                }
                for a in app.attributes_of[fact.key]
            ],
        }
        for fact in app.facts_by_key.values()
    ]


def as_markdown(app: App) -> str:
    """Return the table of an app in Markdown."""
    lines = ["| key in the file | attribute | type | allowed | why |", "|---|---|---|---|---|"]
    for fact in app.facts_by_key.values():
        attributes = app.attributes_of[fact.key]
        cells = (
            f"`{fact.key}`" if fact.in_file else OTLP_ONLY,
            "<br>".join(f"`{a.name}`" for a in attributes),
            "<br>".join(_type(a) for a in attributes),
            "<br>".join(_allowed(a, "`{}`") for a in attributes),
            fact.why,
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _lines(app: App) -> Iterator[tuple[str, str]]:
    """Yield a line for each fact and, below it, one for each of its attributes."""
    for fact in app.facts_by_key.values():
        yield fact.key if fact.in_file else OTLP_ONLY, fact.why
        for a in app.attributes_of[fact.key]:
            yield f"  {a.name}", "; ".join(filter(None, (_type(a), _allowed(a, "{}"))))


def _type(attribute: Attribute) -> str:
    return NAMES[attribute.type] + (f", {attribute.unit}" if attribute.unit else "")


def _allowed(attribute: Attribute, code: str) -> str:
    if attribute.values is not None:
        shown = ", ".join(attribute.values[:FEW])
        return shown if len(attribute.values) <= FEW else f"{shown} and {len(attribute.values) - FEW} more"
    if attribute.open is not None:
        return f"free text: {attribute.open}"
    if attribute.pattern is not None:
        short = len(attribute.pattern) < LONGEST_PATTERN
        return f"matches {code.format(attribute.pattern)}" if short else "a published form"
    if attribute.minimum is not None and attribute.maximum is not None:
        bounds = f"{_number(attribute.minimum, attribute)} to {_number(attribute.maximum, attribute)}"
        return bounds if attribute.step is None else f"{bounds}, in steps of {_number(attribute.step, attribute)}"
    return ""


def _number(value: float, attribute: Attribute) -> str:
    """Return a number as it is, but for many bytes, which are counted in GiB."""
    return f"{value / GIB:g} GiB" if attribute.unit == "By" and value >= GIB else f"{value:.15g}"
