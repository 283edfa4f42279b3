"""The files of the outbox: open its directory, list the entries, and choose what makes room for a new one."""

from __future__ import annotations

import errno
import os
import stat
import time

from otel_usage.system.directory import RELATIVE, Directory
from otel_usage.system.file_names import entry_parts, is_outbox_file, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIRECTORY = "usage_outbox"
MOST_ENTRIES = 64
MOST_BYTES = 2**20
LARGEST = 64 * 1024
PRIVATE = 0o600
OLDEST = 30 * 24 * 3600.0


def open_folder(directory: str, *, create: bool = False) -> Directory:
    """Open the directory of the outbox.

    Args:
        directory: The app's config directory.
        create: Whether to create what is missing.

    Raises:
        OSError: It can't be opened or is not ours, or this system opens files by paths only (Windows).
    """
    if not RELATIVE:
        raise OSError(errno.ENOTSUP, "no files relative to a directory here")
    with Directory.open(directory, create=create) as parent:
        return parent.folder(DIRECTORY, create=create)


def claimable_entries(directory: str) -> list[tuple[str, int]]:
    """Return the name and size of each entry that can be claimed. Another user's file is left out."""
    try:
        with open_folder(directory) as folder:
            return [(name, found.st_size) for name, found in _files(folder, entry_parts) if _is_ours(found)]
    except OSError:
        return []


def _files(folder: Directory, is_wanted: Callable[[str], object]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files whose names are wanted, in the order of the names."""
    for name in sorted(filter(is_wanted, folder.names())):
        try:
            found = folder.lstat(name)
        except FileNotFoundError:  # another process has just sent it
            continue
        if stat.S_ISREG(found.st_mode):
            yield name, found


def _is_ours(found: os.stat_result) -> bool:
    """Tell whether `put` may have made a file: ours, one link, at most 64 KiB, readable and writable by its owner."""
    private = found.st_uid == os.geteuid() and found.st_nlink == 1
    return private and found.st_size <= LARGEST and stat.S_IMODE(found.st_mode) & PRIVATE == PRIVATE


def evicted(folder: Directory, size: int, kind: str, run: str) -> list[str]:
    """Return the names of the files to delete before a new entry is written.

    Those are files that are too old, the earlier heartbeat of the same run, and the oldest ones if there are too many
    or they are too large. Files of other users do not count.

    Args:
        folder: The outbox.
        size: The bytes of the new entry.
        kind: `report` or `heartbeat`.
        run: The run's uuid.
    """
    now, gone, kept = time.time(), [], []
    for name, found in _files(folder, is_outbox_file):
        if not _is_ours(found):
            continue
        parts = entry_parts(name)
        is_replaced = kind == "heartbeat" and parts is not None and parts[2:] == (kind, plain(run))
        if is_replaced or now - found.st_mtime > OLDEST:
            gone.append(name)
        else:
            kept.append((name, found.st_size))
    used = size + sum(size for _, size in kept)
    for number, (name, freed) in enumerate(kept):
        if len(kept) - number < MOST_ENTRIES and used <= MOST_BYTES:
            break
        gone.append(name)
        used -= freed
    return gone
