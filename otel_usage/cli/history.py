"""`show` reads the local history; `forget` deletes it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import (
    Context,
    as_json,
    complain,
    pass_context,
    pass_contexts,
    print_apps,
    print_json,
    print_table,
    printable,
)
from otel_usage.cli.settings import forget as delete
from otel_usage.delivery.local_file import local_file
from otel_usage.system.private_files import read_objects

if TYPE_CHECKING:
    from otel_usage.facts.app import App

GIB = 2**30


@click.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=10, show_default=True, help="How many, newest last.")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False), help="Write a page of all that is recorded.")
@as_json
@pass_context
def show(context: Context, count: int, *, html: str | None, json_: bool) -> None:
    """Show what was recorded on this machine, newest last.

    Times are in UTC. The file is usage_stats.json in $<APP>_CONFIG_ROOT, $XDG_CONFIG_HOME/<app> or ~/.config/<app>;
    `otel-usage status` names it. Exits with 0, also where nothing is recorded.

    \b
    Example:
      otel-usage show -n 3
    """
    path = local_file(context.gate.directory)
    app = context.app
    if html is not None:
        _write_page(app, path or "", html)
        return
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


def _write_page(app: App, path: str, html: str) -> None:
    """Write the page of all that is recorded, whatever its age."""
    from otel_usage.insights.page import show_page

    try:
        text = show_page(app, path, _entries(path))
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from error
    with open(html, "w", encoding="utf-8") as file:
        file.write(text)
    click.echo(printable(html))


@click.command()
@as_json
@pass_contexts
def forget(contexts: list[Context], *, json_: bool) -> int:
    """Delete the local history and what waits to be sent.

    Of every app, or one; the mode stays. Exits with 1 where something can't be deleted, after all else is.

    \b
    Example:
      otel-usage forget
    """
    results = [(context.name, *_forget(context)) for context in contexts]
    errors = [error for _, _, error in results if error is not None]
    if json_:
        print_apps([{"app": name, "deleted": gone, "error": error} for name, gone, error in results])
        return int(bool(errors))
    deleted = [f"deleted {printable(path)}" for _, gone, _ in results for path in gone]
    if deleted or not errors:
        click.echo("\n".join(deleted) or "There was nothing to delete.")
    for error in errors:
        complain(error)
    return int(bool(errors))


def _forget(context: Context) -> tuple[list[str], str | None]:
    """Delete what is an app's; return what is gone, and why something is not."""
    try:
        return delete(context.directory), None
    except OSError as error:
        return [], f"can't delete {error.filename}: {error.strerror}"
    except click.ClickException as error:
        return [], error.message


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
        [_in_utc(values.get("log_time")), ", ".join(filter(None, kind))],
        [cpus + size if "num_cpu" in values else "", gpus],
        [", ".join(f"{key}={values[key]}" for key in declared)],
    ]


def _in_utc(nanoseconds: Any) -> str:  # noqa: ANN401 -- whatever a line that others may have written holds
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(nanoseconds / 1e9))
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
