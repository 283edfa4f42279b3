"""The command line: see, redirect and stop what is reported."""

from __future__ import annotations

import signal
import sys

try:
    import click

    from otel_usage.cli import collector, demo_data, history, mode, preview, report, stats, status, table, verify
    from otel_usage.cli.common import Chosen, complain
    from otel_usage.cli.completion import complete_app
    from otel_usage.facts.scope import __version__
except KeyboardInterrupt:  # while it is loaded
    sys.stderr.write("otel-usage: interrupted\n")
    sys.exit(130)

COMPLETE = "_OTEL_USAGE_COMPLETE"


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--app", "name", metavar="NAME", shell_complete=complete_app,
              help="The app that is meant; it may stand after the command as well.")  # fmt: skip
@click.version_option(__version__, prog_name="otel-usage")
@click.pass_context
def cli(context: click.Context, name: str | None) -> None:
    """See, redirect and stop the usage reports of an app.

    Without --app, `status`, `local`, `off` and `forget` mean every app. Any other command takes the only app there is;
    with several, it names them and exits with 2.

    \b
    Example:
      otel-usage apps         who reports, and where to
      otel-usage preview      what would be sent
      otel-usage off          stop it, as DO_NOT_TRACK=1 in the environment does

    \b
    To have your shell complete commands, apps and facts, put into its start-up file:
      bash  eval "$(_OTEL_USAGE_COMPLETE=bash_source otel-usage)"
      zsh   eval "$(_OTEL_USAGE_COMPLETE=zsh_source otel-usage)"
      fish  _OTEL_USAGE_COMPLETE=fish_source otel-usage | source

    Exits with 0 for done, 1 for failed, 2 for misuse, 130 for interrupted.
    """
    context.obj = Chosen(name)


for command in (
    report.report,
    preview.preview,
    status.status,
    status.apps,
    history.show,
    table.facts,
    mode.on,
    mode.local,
    mode.off,
    verify.verify_off,
    history.forget,
    collector.collector,
    stats.stats,
    demo_data.demo_data,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line: exit status 0 for done, 1 for failed, 2 for misuse, an error in one line."""
    try:
        sys.exit(cli.main(prog_name="otel-usage", complete_var=COMPLETE, standalone_mode=False) or 0)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "otel-usage"
        _fail(f"{error.format_message()} (see {where} --help)", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _end_at_once_from_now_on()
        _fail("interrupted", 130)
    except OSError as error:
        sys.stdout = None  # else the interpreter tries once more, at its end, to write what could not be written
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)


def _fail(message: str, code: int) -> None:
    complain(message)
    sys.exit(code)


def _end_at_once_from_now_on() -> None:
    """Have another interrupt end the process without a traceback."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # not the main thread
        return
