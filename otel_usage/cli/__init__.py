"""The command line: see, redirect and stop what is reported."""

from __future__ import annotations

import sys

import click

from otel_usage.cli import collector, history, mode, report, status, table, verify
from otel_usage.cli.common import Context, printable
from otel_usage.facts.scope import __version__


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--app", "name", default="vllm", show_default=True, metavar="NAME", help="The app whose reports are meant."
)
@click.version_option(__version__, prog_name="otel-usage")
@click.pass_context
def cli(context: click.Context, name: str) -> None:
    """See, redirect and stop the usage reports of an app.

    \b
    Example:
      otel-usage preview      what would be sent
      otel-usage off          stop it
    """
    context.obj = Context(name)


for command in (
    report.report,
    report.preview,
    status.status,
    history.show,
    table.facts,
    mode.on,
    mode.local,
    mode.off,
    verify.verify_off,
    history.forget,
    collector.collector,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line: exit status 0 for done, 1 for failed, 2 for misuse, an error in one line."""
    try:
        sys.exit(cli.main(prog_name="otel-usage", standalone_mode=False) or 0)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "otel-usage"
        _fail(f"{error.format_message()} (see {where} --help)", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except OSError as error:
        sys.stdout = None  # else the interpreter tries once more, at its end, to write what could not be written
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)


def _fail(message: str, status: int) -> None:
    click.echo(f"otel-usage: {printable(' '.join(message.split()))}", err=True)
    sys.exit(status)
