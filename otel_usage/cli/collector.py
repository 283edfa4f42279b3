"""`collector`: writes what a collector needs to know of the fact tables."""

from __future__ import annotations

import os

import click

from otel_usage.cli.common import Context, pass_context, printable
from otel_usage.facts import registry


@click.command()
@click.option("--app", "names", multiple=True, metavar="NAME", help="An app whose reports are taken; may be repeated.")
@click.option("--out", "directory", required=True, type=click.Path(file_okay=False), help="The directory to write to.")
@pass_context
def collector(context: Context, names: tuple[str, ...], directory: str) -> None:
    """Write what a collector needs for some apps.

    The configurations gateway.yaml and edge.yaml with their allow-list, ClickHouse tables and Grafana dashboards: all
    that depends on the facts that these apps declare. What has the same name in the directory is replaced; anything
    else stays.

    \b
    Example:
      otel-usage collector --app vllm --app myengine --out ./collector-config
    """
    from otel_usage.collector import generated  # noqa: PLC0415 -- needed by this command alone
    from otel_usage.collector.ottl import PatternError  # noqa: PLC0415 -- the same

    try:
        files = generated([registry.load(name) for name in dict.fromkeys(names)] or [context.app])
    except (registry.UnknownAppError, PatternError) as error:
        raise click.UsageError(str(error)) from error
    for path, text in files.items():
        target = os.path.join(directory, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        click.echo(printable(target))
