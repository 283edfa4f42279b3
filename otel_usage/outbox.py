"""What waits to be sent: one file a report and destination, from before the first attempt until it was taken.

The rules against each other's harm:
1. An entry is written under a temporary name and renamed, so that no reader sees half of one.
2. It is locked from before it has its name until it is sent or left, so that one process at a time sends it; a dead
   process's lock is gone with it. Where locks fail, an entry that is younger than a lease is left alone.
3. It carries its inode's number in its name, so that a copied home or image sends nothing.
4. Everything is reached from the directory's descriptor; an entry is a regular file of ours with one name, at most
   64 KiB. What is none of these is passed over, what can't be read is set aside, and neither blocks the next.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from otel_usage.exporters.line import SAFELY, make_directory, try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DIRECTORY = "usage_outbox"
ENDING = ".json"
DRAFT = ".tmp"
ASIDE = ".unreadable"
MOST_ENTRIES = 64
MOST_BYTES = 2**20
LARGEST = 64 * 1024
OLDEST = 30 * 24 * 3600.0
LEASE = 60.0
NANO = 10**9
RELATIVE = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")


class Entry:
    """One claimed entry: `values` as they were put in. Either `remove` it or `leave` it for a later attempt."""

    __slots__ = ("_directory", "_file", "name", "values")

    def __init__(self, name: str, values: Mapping[str, object], directory: int, file: int) -> None:
        self.name, self.values = name, values
        self._directory, self._file = directory, file

    @property
    def time(self) -> int:
        """When its report was collected, in ns since the epoch."""
        return _parts(self.name)[0]

    def remove(self) -> None:
        """Delete it: it was taken, refused for good, or is not to be sent. Raises OSError where that fails."""
        try:
            os.unlink(self.name, dir_fd=self._directory)
        finally:
            self.leave()

    def set_aside(self) -> None:
        """Keep it from being read again, for whoever wants to know what was wrong. Raises OSError where that fails."""
        try:
            os.rename(self.name, self.name + ASIDE, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        finally:
            self.leave()

    def leave(self) -> None:
        """Give the claim up."""
        try:
            os.close(self._file)
        finally:
            os.close(self._directory)


def put(directory: str, values: Mapping[str, object], *, collected: int, kind: str, run: str) -> Entry:
    """Write an entry and return it, claimed; the oldest make room for it, and a run's newer heartbeat replaces others.

    directory: the app's. collected: in ns since the epoch. kind: "report" or "heartbeat". run: the run's uuid.
    Raises OSError where it can't be written, and then nothing of it is left.
    """
    import json  # noqa: PLC0415 -- only where something is sent

    data = json.dumps(values).encode("ascii")
    make_directory(os.path.join(directory, DIRECTORY))
    folder = _open_folder(directory)
    try:
        if kind == "heartbeat":
            _remove_all(folder, [name for name in _names(folder) if _parts(name)[2:] == (kind, run)])
        _make_room(folder, len(data))
        return _write(folder, values, data, f"{collected:020d}", f"{kind}.{run}")
    except BaseException:
        os.close(folder)
        raise


def _write(folder: int, values: Mapping[str, object], data: bytes, first: str, last: str) -> Entry:
    draft = f"{first}.{os.getpid()}.{os.urandom(4).hex()}{DRAFT}"
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFELY, 0o600, dir_fd=folder)
    try:
        try_lock(file)
        _write_whole(file, data)
        name = f"{first}.{os.fstat(file).st_ino}.{last}{ENDING}"
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.close(file)
        os.unlink(draft, dir_fd=folder)
        raise
    return Entry(name, values, folder, file)


def _write_whole(file: int, data: bytes) -> None:
    if len(data) > LARGEST or os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, "the entry does not fit")


def claim(directory: str, name: str) -> Entry | None:
    """Return an entry for this process alone to send, None where another has it or it is none of ours.

    What can't be read is set aside, what is a copy of an entry is deleted. Raises OSError where that fails.
    """
    folder = _open_folder(directory)
    try:
        file = os.open(name, os.O_RDWR | SAFELY, dir_fd=folder)
    except OSError:
        os.close(folder)
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
    if not _is_ours(found) or not _is_free(file, found):
        return entry.leave
    if _parts(entry.name)[1] != found.st_ino:
        return entry.remove
    try:
        values = json.loads(os.read(file, LARGEST))
    except ValueError:
        return entry.set_aside
    if not isinstance(values, dict):
        return entry.set_aside
    entry.values = values
    return None


def _is_ours(found: os.stat_result) -> bool:
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and found.st_nlink == 1
        and found.st_size <= LARGEST
    )


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
    try:
        folder = _open_folder(directory)
        try:
            return _names(folder)
        finally:
            os.close(folder)
    except OSError:
        return []


def depth(directory: str) -> tuple[int, int, float | None]:
    """Return how many entries wait, their bytes, and when the oldest was collected, in seconds since the epoch."""
    names = waiting(directory)
    sizes = [_size(os.path.join(directory, DIRECTORY, name)) for name in names]
    return len(names), sum(sizes), _parts(names[0])[0] / NANO if names else None


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:  # another process has just sent it
        return 0


def clear(directory: str) -> list[str]:
    """Delete all that waits, by nothing but listing and unlinking; return the paths that are gone."""
    place = os.path.join(directory, DIRECTORY)
    try:
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
    gone = []
    for name in names:
        path = os.path.join(place, name)
        try:
            os.unlink(path)
        except OSError:
            continue
        gone.append(path)
    return gone


def _open_folder(directory: str) -> int:
    """Open the outbox without following a link.

    Raises OSError where it is not a directory of ours, or the system can't reach a file from a directory.
    """
    if not RELATIVE:
        raise OSError(errno.ENOTSUP, "no files relative to a directory here")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = os.open(DIRECTORY, flags, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the outbox belongs to another user")  # noqa: TRY301 -- closed below
    except BaseException:
        os.close(folder)
        raise
    return folder


def _names(folder: int) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(ENDING) and _parts(name)[0])


def _parts(name: str) -> tuple[int, int, str, str]:
    """Return the time, inode, kind and run of an entry's name; zeros for what is none."""
    parts = name.removesuffix(ENDING).split(".")
    if len(parts) != 4 or not (parts[0].isdigit() and parts[1].isdigit()):  # noqa: PLR2004 -- the four above
        return 0, 0, "", ""
    return int(parts[0]), int(parts[1]), parts[2], parts[3]


def _make_room(folder: int, size: int) -> None:
    """Delete what is too old, and the oldest where there are too many or they are too large."""
    kept = []
    for name in sorted(os.listdir(folder)):
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:  # another process has just sent it
            continue
        if time.time() - found.st_mtime > OLDEST:
            _remove_all(folder, [name])
        else:
            kept.append((name, found.st_size))
    while kept and (len(kept) >= MOST_ENTRIES or sum(size for _, size in kept) + size > MOST_BYTES):
        _remove_all(folder, [kept.pop(0)[0]])


def _remove_all(folder: int, names: list[str]) -> None:
    for name in names:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            continue
