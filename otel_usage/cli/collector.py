"""`collector`: writes a directory that runs a collector."""

from __future__ import annotations

import os
import shlex

import click

from otel_usage.cli.common import Chosen, as_json, print_json, printable
from otel_usage.cli.completion import complete_app
from otel_usage.facts import registry

DROPPED = 'otelcol_processor_filter_spans_filtered{filter="filter/known"}'
NEXT = """next:
  docker compose -f {place}/compose.yaml up -d
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 otel-usage --app {app} report
  open http://127.0.0.1:3000 for the dashboards, and http://127.0.0.1:16686 for the report by itself"""


@click.command()
@click.option(
    "--app",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_app,
    help="An app whose reports are taken; may be repeated.",
)
@click.option("--out", "directory", required=True, type=click.Path(file_okay=False), help="The directory to write to.")
@as_json
@click.pass_obj
def collector(chosen: Chosen, names: tuple[str, ...], directory: str, *, json_: bool) -> None:
    """Write a directory that runs a collector for some apps.

    Configurations with the allow-list of the facts that these apps declare, ClickHouse tables, Grafana dashboards and
    what provisions them, compose.yaml, start.sh and the proxy. What has the same name in the directory is replaced;
    anything else stays.

    A gateway takes these apps alone, or of them those that OTEL_USAGE_APPS names where it runs. It answers 200 for all
    others too, and drops them, which a client can't know: the metric that the last line names counts them. Exits with 0
    where all is written.

    \b
    Example:
      otel-usage collector --app vllm --app myengine --out ./collector-config
    """
    from otel_usage.collector import generated  # needed by this command alone
    from otel_usage.collector.ottl import PatternError

    try:
        apps = [registry.load(name) for name in dict.fromkeys(names)] or [chosen.only().app]
        files = generated(apps)
    except (registry.UnknownAppError, PatternError) as error:
        raise click.UsageError(str(error)) from error
    written = []
    for path, text in files.items():
        target = os.path.join(directory, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        if path.endswith(".sh"):
            os.chmod(target, 0o755)  # noqa: S103 -- a program that holds no secret
        written.append(target)
        if not json_:
            click.echo(printable(target))
    if json_:
        print_json({"apps": [app.name for app in apps], "files": written, "dropped": DROPPED})
        return
    names_taken = ", ".join(app.name for app in apps)
    click.echo(
        f"A gateway with these takes the reports of {names_taken}; any other app's are answered 200 and dropped, "
        f"and counted as {DROPPED}.",
        err=True,
    )
    click.echo(f"\n{NEXT}".format(place=printable(shlex.quote(directory)), app=apps[0].name), err=True)
