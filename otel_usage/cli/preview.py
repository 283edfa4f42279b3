"""`preview` shows all that an engine's run sends, and sends and writes nothing."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import (
    Context,
    as_json,
    because,
    engine_sends,
    pass_context,
    places,
    print_json,
    print_table,
    printable,
)
from otel_usage.cli.report import known_by, make, set_option
from otel_usage.cli.table import OTLP_ONLY
from otel_usage.consent import OFF, ON
from otel_usage.facts.admission import admit_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_usage.consent import Decision
    from otel_usage.delivery.destination import Destination
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Scalar
    from otel_usage.facts.report import Report

ENGINES = "(the engine's)"
INTERVAL = 600


@click.command()
@set_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "otlp"]),
    default="table",
    show_default=True,
    help="A table, the line of the file, or the OTLP request.",
)
@as_json
@pass_context
def preview(context: Context, settings: tuple[str, ...], form: str, *, json_: bool) -> None:
    """Show what an engine's run sends; send and write nothing.

    First the mode and where to, then the report: it equals the one that follows, but for uuid, ids and time. What only
    a running engine knows is marked so. Then what its heartbeats hold, and how often there is one. --json is
    --format json. Exits with 0, also when off.

    \b
    Example:
      otel-usage preview --format otlp
    """
    app = context.app
    known = known_by(app, settings)
    made = make(app, known)
    decision = context.gate.decide()
    if json_ or form == "json":
        click.echo(made.line)
        _say_what_is_not_sent(app, decision)
    elif form == "otlp":
        print_json(_as_otlp(made, context.gate.destinations))
        _say_what_is_not_sent(app, decision)
        _say_who_takes_it(context)
    else:
        _say(context, decision, made, known)


def _say_what_is_not_sent(app: App, decision: Decision) -> None:
    """Say on the errors that nothing of it would be sent, so that the output stays what a program reads."""
    if decision.mode != ON:
        missing = "recorded or sent" if decision.mode == OFF else "sent"
        reason = f"{app.name} reports are {decision.mode}, {because(decision)}"
        click.echo(f"Nothing of this would be {missing}: {reason}.", err=True)


def _say_who_takes_it(context: Context) -> None:
    """Say on the errors where no destination takes OTLP, but the line of the file instead."""
    to = context.engine_destinations
    if to and all(one.wire == "json" for one in to):
        click.echo(f"{places(to)} takes the line of --format json; a collector of yours would get this.", err=True)


def _say(context: Context, decision: Decision, made: Report, known: Mapping[str, Scalar | None]) -> None:
    """Show all of it to people: the mode, where to, the report, the heartbeat."""
    app = context.app
    click.echo(f"{app.name} reports are {decision.mode}, {because(decision)}. This command sends and writes nothing.")
    click.echo(f"An engine's own run {engine_sends(context, decision.mode)}.")
    if context.unknown:
        click.echo("So the facts that it declares itself are not among these.")
    click.echo()
    columns = ("fact, and its attributes over OTLP", "value")
    print_table(f"What {app.name} would report, once a run", columns, _lines(made, known))
    click.echo(f"{ENGINES}: known to a running engine alone; --set KEY=VALUE shows what it would be.")
    hour = [to for to in context.engine_destinations or () if to.wire != "json" and not to.gets_exact_time(app)]
    if hour:
        click.echo(f"The time leaves as that of the span, cut to the hour: to {places(hour)}.")
    click.echo(f"\nThen a heartbeat every {INTERVAL} s, give or take a tenth, unless the engine chooses another time:")
    click.echo(f"in the file  {', '.join(app.heartbeat_keys)}")
    names = [
        attribute.name
        for fact in app.facts_by_key.values()
        if fact.on == "heartbeat"
        for attribute in app.attributes_of[fact.key]
    ]
    click.echo(f"over OTLP    the resource attributes of the report, and {', '.join(names)}")


def _as_otlp(made: Report, destinations: Sequence[Destination]) -> dict[str, Any]:
    """Return the request to the first destination that takes OTLP; without one, the project's."""
    by_otlp = (to for to in destinations if to.wire != "json")
    exact_time = any(to.gets_exact_time(made.app) for to in islice(by_otlp, 1))
    try:
        from otel_usage.cli.otlp import as_otlp_json  # loads the SDK

        return as_otlp_json(made, exact_time=exact_time)
    except click.ClickException:
        raise
    except Exception as error:  # a broken OTEL_* variable can make the SDK raise anything
        message = f"OpenTelemetry failed to load or to run: {error}"
        raise click.ClickException(message) from error


def _lines(made: Report, known: Mapping[str, Scalar | None]) -> Iterator[tuple[str, str]]:
    """Yield a line for each fact, as in the file, and below it one for each attribute that leaves for it."""
    app = made.app
    at_both = [admit_attributes(app, made.attributes(place), place)[0] for place in ("resource", "span")]
    left = {name: value for attributes in at_both for name, value in attributes.items()}
    engines = {fact.key for fact in app.facts} | {app.version_key}
    for key, value in made.values.items():
        is_engines = value is None and key in engines and key not in known
        yield key, ENGINES if is_engines else _shown(value)
        names = [attribute.name for attribute in app.attributes_of[key] if value is not None and attribute.name in left]
        yield from ((f"  {name}", _shown(left.pop(name))) for name in names)
    yield OTLP_ONLY, ""
    yield from ((f"  {name}", _shown(value)) for name, value in left.items())


def _shown(value: Scalar | None) -> str:
    return printable(value) if isinstance(value, str) else json.dumps(value)
