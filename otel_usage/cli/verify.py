"""`verify-off`: prove that off does nothing, on a child process that is watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import Chosen, Context, as_json, pass_chosen, print_json, printable
from otel_usage.consent import OFF, OPT_OUT_FILE, config_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PACKAGE = Path(__file__).parent.parent
AUDITED = PACKAGE / "cli" / "audited.py"
SETTINGS = "OTEL_USAGE_VERIFY"
TIMEOUT = 60
STDERR = 2
NOWHERE = "http://127.0.0.1:9"
NOTHING, SOMETHING, UNWATCHED = "nothing", "something", "unwatched"
STATUS = {NOTHING: 0, SOMETHING: 1, UNWATCHED: 3}
IN_WORDS = {
    NOTHING: "off does nothing.",
    SOMETHING: "OFF DOES SOMETHING: please report this as a bug.",
    UNWATCHED: "It could not be watched, so nothing is proven.",
}


class UnwatchedError(click.ClickException):
    """There is no verdict but that nothing is proven."""

    exit_code = STATUS[UNWATCHED]


class Seen:
    """What a watch saw: acts, why it did not see all, the names of what would be deleted, and its marks of progress."""

    def __init__(self, log: Path) -> None:
        entries = list(_entries(log))
        self.acts: list[str] = [entry["act"] for entry in entries if "act" in entry]
        self.gaps: list[str] = list(dict.fromkeys(entry["unwatched"] for entry in entries if "unwatched" in entry))
        self.waiting = {entry["waiting"] for entry in entries if "waiting" in entry}
        self.marks = {key for entry in entries for key in entry}


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the process was killed while it wrote it
            continue
        if isinstance(entry, dict):
            yield entry


@click.command(name="verify-off", context_settings={"allow_interspersed_args": False})
@as_json
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_chosen
def verify_off(chosen: Chosen, command: tuple[str, ...], *, json_: bool) -> int:
    """Prove that off does nothing, by an audit hook around a report.

    A child process reports while opted out, by the environment and then by a file: no thread, socket, subprocess,
    import, descriptor, library or file may come of it. With a COMMAND, that is run, opted out, and whatever otel_usage
    does in it is noted and prevented, so that nothing of yours changes: what waits to be sent, which opting out
    deletes, stays. That goes for every app; without a COMMAND one is meant.

    Exits with 0 where nothing was done, 1 where something was, and 3 where it could not be watched: a command that is
    no Python, or a Python, or a child of one, that ignores PYTHONPATH. A child of a shell or of another program that
    does so is not noticed.

    \b
    Example:
      otel-usage verify-off
      otel-usage verify-off -- python serve.py
    """
    contexts = chosen.each() if command else [chosen.only()]
    try:
        with tempfile.TemporaryDirectory(prefix="otel-usage-verify-") as folder:
            seen = _watch(contexts, Path(folder), command, json_=json_)
    except OSError as error:
        message = f"can't watch anything without a temporary directory: {error.strerror}"
        raise UnwatchedError(message) from error
    acts, gaps = any(one.acts for one in seen.values()), any(one.gaps for one in seen.values())
    verdict = SOMETHING if acts else UNWATCHED if gaps else NOTHING
    if json_:
        print_json(
            {
                "app": contexts[0].name if len(contexts) == 1 else None,
                "verdict": verdict,
                "checks": {check: one.acts for check, one in seen.items()},
                "unwatched": [gap for one in seen.values() for gap in one.gaps],
                "would_delete": sum(len(one.waiting) for one in seen.values()),
            }
        )
    else:
        _say(seen, verdict)
    return STATUS[verdict]


def _watch(contexts: Sequence[Context], place: Path, command: Sequence[str], *, json_: bool) -> dict[str, Seen]:
    """Return what was seen by each check."""
    if command:
        # With --json the command's own output goes where the errors go, so that the JSON stands alone.
        output = STDERR if json_ else None
        return {"the command, opted out": _watch_command(contexts, place, command, output)}
    name = contexts[0].name
    return {
        "opted out by DO_NOT_TRACK": _watch_report(name, place / "environment", by_file=False),
        f"opted out by a {OPT_OUT_FILE} file": _watch_report(name, place / "file", by_file=True),
    }


def _say(seen: dict[str, Seen], verdict: str) -> None:
    for check, one in seen.items():
        acts = "nothing was done" if not one.acts else f"{len(one.acts)} things were done"
        click.echo(f"{check}: {acts if one.acts or not one.gaps else 'it could not be watched'}")
        for line in one.acts + one.gaps:
            click.echo(f"  {printable(line)}")
        if one.waiting:
            click.echo(f"  {len(one.waiting)} unsent would be deleted, as whenever the mode is not on; here they stay")
    click.echo(IN_WORDS[verdict])


def _watch_report(app: str, home: Path, *, by_file: bool) -> Seen:
    """Let a child report in a home of its own, opted out, and return what it did."""
    config = home / ".config" / app
    config.mkdir(parents=True)
    log = home / "log"
    log.touch()
    signals = (
        "DO_NOT_TRACK",
        f"{app.upper()}_DO_NOT_TRACK",
        f"{app.upper()}_NO_USAGE_STATS",
        "OTEL_SDK_DISABLED",
        f"OTEL_USAGE_SUPPRESSED_{app.upper()}",
        f"{app.upper()}_CONFIG_ROOT",
        "XDG_CONFIG_HOME",
    )
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
        seen = Seen(log)
        seen.gaps.append(f"the check itself failed: it did not end within {TIMEOUT} s")
        return seen
    seen = Seen(log)
    if child.returncode or not {"watching", "done"} <= seen.marks:
        seen.gaps.append(f"the check itself failed: {child.stderr.strip().splitlines()[-1:] or 'no output'}")
    seen.acts += [f"printed {text.strip()!r}" for text in (child.stdout, child.stderr) if text and not seen.gaps]
    seen.acts += [f"changed {path}" for path in sorted(before ^ _tree(home))]
    return seen


def _watch_command(contexts: Sequence[Context], place: Path, command: Sequence[str], output: int | None) -> Seen:
    """Run a command, opted out, with the watch as its sitecustomize, and return what otel_usage did in it."""
    (place / "sitecustomize.py").write_text(AUDITED.read_text(encoding="utf-8"), encoding="utf-8")
    log = place / "log"
    log.touch()
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": path, SETTINGS: _settings(log, None)}
    if any(context.plain_gate.decide().mode != OFF for context in contexts):
        environ["DO_NOT_TRACK"] = "1"
    directories = [Path(config_directory(context.name) or os.devnull) for context in contexts]
    before = _trees(directories)
    try:
        done = subprocess.run(command, env=environ, stdout=output, check=False)  # noqa: S603 -- what the user asked for
    except (OSError, ValueError) as error:
        seen = Seen(log)
        seen.gaps.append(f"can't run {command[0]}: {getattr(error, 'strerror', error)}")
        return seen
    seen = Seen(log)
    ended = f"exit status {done.returncode}" if done.returncode >= 0 else f"ended by signal {-done.returncode}"
    if "watching" not in seen.marks:
        seen.gaps.append("the command starts no Python that reads PYTHONPATH")
    elif "loaded" not in seen.marks:
        click.echo(f"The command never loaded otel_usage ({ended}).", err=True)
    elif done.returncode:
        click.echo(f"The command failed ({ended}): it was watched until then.", err=True)
    # Another process, which is not opted out, may have done it, or one that left the watch.
    seen.gaps += [
        f"changed meanwhile, by no process that was watched: {path}" for path in sorted(before ^ _trees(directories))
    ]
    return seen


def _settings(log: Path, app: str | None) -> str:
    return json.dumps({"log": str(log), "package": str(PACKAGE), "app": app, "path": sys.path})


def _trees(directories: Iterable[Path]) -> set[tuple[str, int, int]]:
    return {entry for directory in directories for entry in _tree(directory)}


def _tree(directory: Path) -> set[tuple[str, int, int]]:
    """Return each file below a directory with its size and the time of its change; the log itself is no act."""
    found = set()
    for folder, folders, files in os.walk(directory):
        for path in (os.path.join(folder, name) for name in folders + files if name != "log"):
            try:
                at = os.lstat(path)
            except OSError:  # another process has just deleted it
                continue
            found.add((path, at.st_size, at.st_mtime_ns))
    return found
