"""What waits to be sent: one file a report and destination, from before the first attempt until it was taken.

The rules against each other's harm:
1. An entry is written under a temporary name and renamed, so that no reader sees half of one.
2. It is locked from before it has its name until it is sent or left, so that one process at a time sends it; a dead
   process's lock is gone with it. Where locks fail, an entry that is younger than a lease is left alone.
3. It carries its inode's number in its name, so that a copied home or image sends nothing.
4. Everything is reached from a directory of ours (see directory.py). An entry is a regular file of ours with one link,
   at most 64 KiB, under a name that `put` makes. What is none of these is passed over, what can't be read is set aside,
   and neither blocks the next. No file under another name is ever removed.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from otel_usage.system.directory import CREATE, RELATIVE, SAFELY, Directory
from otel_usage.system.file_names import ASIDE, draft_name, entry_name, entry_parts, is_outbox_file, plain
from otel_usage.system.private_files import try_lock, write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DIRECTORY = "usage_outbox"
MOST_ENTRIES = 64
MOST_BYTES = 2**20
LARGEST = 64 * 1024
PRIVATE = 0o600
OLDEST = 30 * 24 * 3600.0
LEASE = 60.0
NANO = 10**9


class Entry:
    """One claimed entry: `values` as they were put in. Either `remove` it or `leave` it for a later attempt."""

    __slots__ = ("_directory", "_file", "name", "values")

    def __init__(self, name: str, values: Mapping[str, object], directory: Directory, file: int) -> None:
        self.name, self.values = name, values
        self._directory, self._file = directory, file

    @property
    def time(self) -> int:
        """When its report was collected, in ns since the epoch."""
        return _time(self.name)

    def remove(self) -> None:
        """Delete it: it was taken, refused for good, or is not to be sent. Raises OSError where that fails."""
        try:
            self._directory.unlink(self.name)
        finally:
            self.leave()

    def set_aside(self) -> None:
        """Keep it from being read again, for whoever wants to know what was wrong. Raises OSError where that fails."""
        try:
            self._directory.replace(self.name, self.name + ASIDE)
        finally:
            self.leave()

    def leave(self) -> None:
        """Give the claim up."""
        try:
            os.close(self._file)
        finally:
            self._directory.close()


def put(directory: str, values: Mapping[str, object], *, collected: int, kind: str, run: str) -> Entry:
    """Write an entry and return it, claimed; the oldest make room for it, and a run's newer heartbeat replaces others.

    directory: the app's. collected: in ns since the epoch. kind: "report" or "heartbeat". run: the run's uuid.
    Raises OSError where it can't be written, and then nothing of it is left.
    """
    import json  # noqa: PLC0415 -- only where something is sent

    data = json.dumps(values).encode("ascii")
    if len(data) > LARGEST:
        raise OSError(errno.ENOSPC, "the entry does not fit: it is larger than 64 KiB")
    folder = _open_folder(directory, create=True)
    try:
        for name in _in_the_way(folder, len(data), kind, run):
            try:
                folder.unlink(name)
            except FileNotFoundError:  # another process has just sent it
                continue
        return _write(folder, values, data, collected, kind, run)
    except BaseException:
        folder.close()
        raise


def _write(  # noqa: PLR0913, PLR0917 -- what `put` is given
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
    """Return an entry for this process alone to send, None where another has it or it is none of ours.

    What can't be read is set aside, what is a copy of an entry is deleted. Raises OSError where that fails.
    """
    folder = _open_folder(directory)
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
    """Take the lock and read the entry; return what is to be done with one that can't be sent."""
    import json  # noqa: PLC0415 -- only where something is sent

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
    """Take the lock; where the file system has none, take an entry over that nobody touched for a while."""
    locked = try_lock(file)
    if locked is None:
        if time.time() - found.st_mtime < LEASE:
            return False
        os.utime(file)
        return True
    return locked and os.fstat(file).st_nlink == 1


def waiting(directory: str) -> list[str]:
    """Return the names of the entries, oldest first; none where there is no outbox."""
    return [name for name, _ in _listed(directory)]


def depth(directory: str) -> tuple[int, int, float | None]:
    """Return how many entries wait, their bytes, and when the oldest was collected, in seconds since the epoch."""
    entries = _listed(directory)
    return len(entries), sum(size for _, size in entries), _time(entries[0][0]) / NANO if entries else None


def _listed(directory: str) -> list[tuple[str, int]]:
    """Return each entry that could be claimed, with its size; another's file under such a name must hold up none."""
    try:
        with _open_folder(directory) as folder:
            return [(name, found.st_size) for name, found in _files(folder, entry_parts) if _is_ours(found)]
    except OSError:
        return []


def clear(directory: str) -> list[str]:
    """Delete all that waits, what was set aside included; return the paths that are gone.

    It does nothing but look, open directories and unlink. A file under a name that is none of ours stays.
    """
    try:
        os.lstat(os.path.join(directory, DIRECTORY))
        with _open_folder(directory) as folder:
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


def _open_folder(directory: str, *, create: bool = False) -> Directory:
    """Open the outbox. Raises OSError where it is not a directory of ours, or the system can't hold one open."""
    if not RELATIVE:
        raise OSError(errno.ENOTSUP, "no files relative to a directory here")
    with Directory.open(directory, create=create) as parent:
        return parent.folder(DIRECTORY, create=create)


def _files(folder: Directory, is_wanted: Callable[[str], object]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files under names that are wanted, in the order of their names."""
    for name in sorted(filter(is_wanted, folder.names())):
        try:
            found = folder.lstat(name)
        except FileNotFoundError:  # another process has just sent it
            continue
        if stat.S_ISREG(found.st_mode):
            yield name, found


def _is_ours(found: os.stat_result) -> bool:
    """Tell whether `put` may have made it: nobody else's, nowhere else, no larger, and to be opened by its owner."""
    private = found.st_uid == os.geteuid() and found.st_nlink == 1
    return private and found.st_size <= LARGEST and stat.S_IMODE(found.st_mode) & PRIVATE == PRIVATE


def _time(name: str) -> int:
    parts = entry_parts(name)
    return 0 if parts is None else parts[0]


def _in_the_way(folder: Directory, size: int, kind: str, run: str) -> list[str]:
    """Return the names that go for a new entry of so many bytes; another user's files take no room.

    Those are what is too old, a run's earlier heartbeat, and the oldest where there are too many or they are too large.
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
