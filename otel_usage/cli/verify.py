"""`verify-off`: prove that off does nothing, on a child process that is watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otel_usage.cli.common import Context, as_json, pass_context, print_json, printable
from otel_usage.consent import OFF, OPT_OUT_FILE, config_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PACKAGE = Path(__file__).parent.parent
AUDITED = PACKAGE / "cli" / "audited.py"
SETTINGS = "OTEL_USAGE_VERIFY"
TIMEOUT = 60
STDERR = 2
NOWHERE = "http://127.0.0.1:9"


@click.command(name="verify-off", context_settings={"allow_interspersed_args": False})
@as_json
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_context
def verify_off(context: Context, command: tuple[str, ...], *, json_: bool) -> int:
    """Prove that off does nothing, by an audit hook around a report.

    A child process reports while opted out, by the environment and then by a file: no thread, socket, subprocess,
    import, descriptor, library or file may come of it. With a COMMAND, that is run, opted out, and whatever otel_usage
    does in it is watched.

    \b
    Example:
      otel-usage verify-off
      otel-usage verify-off -- python serve.py
    """
    name = context.app.name
    with tempfile.TemporaryDirectory(prefix="otel-usage-verify-") as folder:
        place = Path(folder)
        if command:
            # With --json the command's own output goes where the errors go, so that the JSON stands alone.
            output = STDERR if json_ else None
            checks = {"the command, opted out": _watch_command(context, place, command, output)}
        else:
            checks = {
                "opted out by DO_NOT_TRACK": _watch_report(name, place / "environment", by_file=False),
                f"opted out by a {OPT_OUT_FILE} file": _watch_report(name, place / "file", by_file=True),
            }
    passed = not any(checks.values())
    if json_:
        print_json({"app": name, "passed": passed, "checks": checks})
        return int(not passed)
    for check, acts in checks.items():
        click.echo(f"{check}: {'nothing was done' if not acts else f'{len(acts)} things were done'}")
        for act in acts:
            click.echo(f"  {printable(act)}")
    click.echo("off does nothing." if passed else "OFF DOES SOMETHING: please report this as a bug.")
    return int(not passed)


def _watch_report(app: str, home: Path, *, by_file: bool) -> list[str]:
    """Let a child report in a home of its own, opted out, and return what it did."""
    config = home / ".config" / app
    config.mkdir(parents=True)
    log = home / "log"
    log.touch()
    signals = ("DO_NOT_TRACK", f"{app.upper()}_DO_NOT_TRACK", f"{app.upper()}_NO_USAGE_STATS", "OTEL_SDK_DISABLED",
               f"OTEL_USAGE_SUPPRESSED_{app.upper()}", f"{app.upper()}_CONFIG_ROOT", "XDG_CONFIG_HOME")  # fmt: skip
    environ = {key: value for key, value in os.environ.items() if key not in signals}
    # Should the gate be broken, its report goes no further than this machine.
    environ |= {"HOME": str(home), SETTINGS: _settings(log, app), f"{app.upper()}_USAGE_STATS_SERVER": NOWHERE}
    if by_file:
        (config / OPT_OUT_FILE).touch()
    else:
        environ["DO_NOT_TRACK"] = "1"
    before = _tree(home)
    try:
        child = subprocess.run(  # noqa: S603 -- our own interpreter and file
            [sys.executable, str(AUDITED)], env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return [*_acts(log)[0], f"the check itself failed: it did not end within {TIMEOUT} s"]
    acts, seen = _acts(log)
    if child.returncode or not {"watching", "loaded"} <= seen:
        acts.append(f"the check itself failed: {child.stderr.strip().splitlines()[-1:] or 'no output'}")
    return (
        acts
        + [f"printed {text.strip()!r}" for text in (child.stdout, child.stderr) if text]
        + [f"changed {path}" for path in sorted(before ^ _tree(home))]
    )


def _watch_command(context: Context, place: Path, command: Sequence[str], output: int | None) -> list[str]:
    """Run a command, opted out, with the watch as its sitecustomize, and return what otel_usage did in it."""
    (place / "sitecustomize.py").write_text(AUDITED.read_text(encoding="utf-8"), encoding="utf-8")
    log = place / "log"
    log.touch()
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": path, SETTINGS: _settings(log, None)}
    if context.gate.decide().mode != OFF:
        environ["DO_NOT_TRACK"] = "1"
    directory = Path(config_directory(context.app.name) or os.devnull)
    before = _tree(directory)
    try:
        done = subprocess.run(command, env=environ, stdout=output, check=False)  # noqa: S603 -- what the user asked for
    except OSError as error:
        message = f"can't run {command[0]}: {error.strerror}"
        raise click.ClickException(message) from error
    acts, seen = _acts(log)
    if "watching" not in seen:
        acts.append("the command could not be watched: it starts no Python that reads PYTHONPATH")
    elif "loaded" not in seen:
        click.echo(f"The command never loaded otel_usage (exit status {done.returncode}).", err=True)
    return acts + [f"changed {path}" for path in sorted(before ^ _tree(directory))]


def _settings(log: Path, app: str | None) -> str:
    return json.dumps({"log": str(log), "package": str(PACKAGE), "app": app, "path": sys.path})


def _acts(log: Path) -> tuple[list[str], set[str]]:
    """Return what was done, and which marks of progress the child left."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [entry["act"] for entry in entries if "act" in entry], {key for entry in entries for key in entry}


def _tree(directory: Path) -> set[tuple[str, int, int]]:
    """Return each file below a directory with its size and the time of its change; the log itself is no act."""
    found: Iterable[Path] = directory.rglob("*") if directory.is_dir() else ()
    return {(str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in found if path.name != "log"}
