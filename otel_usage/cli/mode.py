"""`on`, `local`, `off`: set the mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import (
    Context,
    as_json,
    because,
    complain,
    engine_as_objects,
    engine_sends,
    pass_context,
    pass_contexts,
    print_apps,
    printable,
)
from otel_usage.cli.settings import set_mode
from otel_usage.consent import LOCAL, OFF, ON

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.command()
@as_json
@pass_context
def on(context: Context, *, json_: bool) -> int:
    """Record reports in the local file and send them.

    From now on, for one app. What was collected before stays unsent. Exits with 1 where another signal still wins,
    such as DO_NOT_TRACK in the environment; it is named.

    \b
    Example:
      otel-usage on
    """
    return _set([context], ON, json_=json_)


@click.command()
@as_json
@pass_contexts
def local(contexts: list[Context], *, json_: bool) -> int:
    """Record reports in the local file only, and send nothing.

    For every app, or one. OTEL_USAGE_EXPORTER=none in the environment does the same for all. Exits with 1 where it
    fails for one, or another signal still wins.

    \b
    Example:
      otel-usage local
    """
    return _set(contexts, LOCAL, json_=json_)


@click.command()
@as_json
@pass_contexts
def off(contexts: list[Context], *, json_: bool) -> int:
    """Stop recording and sending.

    For every app, or one; what waits to be sent is deleted. It needs no app that can be loaded. DO_NOT_TRACK=1 in
    the environment stops all as well, without a file. Exits with 1 where it fails for one, after all others are
    off.

    \b
    Example:
      otel-usage off
      otel-usage off --app myengine
    """
    return _set(contexts, OFF, json_=json_)


def _set(contexts: Iterable[Context], mode: str, *, json_: bool) -> int:
    """Set the mode of each app, say what changed and what could not be done; 1 where it does not hold for one."""
    results = []
    for context in contexts:
        results.append(_set_one(context, mode))
        if not json_:
            _say(context, results[-1])
    if json_:
        print_apps(results)
    return int(not all(result["ok"] for result in results))


def _set_one(context: Context, mode: str) -> dict[str, Any]:
    """Set the mode of one app, and return what became of it."""
    changes: list[str] = []
    try:
        changes, problems = set_mode(context.directory, mode)
        error = None
    except OSError as failed:
        problems = []
        error = f"can't write {failed.filename}: {failed.strerror}; DO_NOT_TRACK=1 in the environment works without"
    except click.ClickException as failed:
        problems, error = [], failed.message
    decision = context.plain_gate.decide()
    if error is None and decision.mode != mode:
        problems.append(f"{context.name} reports stay {decision.mode} all the same, {because(decision)}.")
    return {
        "app": context.name,
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "ok": error is None and decision.mode == mode,
        "changes": changes,
        "problems": problems,
        "error": error,
        **({"engine_destinations": engine_as_objects(context)} if mode == ON else {}),
    }


def _say(context: Context, result: dict[str, Any]) -> None:
    for change in result["changes"]:
        click.echo(printable(change))
    for problem in result["problems"]:
        click.echo(printable(problem), err=True)
    if result["error"] is not None:
        complain(result["error"])
    if not result["ok"]:
        return
    click.echo(f"{context.name} reports are {result['mode']}.")
    if result["mode"] == ON:
        click.echo(f"An engine's own run {engine_sends(context, ON)}.")
