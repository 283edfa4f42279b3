"""`status`: what is decided, by whom, and where things are."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from otel_usage.cli.common import Context, as_json, because, pass_context, print_json, print_table, printable
from otel_usage.consent import signals
from otel_usage.delivery import outbox
from otel_usage.delivery.local_file import local_file
from otel_usage.delivery.log import last_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command()
@as_json
@pass_context
def status(context: Context, *, json_: bool) -> None:
    """Show the mode and what decided it.

    Every signal with its value, the destinations, the local file, what waits to be sent, and the last delivery.

    \b
    Example:
      otel-usage status
    """
    app, gate = context.app, context.gate
    decision = gate.decide()
    found = list(signals(app.name, os.environ, loopback=gate.loopback))
    queue = _outbox(gate.directory)
    last = last_delivery(gate.directory)
    warnings = app.warnings(os.environ)
    if json_:
        print_json({
            "app": app.name,
            "mode": decision.mode,
            "decided_by": decision.decided_by,
            "signals": [{"name": s.name, "value": s.value, "means": s.means} for s in found],
            "destinations": [
                {"destination": to.kind, "endpoint": to.endpoint, "wire": to.wire} for to in gate.destinations
            ],
            "file": local_file(gate.directory),
            "outbox": queue,
            "last_delivery": last,
            "warnings": warnings,
        })  # fmt: skip
        return
    click.echo(f"{app.name} reports are {decision.mode}, {because(decision)}.\n")
    rows = [(printable(s.name), printable(s.value or ""), s.means or "") for s in found]
    print_table("Signals; any off wins, then any local", ("signal", "value", "means"), rows)
    places = [f"{printable(to.endpoint)} ({to.kind}, {printable(to.wire)})" for to in gate.destinations]
    click.echo(f"\ndestinations   {', '.join(places) or 'none'}")
    click.echo(f"local file     {printable(local_file(gate.directory) or 'none')}")
    waiting = f"{queue['count']} unsent, {queue['bytes']} bytes, the oldest of {queue['oldest']}"
    click.echo(f"waiting        {waiting if queue['count'] else 'nothing'}")
    click.echo(f"last delivery  {_in_words(last)}")
    for warning in warnings:
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
