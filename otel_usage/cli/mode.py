"""`on`, `local`, `off`: set the mode for one app."""

from __future__ import annotations

import click

from otel_usage.cli.common import Context, because, pass_context, printable
from otel_usage.cli.settings import set_mode
from otel_usage.consent import LOCAL, OFF, ON


@click.command()
@pass_context
def on(context: Context) -> int:
    """Record reports in the local file and send them from now on.

    What was collected before stays unsent.

    \b
    Example:
      otel-usage on
    """
    return _set(context, ON)


@click.command()
@pass_context
def local(context: Context) -> int:
    """Record reports in the local file only, and send nothing.

    \b
    Example:
      otel-usage local
    """
    return _set(context, LOCAL)


@click.command()
@pass_context
def off(context: Context) -> int:
    """Stop recording and sending, and delete what waits to be sent.

    \b
    Example:
      otel-usage off
    """
    return _set(context, OFF)


def _set(context: Context, mode: str) -> int:
    """Set the mode, say what changed and what could not be done; 1 where another signal still wins."""
    try:
        changes, failures = set_mode(context.directory, mode)
    except OSError as error:
        message = f"can't write {error.filename}: {error.strerror}; DO_NOT_TRACK=1 in the environment works without"
        raise click.ClickException(message) from error
    for change in changes:
        click.echo(printable(change))
    for failure in failures:
        click.echo(printable(failure), err=True)
    decision = context.gate.decide()
    if decision.mode != mode:
        click.echo(f"{context.name} reports stay {decision.mode} all the same, {because(decision)}.", err=True)
        return 1
    click.echo(f"{context.name} reports are {mode}.")
    return 0
