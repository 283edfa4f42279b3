"""`report` makes one report now, and says what became of it."""

from __future__ import annotations

import difflib
import os
import threading
import time
from typing import TYPE_CHECKING

import click

from otel_usage.cli.common import (
    Context,
    as_json,
    because,
    engine_as_objects,
    engine_sends,
    pass_context,
    print_json,
    printable,
)
from otel_usage.cli.completion import complete_set
from otel_usage.consent import LOCAL, OFF, ON
from otel_usage.delivery.exporters.outcome import STOPPED
from otel_usage.delivery.local_file import local_file, record_or_say
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.delivery.sending import assign
from otel_usage.detect import Detection
from otel_usage.facts.report import Report, assemble, known_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_usage.consent import Decision
    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.exporters.outcome import Outcome
    from otel_usage.delivery.gate import Gate
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Fact, Scalar

OWN = ("uuid", "log_time")
WORDS = {"true": True, "false": False}
# How alike a key must be to be suggested, from 0 to 1; a word in common counts from so many letters on.
ALIKE, SHORTEST_WORD, MOST_NEAREST, LONGEST_KEY = 0.8, 3, 3, 64
PATIENCE = 5.0
TIMEOUT = 3.0

set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_set,
    help="A fact that is known; null for none.",
)


@click.command()
@set_option
@as_json
@pass_context
def report(context: Context, settings: tuple[str, ...], *, json_: bool) -> int:
    """Make one report now, and say what became of it.

    What was recorded, where, and what the collector answered. It is sent only where you name a destination:
    OTEL_EXPORTER_OTLP_ENDPOINT for a collector of your own, <APP>_USAGE_STATS_SERVER in place of the project's; the
    project's endpoint is an engine's to give. For an engine OTEL_EXPORTER_OTLP_ENDPOINT adds your collector to the
    project's endpoint; with OTEL_USAGE_EXPORTER=otlp beside it, yours is the only one.

    Exits with 1 when reporting is off, when the line could not be written or a destination did not take it.

    \b
    Example:
      otel-usage report --set dtype=torch.float16 --set context=API_SERVER
      OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 otel-usage report
    """
    start = time.monotonic()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes to the terminal by itself, beside what is said here
    app, gate = context.app, context.gate
    known = known_by(app, settings)
    decision = gate.decide()
    if decision.mode == OFF:
        return _say_off(context, decision, json_=json_)
    made = make(app, known)
    error = record_or_say(made, gate)
    pairs = assign(made, gate, recorded=error is None) if decision.mode == ON else []
    deliveries = _deliver(pairs, gate, start + PATIENCE)
    if json_:
        print_json(_as_json(context, decision, made, deliveries, error))
    else:
        _say(context, decision, made, deliveries, error)
    return int(error is not None or not all(outcome.ok for _, outcome in deliveries))


def known_by(app: App, settings: tuple[str, ...]) -> dict[str, Scalar | None]:
    """Read KEY=VALUE by the declared types; raises click.UsageError."""
    given: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            message = f"--set {printable(setting)}: write it as KEY=VALUE"
            raise click.UsageError(message)
        if key in OWN:
            message = f"--set {key}: each report makes its own"
            raise click.UsageError(message)
        if key not in app.report_keys:
            raise click.UsageError(_unknown_key(app, key))
        given[key] = _value(app.facts_by_key[key], text)
    known, problems = known_facts(app, given)
    if problems:
        message = f"--set: {printable('; '.join(problems))}"
        raise click.UsageError(message)
    return known


def _unknown_key(app: App, key: str) -> str:
    """Say what is wrong with a key that is none of a report's: whose it is, or which are close."""
    fact = app.facts_by_key.get(key)
    if fact is not None and fact.on == "heartbeat":
        return f"--set {key}: it belongs to the heartbeat, which a run sends while it lives; a report has none of it"
    nearest = _nearest(key, [known for known in app.report_keys if known not in OWN])
    verb = "is" if len(nearest) == 1 else "are"
    cure = f"the nearest {verb} {', '.join(nearest)}" if nearest else "`otel-usage facts` lists them"
    return f"--set {printable(key)}: {app.name} declares no such fact; {cure}"


def _nearest(key: str, known: Sequence[str]) -> list[str]:
    """Return the keys that are spelled alike, or that have a whole word in common; none where none is close."""
    alike = difflib.get_close_matches(key[:LONGEST_KEY], known, n=MOST_NEAREST, cutoff=ALIKE)
    words = {word for word in key.lower().split("_") if len(word) >= SHORTEST_WORD}
    sharing = [other for other in known if words & set(other.split("_")) and other not in alike]
    return [*alike, *sharing][:MOST_NEAREST]


def _value(fact: Fact, text: str) -> object:
    if text == "null":
        return None
    try:
        return WORDS[text.lower()] if fact.type is bool else fact.type(text)
    except (ValueError, KeyError):
        wanted = "true or false" if fact.type is bool else "an integer" if fact.type is int else "a number"
        message = f"--set {fact.key}={printable(text)}: the value must be {wanted}, or null"
        raise click.UsageError(message) from None


def make(app: App, known: dict[str, Scalar | None]) -> Report:
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
        print_json(_as_json(context, decision, None, [], None))
    click.echo(f"{context.app.name} reports are off, {because(decision)}: nothing was recorded or sent.", err=json_)
    return 1


def _as_json(
    context: Context,
    decision: Decision,
    made: Report | None,
    deliveries: list[tuple[Destination, Outcome]],
    error: str | None,
) -> dict[str, object]:
    return {
        "app": context.app.name,
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "line": None if made is None else made.values,
        "recorded": made is not None and error is None,
        "error": error,
        "path": local_file(context.gate.directory),
        "deliveries": [
            {"destination": to.kind, "endpoint": to.endpoint, "ok": outcome.ok, "detail": outcome.detail}
            for to, outcome in deliveries
        ],
        "engine_destinations": engine_as_objects(context),
    }


def _say(
    context: Context,
    decision: Decision,
    made: Report,
    deliveries: list[tuple[Destination, Outcome]],
    error: str | None,
) -> None:
    click.echo(made.line)
    click.echo()
    click.echo(f"mode      {decision.mode}, {because(decision)}")
    click.echo(f"engine    {engine_sends(context, decision.mode)}")
    path = printable(local_file(context.gate.directory) or "a directory that there is not")
    recorded = f"in {path}" if error is None else f"NOT: {path} can't be written: {printable(error)}"
    click.echo(f"recorded  {recorded}")
    for to, outcome in deliveries:
        later = "; a later run tries again" if outcome.again else ""
        click.echo(f"sent      to {printable(to.endpoint)}: {printable(outcome.detail)}{later}")
    if not deliveries:
        click.echo(f"sent      nowhere, since {_why_nowhere(context, decision.mode)}")


def _why_nowhere(context: Context, mode: str) -> str:
    if mode == LOCAL:
        return "the mode is local"
    if context.gate.destinations:
        return "what can't be recorded here is not sent to the project"
    return "this command gives no endpoint of its own, and you name none"
