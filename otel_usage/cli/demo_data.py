"""`demo-data`: made-up reports, to try the rest with."""

from __future__ import annotations

import os
from datetime import date, datetime, timezone

import click

from otel_usage.cli.common import Context, as_json, pass_context, print_json, printable
from otel_usage.cli.stats import Day


@click.command(name="demo-data")
@click.option("--reports", type=click.IntRange(min=1), default=10_000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same reports.")
@click.option("--until", type=Day(), help="Their last day, in UTC; by default today.")
@click.option("--out", "directory", required=True, type=click.Path(file_okay=False), help="The directory to write to.")
@as_json
@pass_context
def demo_data(  # noqa: PLR0913 -- the options of the command
    context: Context, *, reports: int, seed: int, until: date | None, directory: str, json_: bool
) -> None:
    """Write made-up reports, to try the rest with.

    They are of half a year, in a file as a collector writes it. They hang together as real ones do, and say that they
    are `synthetic`, so that nobody counts them by mistake. Exits with 1 where the file is there already.

    \b
    Example:
      otel-usage demo-data --reports 10000 --out ./demo
      otel-usage stats ./demo --source synthetic --html usage.html
    """
    from otel_usage.insights.synthetic import Population

    last = until or datetime.now(timezone.utc).date()
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "usage.jsonl")
    with open(path, "x", encoding="ascii") as file:
        file.writelines(line + "\n" for line in Population(context.app, reports, seed, last).lines())
    if json_:
        print_json({"path": path, "reports": reports, "seed": seed, "until": last.isoformat()})
    else:
        click.echo(printable(path))
