"""What a user sets or deletes in an app's directory: the mode, the local history, what waits to be sent."""

from __future__ import annotations

import os
import time

from otel_usage.consent import LOCAL, MODE_FILE, OFF, ON, OPT_OUT_FILE
from otel_usage.delivery import log, outbox
from otel_usage.delivery.local_file import FILE
from otel_usage.system.directory import CREATE, READ, Directory
from otel_usage.system.file_names import DRAFT
from otel_usage.system.private_files import OLD, replace, write_whole
from otel_usage.system.trusted_path import SAFELY

MARK = "written by otel-usage off; otel-usage on removes it\n"


def set_mode(directory: str, mode: str) -> tuple[list[str], list[str]]:
    """Write the mode into an app's directory; return what changed, and what failed although the mode holds.

    `off` also creates do_not_track, for reporters that know that file only. Any mode but `on` deletes what waits to be
    sent. `on` and `local` remove a do_not_track that `off` created, and no other.
    Raises OSError where the mode can't be set.
    """
    with Directory.open(directory, create=True) as folder:
        if mode == OFF:
            return _turn_off(folder)
        now = time.time()
        since = time.strftime(f" %Y-%m-%dT%H:%M:%S.{now % 1 * 1e6:06.0f}Z", time.gmtime(now)) if mode == ON else ""
        # The mode comes first: where it can't be written, the do_not_track of an `off` must hold on.
        changes = [_write_mode(folder, mode + since)]
        if _is_marked(folder):
            folder.unlink(OPT_OUT_FILE)
            changes.append(f"removed {os.path.join(directory, OPT_OUT_FILE)}")
    return changes + (_cleared(directory) if mode == LOCAL else []), []


def _turn_off(folder: Directory) -> tuple[list[str], list[str]]:
    """Turn reporting off by both files, by one alone where the disk has no room for more."""
    deleted = _cleared(folder.path)  # first, since a full disk then has some room
    path = os.path.join(folder.path, OPT_OUT_FILE)
    changes, failures = [], []
    holds = os.path.lexists(path)
    if not holds:
        try:
            unmarked = _create_opt_out(folder)
            holds = True
            changes.append(f"created {path}")
            failures += [f"can't mark {path} as ours: {unmarked}; `on` will not remove it"] if unmarked else []
        except OSError as error:
            failures.append(f"can't create {path}: {error.strerror}")
    try:
        changes.append(_write_mode(folder, OFF))
    except OSError as error:
        if not holds:
            raise
        failures.append(f"can't write {error.filename}: {error.strerror}")
    return changes + deleted + _cleared(folder.path), failures


def _create_opt_out(folder: Directory) -> str | None:
    """Create do_not_track and mark it; return why it has no mark: a full disk takes an empty file, which is enough."""
    file = folder.open_file(OPT_OUT_FILE, CREATE)
    try:
        write_whole(file, MARK.encode())
    except OSError as error:
        return error.strerror
    finally:
        os.close(file)
    return None


def _cleared(directory: str) -> list[str]:
    return [f"deleted {path}" for path in outbox.clear(directory)]


def forget(directory: str) -> list[str]:
    """Delete the local history and what waits to be sent; return the paths that are gone.

    Raises OSError where something can't be deleted, after all else is.
    """
    gone, failed = [], None
    try:
        folder = Directory.open(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    with folder:
        for name in (FILE, FILE + OLD, log.FILE, log.FILE + OLD):
            try:
                folder.unlink(name)
                gone.append(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            except OSError as error:
                failed = failed or error
    gone += outbox.clear(directory)
    if failed is not None:
        raise failed
    return gone


def _is_marked(folder: Directory) -> bool:
    """Tell whether do_not_track is the one that `off` created."""
    try:
        descriptor = folder.open_file(OPT_OUT_FILE, READ)
    except OSError:
        return False
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read(len(MARK) + 1) == MARK


def _write_mode(folder: Directory, mode: str) -> str:
    """Write usage_mode, whole or not at all, and say so. Raises OSError where that fails."""
    data = f"{mode}\n".encode()
    try:
        replace(folder, MODE_FILE, f"{MODE_FILE}.{os.urandom(4).hex()}{DRAFT}", data)
    except OSError:
        if mode not in (OFF, LOCAL) or not _overwrite(folder, MODE_FILE, data):
            raise
    return f"wrote {mode} to {os.path.join(folder.path, MODE_FILE)}"


def _overwrite(folder: Directory, name: str, data: bytes) -> bool:
    """Write over a file that is there, which takes no room: what a kill leaves of it is no mode, and so means off."""
    try:
        file = folder.open_file(name, os.O_WRONLY | SAFELY)
    except OSError:
        return False
    try:
        write_whole(file, data)
        os.ftruncate(file, len(data))
    except OSError:
        return False
    finally:
        os.close(file)
    return True
