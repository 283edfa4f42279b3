"""`report` makes one report now; `preview` shows what it would be, and sends and writes nothing."""

from __future__ import annotations

import difflib
import json
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import Context, as_json, because, pass_context, print_json, print_table, printable
from otel_usage.cli.table import OTLP_ONLY
from otel_usage.consent import LOCAL, OFF, ON
from otel_usage.delivery.exporters.outcome import STOPPED
from otel_usage.delivery.local_file import local_file, record
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.delivery.sending import assign
from otel_usage.detect import Detection
from otel_usage.facts.admission import admit_attributes
from otel_usage.facts.report import Report, assemble, known_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.consent import Decision
    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.exporters.outcome import Outcome
    from otel_usage.delivery.gate import Gate
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Fact, Scalar

OWN = ("uuid", "log_time")
WORDS = {"true": True, "false": False}
PATIENCE = 5.0
TIMEOUT = 3.0

set_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A fact that is known; null for none."
)


@click.command()
@set_option
@as_json
@pass_context
def report(context: Context, settings: tuple[str, ...], *, json_: bool) -> int:
    """Make one report now, and say what became of it.

    What was recorded, where, and what the collector answered.

    Exits with 1 when reporting is off, when the line could not be written or a destination did not take it.

    \b
    Example:
      otel-usage report --set dtype=torch.float16 --set context=API_SERVER
      OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 otel-usage report
    """
    start = time.monotonic()
    app, gate = context.app, context.gate
    known = _known(app, settings)
    decision = gate.decide()
    if decision.mode == OFF:
        return _say_off(context, decision, json_=json_)
    made = _make(app, known)
    recorded = record(made, gate)
    pairs = assign(made, gate, recorded=recorded) if decision.mode == ON else []
    deliveries = _deliver(pairs, gate, start + PATIENCE)
    if json_:
        print_json(_as_json(context, decision, made.line, deliveries))
    else:
        _say(context, decision, made.line, deliveries, recorded=recorded)
    return int(not recorded or not all(outcome.ok for _, outcome in deliveries))


@click.command()
@set_option
@click.option("--format", "form", type=click.Choice(["table", "json", "otlp"]), default="table", show_default=True,
              help="A table, the line of the file, or the OTLP request.")  # fmt: skip
@pass_context
def preview(context: Context, settings: tuple[str, ...], form: str) -> None:
    """Show exactly what would be sent; send and write nothing.

    It equals the report that follows, but for uuid, ids and time.

    \b
    Example:
      otel-usage preview --format otlp
    """
    app = context.app
    made = _make(app, _known(app, settings))
    if form == "json":
        click.echo(made.line)
    elif form == "otlp":
        print_json(_as_otlp(made, context.gate.destinations))
    else:
        columns = ("fact, and its attributes over OTLP", "value")
        print_table(f"What {app.name} would report", columns, _lines(made))
    decision = context.gate.decide()
    if decision.mode != ON:
        missing = "recorded or sent" if decision.mode == OFF else "sent"
        reason = f"{app.name} reports are {decision.mode}, {because(decision)}"
        click.echo(f"Nothing of this would be {missing}: {reason}.", err=True)


def _known(app: App, settings: tuple[str, ...]) -> dict[str, Scalar | None]:
    """Read KEY=VALUE by the declared types; raises click.UsageError."""
    given: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        fact = app.facts_by_key.get(key)
        if not equals:
            message = f"--set {printable(setting)}: write it as KEY=VALUE"
            raise click.UsageError(message)
        if key in OWN:
            message = f"--set {key}: each report makes its own"
            raise click.UsageError(message)
        if fact is None or key not in app.report_keys:
            keys = [known for known in app.report_keys if known not in OWN]
            nearest = difflib.get_close_matches(key, keys, n=3, cutoff=0)
            message = f"--set {printable(key)}: {app.name} declares no such fact; the nearest are {', '.join(nearest)}"
            raise click.UsageError(message)
        given[key] = _value(fact, text)
    known, problems = known_facts(app, given)
    if problems:
        message = f"--set: {printable('; '.join(problems))}"
        raise click.UsageError(message)
    return known


