"""One report per run: the mark that tells a process's descendants that their run has reported; and `suppress`.

The mark is an environment variable, <APP>_USAGE_RUN=<random token>:<pid>:<start time>. It counts while the process of
that pid lives and is this process or an ancestor of it. With the pid 0, which `child_env` gives to workers that do not
inherit the environment, it always counts. An empty value begins a new run.
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

# The last mark that this process has set, by app.
_last: dict[str, str] = {}
# By app, process and last mark: the mark that replaces the last one. The first thread that sets it has won.
_claims: dict[tuple[str, int, str], str] = {}


def variable(app: str) -> str:
    """Return the name of the environment variable with an app's mark."""
    return app.upper() + MARK


def is_marked(app: str, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether this process or one of its ancestors has reported in this run.

    Args:
        app: The name of the app.
        environ: The environment variables; `os.environ` by default.
    """
    parts = (os.environ if environ is None else environ).get(variable(app), "").split(":")
    if len(parts) != 3 or not is_number(parts[1]):  # noqa: PLR2004 -- token, pid, start time
        return False
    pid, start = int(parts[1]), parts[2]
    return pid == 0 or (pid in _ancestors() and start_time(pid) == start)


def mark(app: str) -> None:
    """Set the mark for this process and its descendants."""
    _leave(app, _new())


def claim(app: str) -> bool:
    """Set the mark unless there is one, and tell whether this call has set it. If threads race, one of them wins.

    There is no lock: a forked child could inherit it in the locked state, and a signal handler could wait for the
    thread that it interrupts.
    """
    before = _last.get(app, "")  # read first: a thread that loses the race then sees the mark
    if is_marked(app):
        return False
    new = _new()
    if _claims.setdefault((app, os.getpid(), before), new) is not new:  # atomic in the process
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
    """Return the environment variables for workers that do not inherit this process's environment.

    These are all opt-outs and OTEL_USAGE_* variables that are set here, and a mark for each app that has reported in
    this run.
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
    """Turn the reports of an app off, in this process and its children. The app need not be imported yet.

    Args:
        app: The name of the app.
        by: Who turns them off, as `otel-usage status` shows it.

    Raises:
        ValueError: The name can't be the name of an app.
    """
    if not is_name(app):
        message = f"{app!r} is no app's name: it must match ^[a-z][a-z0-9_]{{0,31}}$"
        raise ValueError(message)
    os.environ[f"OTEL_USAGE_SUPPRESSED_{app.upper()}"] = by


def elect(directory: str | None, parent: int) -> bool:
    """Elect one of the sibling processes that were forked before their run had reported.

    The elected process holds a lock until it ends. A process that replaces it after that may report again.

    Args:
        directory: The app's config directory, which gets the lock file.
        parent: The pid of the process that forked the siblings.

    Returns:
        Whether this process is elected; True as well if no lock can be taken.
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
    """Delete the lock files of processes that are gone. A held one stays: its process may be in another container."""
    for name in folder.names():
        parts = lock_parts(name)
        try:
            if parts is not None and start_time(parts[0]) != parts[1] and not _is_held(folder, name):
                folder.unlink(name)
        except OSError:  # another process has just deleted it, or the file is not ours
            continue


def _is_held(folder: Directory, name: str) -> bool:
    file = folder.open_file(name, READ)
    try:
        return try_lock(file) is False
    finally:
        os.close(file)


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot, from /proc; empty if there is no such process."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _ancestors() -> list[int]:
    """Return the pids of this process and its ancestors, as far as /proc shows them, at most 64."""
    found = [os.getpid(), os.getppid()]
    while found[-1] > 1 and len(found) < MOST_ANCESTORS:
        fields = _stat(found[-1])
        if not fields:
            break
        found.append(int(fields[1]))
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name, which may contain any character; none if unreadable."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return []
