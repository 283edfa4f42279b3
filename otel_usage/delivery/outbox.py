"""The outbox: one file per report and destination, from before the first attempt until the server has accepted it.

Why processes can share it, and why nobody can misuse it:
1. An entry is written under a temporary name and renamed, so that no reader sees an incomplete one.
2. Its process holds its lock until it has sent the entry or left it for later, so that only one process sends it. The
   system releases the lock of a process that dies. Where locks fail, only an entry that nobody has touched for LEASE
   seconds is taken over.
3. Its name contains its inode number, so that a copy, as in a copied home directory or image, is not sent.
4. All files are opened through a `Directory`. An entry is a regular file of ours with one link, at most 64 KiB, with a
   name that `put` makes; any other file is skipped. An entry that can't be parsed is set aside. Neither blocks the next
   entry. Only files with names of ours are ever removed.
"""

from __future__ import annotations

import errno
import os
import time

from otel_usage.delivery.outbox_files import DIRECTORY, LARGEST, claimable_entries, evicted, open_folder
from otel_usage.system.directory import CREATE, Directory
from otel_usage.system.file_names import ASIDE, draft_name, entry_name, entry_parts, is_outbox_file
from otel_usage.system.private_files import try_lock, write_whole
from otel_usage.system.trusted_path import SAFELY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEASE = 60.0
NANO = 10**9


class Entry:
    """One entry that this process has claimed. Call `remove`, `set_aside` or `leave` exactly once.

    Attributes:
        name: The name of its file.
        values: The flat object that `put` got.
    """

    __slots__ = ("_directory", "_file", "name", "values")

    def __init__(self, name: str, values: Mapping[str, object], directory: Directory, file: int) -> None:
        self.name, self.values = name, values
        self._directory, self._file = directory, file

    @property
    def time(self) -> int:
        """When its report was made, in nanoseconds since the epoch."""
        return _time(self.name)

    def remove(self) -> None:
        """Delete the entry: it was accepted, permanently rejected, or must not be sent.

        Raises:
            OSError: It can't be deleted. The claim is given up all the same.
        """
        try:
            self._directory.unlink(self.name)
        finally:
            self.leave()

    def set_aside(self) -> None:
        """Rename the entry so that it is never read again, but can be examined.

        Raises:
            OSError: It can't be renamed. The claim is given up all the same.
        """
        try:
            self._directory.replace(self.name, self.name + ASIDE)
        finally:
            self.leave()

    def leave(self) -> None:
        """Give up the claim, and leave the entry in the outbox."""
        try:
            os.close(self._file)
        finally:
            self._directory.close()


def put(directory: str, values: Mapping[str, object], *, collected: int, kind: str, run: str) -> Entry:
    """Write an entry and claim it.

    Entries that are too old are deleted, and so are the oldest ones if the outbox is full. A heartbeat replaces the
    earlier one of its run.

    Args:
        directory: The app's config directory.
        values: A flat object.
        collected: When the report was made, in nanoseconds since the epoch.
        kind: `report` or `heartbeat`.
        run: The run's uuid.

    Raises:
        OSError: The entry can't be written. No part of it is left.
    """
    import json  # only where something is sent

    data = json.dumps(values).encode("ascii")
    if len(data) > LARGEST:
        raise OSError(errno.ENOSPC, "the entry does not fit: it is larger than 64 KiB")
    folder = open_folder(directory, create=True)
    try:
        for name in evicted(folder, len(data), kind, run):
            try:
                folder.unlink(name)
            except FileNotFoundError:  # another process has just sent it
                continue
        return _write(folder, values, data, collected, kind, run)
    except BaseException:
        folder.close()
        raise


def _write(  # noqa: PLR0913, PLR0917 -- the arguments of `put`
    folder: Directory, values: Mapping[str, object], data: bytes, collected: int, kind: str, run: str
) -> Entry:
    first = draft_name(collected, os.getpid(), os.urandom(4).hex())
    file = folder.open_file(first, CREATE)
    try:
        try_lock(file)
        write_whole(file, data)
        name = entry_name(collected, os.fstat(file).st_ino, kind, run)
        folder.replace(first, name)
    except BaseException:
        os.close(file)
        folder.unlink(first)
        raise
    return Entry(name, values, folder, file)


def claim(directory: str, name: str) -> Entry | None:
    """Claim an entry, so that only this process sends it.

    An entry that can't be parsed is set aside, and a copy of an entry is deleted.

    Args:
        directory: The app's config directory.
        name: The name of the entry.

    Returns:
        The entry; None if another process has claimed it, or it can't be sent.

    Raises:
        OSError: The outbox can't be opened, or the file can't be read, set aside or deleted.
    """
    folder = open_folder(directory)
    try:
        file = folder.open_file(name, os.O_RDWR | SAFELY)
    except OSError:
        folder.close()
        return None
    entry = Entry(name, {}, folder, file)
    try:
        verdict = _examine(entry, file)
    except BaseException:
        entry.leave()
        raise
    if verdict is not None:
        verdict()
        return None
    return entry


def _examine(entry: Entry, file: int) -> Callable[[], None] | None:
    """Lock and read the entry. If it can't be sent, return the method to call on it; otherwise None."""
    import json  # only where something is sent

    found = os.fstat(file)
    parts = entry_parts(entry.name)
    if parts is None or found.st_size > LARGEST or not _is_free(file, found):
        return entry.leave
    if parts[1] != found.st_ino:
        return entry.remove
    try:
        values = json.loads(os.read(file, LARGEST))
    except (ValueError, RecursionError):
        return entry.set_aside
    if not isinstance(values, dict):
        return entry.set_aside
    entry.values = values
    return None


def _is_free(file: int, found: os.stat_result) -> bool:
    """Take the lock. On a file system without locks, take over an entry that is untouched for LEASE seconds."""
    locked = try_lock(file)
    if locked is None:
        if time.time() - found.st_mtime < LEASE:
            return False
        os.utime(file)
        return True
    return locked and os.fstat(file).st_nlink == 1


def waiting(directory: str) -> list[str]:
    """Return the names of the entries in an app's config directory, oldest first; none if there is no outbox."""
    return [name for name, _ in claimable_entries(directory)]


def depth(directory: str) -> tuple[int, int, float | None]:
    """Return how full the outbox in an app's config directory is.

    Returns:
        The number of entries, their size in bytes, and when the oldest one was made, in seconds since the epoch; None
        if there is no entry.
    """
    entries = claimable_entries(directory)
    return len(entries), sum(size for _, size in entries), _time(entries[0][0]) / NANO if entries else None


def clear(directory: str) -> list[str]:
    """Delete all entries of an app's config directory, those that were set aside included.

    It only lists and opens directories and unlinks files. A file with a name that is not ours stays.

    Returns:
        The paths of the deleted files.
    """
    try:
        os.lstat(os.path.join(directory, DIRECTORY))
        with open_folder(directory) as folder:
            names = sorted(filter(is_outbox_file, folder.names()))
            return [os.path.join(folder.path, name) for name in names if _remove(folder, name)]
    except OSError:
        return []


def _remove(folder: Directory, name: str) -> bool:
    try:
        folder.unlink(name)
    except OSError:  # another process has just sent it, or it can't be removed
        return False
    return True


def _time(name: str) -> int:
    parts = entry_parts(name)
    return 0 if parts is None else parts[0]