def _value(fact: Fact, text: str) -> object:
    if text == "null":
        return None
    try:
        return WORDS[text.lower()] if fact.type is bool else fact.type(text)
    except (ValueError, KeyError):
        wanted = "true or false" if fact.type is bool else "an integer" if fact.type is int else "a number"
        message = f"--set {fact.key}={printable(text)}: the value must be {wanted}, or null"
        raise click.UsageError(message) from None


def _make(app: App, known: dict[str, Scalar | None]) -> Report:
    """Make a report of this machine and of what is known."""
    return assemble(app, known, Detection(known=frozenset(known)).facts())


def _deliver(pairs: list[tuple[Report, Destination]], gate: Gate, until: float) -> list[tuple[Destination, Outcome]]:
    """Send the reports side by side, in threads that an interrupted command does not wait for.

    What is not taken waits in the outbox for a later run.
    """
    outcomes: dict[Destination, Outcome] = {}

    def deliver(pending: PendingReport) -> None:
        pending.keep()
        pending.attempt(limit=max(until - time.monotonic(), 0.1), timeout=TIMEOUT)
        outcomes[pending.destination] = pending.outcome or STOPPED

    threads = [threading.Thread(target=deliver, args=(PendingReport(*pair, gate),), daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [(to, outcomes[to]) for _, to in pairs]


def _say_off(context: Context, decision: Decision, *, json_: bool) -> int:
    if json_:
        print_json(_as_json(context, decision, None, []))
    click.echo(f"{context.app.name} reports are off, {because(decision)}: nothing was recorded or sent.", err=json_)
    return 1


def _as_json(
    context: Context, decision: Decision, line: str | None, deliveries: list[tuple[Destination, Outcome]]
) -> dict[str, object]:
    return {
        "app": context.app.name,
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "line": line,
        "path": local_file(context.gate.directory),
        "deliveries": [
            {"destination": to.kind, "endpoint": to.endpoint, "ok": outcome.ok, "detail": outcome.detail}
            for to, outcome in deliveries
        ],
    }


def _say(
    context: Context, decision: Decision, line: str, deliveries: list[tuple[Destination, Outcome]], *, recorded: bool
) -> None:
    click.echo(line)
    click.echo()
    click.echo(f"mode      {decision.mode}, {because(decision)}")
    path = printable(local_file(context.gate.directory) or "a directory that there is not")
    click.echo(f"recorded  in {path}" if recorded else f"recorded  NOT: {path} can't be written")
    for to, outcome in deliveries:
        later = "; a later run tries again" if outcome.again else ""
        click.echo(f"sent      to {printable(to.endpoint)}: {printable(outcome.detail)}{later}")
    if not deliveries:
        reason = "the mode is local" if decision.mode == LOCAL else "no destination is set"
        click.echo(f"sent      nowhere, since {reason}")


def _as_otlp(made: Report, destinations: Sequence[Destination]) -> dict[str, Any]:
    """Return the request to the first destination that takes OTLP; without one, the project's."""
    by_otlp = (to for to in destinations if to.wire != "json")
    exact_time = any(to.gets_exact_time(made.app) for to in islice(by_otlp, 1))
    try:
        from otel_usage.cli.otlp import as_otlp_json  # noqa: PLC0415 -- loads the SDK

        return as_otlp_json(made, exact_time=exact_time)
    except Exception as error:  # a broken OTEL_* variable can make the SDK raise anything
        message = f"OpenTelemetry failed to load or to run: {error}"
        raise click.ClickException(message) from error


def _lines(made: Report) -> Iterator[tuple[str, str]]:
    """Yield a line for each fact, as in the file, and below it one for each attribute that leaves for it."""
    app = made.app
    places = [admit_attributes(app, made.attributes(place), place)[0] for place in ("resource", "span")]
    left = {name: value for attributes in places for name, value in attributes.items()}
    for key, value in made.values.items():
        yield key, _shown(value)
        names = [attribute.name for attribute in app.attributes_of[key] if value is not None and attribute.name in left]
        yield from ((f"  {name}", _shown(left.pop(name))) for name in names)
    yield OTLP_ONLY, ""
    yield from ((f"  {name}", _shown(value)) for name, value in left.items())


def _shown(value: Scalar | None) -> str:
    return printable(value) if isinstance(value, str) else json.dumps(value)
