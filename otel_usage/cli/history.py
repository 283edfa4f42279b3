"""`show` reads the local history; `forget` deletes it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import Context, as_json, pass_context, print_json, print_table, printable
from otel_usage.cli.settings import forget as delete
from otel_usage.delivery.local_file import local_file
from otel_usage.system.private_files import read_objects

if TYPE_CHECKING:
    from otel_usage.facts.app import App

GIB = 2**30


@click.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=10, show_default=True, help="How many, newest last.")
@as_json
@pass_context
def show(context: Context, count: int, *, json_: bool) -> None:
    """Show what was recorded on this machine, newest last.

    \b
    Example:
      otel-usage show -n 3
    """
    app = context.app
    path = local_file(context.gate.directory)
    entries = _entries(path)[-count:]
    if json_:
        print_json(entries)
        return
    if not entries:
        click.echo(f"Nothing is recorded in {printable(path or 'any directory')}.")
        return
    columns = ("report", "machine", "settings")
    rows = [["\n".join(printable(line) for line in cell if line) for cell in _row(app, entry)] for entry in entries]
    print_table(printable(path or ""), columns, rows)


@click.command()
@pass_context
def forget(context: Context) -> None:
    """Delete the local history and what waits to be sent.

    \b
    Example:
      otel-usage forget
    """
    try:
        gone = delete(context.directory)
    except OSError as error:
        message = f"can't delete {error.filename}: {error.strerror}"
        raise click.ClickException(message) from error
    click.echo("\n".join(f"deleted {printable(path)}" for path in gone) or "There was nothing to delete.")


def _entries(path: str | None) -> list[dict[str, Any]]:
    """Return the reports of the local file; a torn line is passed over, one written twice counts once."""
    found: dict[str, dict[str, Any]] = {}
    for entry in read_objects(path) if path else ():
        found.setdefault(json.dumps([entry.get("uuid"), entry.get("log_time")]), entry)
    return list(found.values())


def _row(app: App, entry: dict[str, Any]) -> list[list[str]]:
    """Return the lines of each cell."""
    values = {key: value for key, value in entry.items() if value is not None}
    memory = values.get("total_memory")
    cpus = f"{values.get('num_cpu', '?')} x {values.get('cpu_type', '?')}"
    size = f", {(memory + GIB // 2) // GIB} GiB" if isinstance(memory, int) else ""
    gpus = f"{values['gpu_count']} x {values.get('gpu_type', '?')}" if values.get("gpu_count") else ""
    declared = [fact.key for fact in app.facts if fact.key in values]
    kind = [str(values.get(key, instead)) for key, instead in (("context", "heartbeat"), (app.version_key, ""))]
    return [
        [_local_time(values.get("log_time")), ", ".join(filter(None, kind))],
        [cpus + size if "num_cpu" in values else "", gpus],
        [", ".join(f"{key}={values[key]}" for key in declared)],
    ]


def _local_time(nanoseconds: Any) -> str:  # noqa: ANN401 -- whatever a line that others may have written holds
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(nanoseconds / 1e9))
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
