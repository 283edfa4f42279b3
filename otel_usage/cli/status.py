"""`status`: what is decided, by whom, and where things are; `apps` lists whom it is decided for."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import (
    Context,
    as_json,
    as_objects,
    because,
    engine_as_objects,
    engine_sends,
    pass_contexts,
    places,
    print_apps,
    print_json,
    print_table,
    printable,
)
from otel_usage.consent import ON, signals
from otel_usage.delivery import outbox
from otel_usage.delivery.local_file import local_file
from otel_usage.delivery.log import last_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_usage.consent import Decision, Signal


@click.command()
@as_json
@pass_contexts
def status(contexts: list[Context], *, json_: bool) -> None:
    """Show the mode and what decided it, for every app or one.

    Where an engine's own run sends, every signal with its value, the local file, what waits to be sent, and the last
    delivery, with times in UTC.

    The environment variables that decide: DO_NOT_TRACK, <APP>_DO_NOT_TRACK, <APP>_NO_USAGE_STATS, OTEL_SDK_DISABLED and
    OTEL_USAGE_EXPORTER, and where to: OTEL_EXPORTER_OTLP_ENDPOINT, <APP>_USAGE_STATS_SERVER. Exits with 0, whatever the
    mode is.

    \b
    Example:
      otel-usage status
      otel-usage status --app vllm --json
    """
    found = [_found(context) for context in contexts]
    if json_:
        print_apps(found)
        return
    for number, (context, one) in enumerate(zip(contexts, found, strict=True)):
        if number:
            click.echo()
        _say(context, one)


@click.command()
@as_json
@click.pass_context
def apps(context: click.Context, *, json_: bool) -> None:
    """List every app that reports here, with mode and endpoint.

    An app is here where an installed package declares it, in the entry-point group otel_usage.apps, or where the user's
    directory has files of its reports. Exits with 0.

    \b
    Example:
      otel-usage apps
    """
    contexts = context.obj.each()
    decisions = [one.gate.decide() for one in contexts]
    if json_:
        print_json({"apps": [_listed(*pair) for pair in zip(contexts, decisions, strict=True)]})
        return
    rows = []
    for one, decision in zip(contexts, decisions, strict=True):
        to = one.engine_destinations
        where = f"not known here: {printable(one.unknown or '')}" if to is None else places(to) or "nowhere"
        rows.append((one.name, decision.mode, where))
    print_table("Apps", ("app", "mode", "an engine's own run sends to"), rows)


def _listed(context: Context, decision: Decision) -> dict[str, Any]:
    return {
        "app": context.name,
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "declared": context.is_declared,
        "endpoint": None if context.unknown else context.app.endpoint,
        "engine_destinations": engine_as_objects(context),
    }


def _found(context: Context) -> dict[str, Any]:
    """Return what is found of an app, as JSON has it."""
    gate = context.gate
    decision = gate.decide()
    untold = f"what {context.name} declares, its default mode too, is not known here: {context.unknown}"
    return {
        "app": context.name,
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "signals": [_as_object(signal) for signal in signals(context.name, os.environ, loopback=gate.loopback)],
        "destinations": as_objects(gate.destinations),
        "file": local_file(gate.directory),
        "outbox": _outbox(gate.directory),
        "last_delivery": last_delivery(gate.directory),
        "warnings": [*gate.app.warnings(os.environ), *([untold] if context.unknown else [])],
        "engine_destinations": engine_as_objects(context),
        "default": None if context.unknown else context.app.default,
    }


def _as_object(signal: Signal) -> dict[str, str | None]:
    return {"name": signal.name, "value": signal.value, "means": signal.means}


def _say(context: Context, found: Mapping[str, Any]) -> None:
    """Print what is found of an app for people: the decision and where to first, then what it is made of."""
    gate, mode = context.gate, found["mode"]
    click.echo(f"{context.name} reports are {mode}, {because(gate.decide())}.")
    click.echo(f"An engine's own run {engine_sends(context, mode)}.")
    own = f"to {places(gate.destinations)}" if gate.destinations else "nowhere: you name no destination of your own"
    click.echo(f"`otel-usage report` {'sends' if mode == ON else 'would send'} {own}.\n")
    rows = [tuple(printable(signal[key] or "") for key in ("name", "value", "means")) for signal in found["signals"]]
    print_table("Signals; any off wins, then any local", ("signal", "value", "means"), rows)
    chosen = "not known here" if found["default"] is None else f"{found['default']}, chosen by {context.name}"
    click.echo(f"\ndefault        {chosen}")
    click.echo(f"local file     {printable(found['file'] or 'none')}")
    queue = found["outbox"]
    waiting = f"{queue['count']} unsent, {queue['bytes']} bytes, the oldest of {queue['oldest']}"
    click.echo(f"waiting        {waiting if queue['count'] else 'nothing'}")
    click.echo(f"last delivery  {_in_words(found['last_delivery'])}")
    for warning in found["warnings"]:
        click.echo(f"warning        {printable(warning)}")


def _outbox(directory: str | None) -> dict[str, object]:
    count, size, oldest = outbox.depth(directory) if directory else (0, 0, None)
    return {
        "count": count,
        "bytes": size,
        "oldest": None if oldest is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(oldest)),
    }


def _in_words(last: Mapping[str, object] | None) -> str:
    if last is None:
        return "none"
    return printable(f"{last.get('time')} to {last.get('endpoint')}: {last.get('detail')}")
