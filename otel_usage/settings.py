"""What a user sets or deletes in an app's directory: the mode, the local history, what waits to be sent."""

from __future__ import annotations

import os
import time

from otel_usage import outbox
from otel_usage.consent import MODE_FILE, OFF, ON, OPT_OUT_FILE
from otel_usage.delivery import LEDGER
from otel_usage.exporters.line import FILE, OLD, READ, make_directory, open_own

MARK = "written by otel-usage off; otel-usage on removes it\n"


def set_mode(directory: str, mode: str) -> list[str]:
    """Write the mode into an app's directory and return what changed, a line each.

    `off` also creates do_not_track, for reporters that know that file only, and deletes what waits to be sent;
    `on` and `local` remove a do_not_track that `off` created, and no other.
    Raises OSError where the directory can't be written.
    """
    make_directory(directory)
    now = time.time()
    since = time.strftime(f" %Y-%m-%dT%H:%M:%S.{now % 1 * 1e6:06.0f}Z", time.gmtime(now)) if mode == ON else ""
    opt_out = os.path.join(directory, OPT_OUT_FILE)
    changes = []
    if mode == OFF:
        if not os.path.lexists(opt_out):
            _replace(opt_out, MARK)
            changes.append(f"created {opt_out}")
    elif _is_marked(opt_out):
        os.unlink(opt_out)
        changes.append(f"removed {opt_out}")
    path = os.path.join(directory, MODE_FILE)
    _replace(path, f"{mode}{since}\n")
    changes.append(f"wrote {mode}{since} to {path}")
    if mode != ON:
        changes += [f"deleted {deleted}" for deleted in outbox.clear(directory)]
    return changes


def forget(directory: str) -> list[str]:
    """Delete the local history and what waits to be sent; return the paths that are gone.

    Raises OSError where something can't be deleted.
    """
    gone = []
    for name in (FILE, FILE + OLD, LEDGER, LEDGER + OLD):
        path = os.path.join(directory, name)
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        gone.append(path)
    return gone + outbox.clear(directory)


def _is_marked(path: str) -> bool:
    """Tell whether a do_not_track file is the one that `off` created."""
    try:
        descriptor = open_own(path, READ)
    except OSError:
        return False
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read(len(MARK) + 1) == MARK


def _replace(path: str, text: str) -> None:
    """Write a private file whole or not at all."""
    draft = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | READ, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
