"""One report a run: the mark that a process leaves for its descendants, and the embedder's word to them.

The mark is <APP>_USAGE_RUN=<random token>:<pid>:<start time>. It is heeded while that process lives and is this one or
an ancestor; a pid of 0, which `child_env` gives to workers elsewhere, is always heeded; an empty mark begins a new run.
"""

from __future__ import annotations

import os

from otel_usage.facts.app import is_name
from otel_usage.system.directory import APPEND, READ, Directory
from otel_usage.system.file_names import is_number, lock_name, lock_parts
from otel_usage.system.private_files import try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ANCESTORS = 64
MARK = "_USAGE_RUN"
OPT_OUTS = ("DO_NOT_TRACK", "OTEL_SDK_DISABLED")
ENDINGS = ("_DO_NOT_TRACK", "_NO_USAGE_STATS")

# The last mark that was left here, by app.
_last: dict[str, str] = {}
# The mark that followed it, by app, process and the last mark: the first to set it has won.
_claims: dict[tuple[str, int, str], str] = {}


def variable(app: str) -> str:
    """Return the name of the environment variable that holds the mark."""
    return app.upper() + MARK


def is_marked(app: str, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether this process, or one that it descends from, has reported in this run."""
    parts = (os.environ if environ is None else environ).get(variable(app), "").split(":")
    if len(parts) != 3 or not is_number(parts[1]):  # noqa: PLR2004 -- the three above
        return False
    pid, start = int(parts[1]), parts[2]
    return pid == 0 or (pid in _ancestors() and start_time(pid) == start)


def mark(app: str) -> None:
    """Leave the mark for this process and its descendants."""
    _leave(app, _new())


def claim(app: str) -> bool:
    """Leave the mark unless there is one; tell whether this call left it. Of threads that race, one is told so.

    No lock guards it: a fork would inherit it held, and a signal handler would wait for its own thread.
    """
    before = _last.get(app, "")  # first, so that who comes too late for the step below sees the mark
    if is_marked(app):
        return False
    new = _new()
    if _claims.setdefault((app, os.getpid(), before), new) is not new:  # one step for the process
        return False
    _leave(app, new)
    return True


def _new() -> str:
    pid = os.getpid()
    return f"{os.urandom(8).hex()}:{pid}:{start_time(pid)}"


def _leave(app: str, new: str) -> None:
    os.environ[variable(app)] = new
    _last[app] = new


def child_env() -> dict[str, str]:
    """Return what workers must have in their environment where they do not inherit this one.

    That is each opt-out that is set here, and a mark for each app that has reported in this run.
    """
    found = {}
    for name, value in os.environ.items():
        if name.endswith(MARK):
            if is_marked(name.removesuffix(MARK).lower()):
                found[name] = f"{value.partition(':')[0]}:0:0"
        elif name in OPT_OUTS or name.endswith(ENDINGS) or name.startswith("OTEL_USAGE_"):
            found[name] = value
    return found


def suppress(app: str, *, by: str) -> None:
    """Turn an app's reporting off, in this process and its children, before or after it is imported.

    app: its name. by: who says so; `otel-usage status` names it. Raises ValueError for what is no app's name.
    """
    if not is_name(app):
        message = f"{app!r} is no app's name: it must match ^[a-z][a-z0-9_]{{0,31}}$"
        raise ValueError(message)
    os.environ[f"OTEL_USAGE_SUPPRESSED_{app.upper()}"] = by


def elect(directory: str | None, parent: int) -> bool:
    """Of the children that a process forked before any of them reported, pick this one or not.

    parent: the process that they come from. The lock of the one that is picked is held until it ends, so that its
    replacement may report again; where no lock can be had, each reports.
    """
    if directory is None:
        return True
    try:
        with Directory.open(directory, create=True) as folder:
            _sweep(folder)
            file = folder.open_file(lock_name(parent, start_time(parent)), APPEND)
    except OSError:
        return True
    if try_lock(file) is False:
        os.close(file)
        return False
    return True


def _sweep(folder: Directory) -> None:
    """Delete the locks of runs that are over: none is held, though one in another container can't be seen."""
    for name in folder.names():
        parts = lock_parts(name)
        try:
            if parts is not None and start_time(parts[0]) != parts[1] and not _is_held(folder, name):
                folder.unlink(name)
        except OSError:  # another process sweeps as well, or it is none of ours
            continue


def _is_held(folder: Directory, name: str) -> bool:
    file = folder.open_file(name, READ)
    try:
        return try_lock(file) is False
    finally:
        os.close(file)


def start_time(pid: int) -> str:
    """Return when a process started, in the kernel's ticks since boot; empty where there is no such process."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _ancestors() -> list[int]:
    """Return this process and those that it descends from, as far as they can be seen."""
    found = [os.getpid(), os.getppid()]
    while found[-1] > 1 and len(found) < MOST_ANCESTORS:
        fields = _stat(found[-1])
        if not fields:
            break
        found.append(int(fields[1]))
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat behind the name, which may hold anything; none where it can't be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return []
