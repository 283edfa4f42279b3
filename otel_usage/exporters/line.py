"""Append one line to the local file: whole, private, never through a link, never growing without bound.

The rules against each other's harm, in the order they are applied:
1. Nothing is created below a directory of another user, and only a regular file of ours with one link is written.
2. Writers take the file's lock, so that none rotates while another writes; a lock that can't be had is done without,
   since one write to a file opened for appending is whole by itself.
3. A tail without a newline is a killed process's torn line: it is closed off, so that it can't swallow ours.
4. A write that the disk cut short is taken back.
"""

from __future__ import annotations

import errno
import os
import stat
import time

try:
    import fcntl
except ImportError:  # Windows, where a single write must do
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "usage_stats.json"
OLD = ".1"
MAX_BYTES = 2 * 2**20
LOCK_TRIES = 40
LOCK_PAUSE = 0.005
SAFELY = 0
for _flag in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    SAFELY |= getattr(os, _flag, 0)
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | SAFELY
READ = os.O_RDONLY | SAFELY


def append_line(path: str, line: str, *, max_bytes: int = MAX_BYTES) -> None:
    """Append `line` and its newline to the file at `path`, creating it and its directory where they are missing.

    max_bytes: the size in bytes beyond which the file becomes `path`.1 and a new one begins; 0 for never.
    Raises OSError where the line is not in the file, and then nothing of it is.
    """
    data = line.encode("ascii") + b"\n"
    make_directory(os.path.dirname(path))
    descriptor, locked = _open_locked(path)
    try:
        size = os.fstat(descriptor).st_size
        if locked and max_bytes and size and size + len(data) > max_bytes:
            os.replace(path, path + OLD)
            os.close(descriptor)
            descriptor, locked = _open_locked(path)
            size = os.fstat(descriptor).st_size
        if size and _last_byte(descriptor, size) != b"\n":
            data = b"\n" + data
        _write_whole(descriptor, data, locked=locked)
    finally:
        os.close(descriptor)


def make_directory(path: str) -> None:
    """Create a directory of ours with mode 0700, and what is missing above it.

    Raises PermissionError where what stands there already, or the directory to create it in, is another user's.
    """
    missing: list[str] = []
    while not _ours(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            _ours(directory)


def _ours(path: str) -> bool:
    """Tell whether `path` exists; raise where it is not a directory of ours."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "the directory belongs to another user", path)
    return True


def open_own(path: str, flags: int) -> int:
    """Open a regular file of ours with one link, make it private if it is to be written, return its descriptor.

    Raises OSError for everything else: a link, a FIFO, a device, another user's file.
    """
    descriptor = os.open(path, flags, 0o600)
    try:
        _check_own(descriptor, path, writing=bool(flags & os.O_RDWR))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_own(descriptor: int, path: str, *, writing: bool) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    if not hasattr(os, "geteuid"):  # Windows
        return
    if found.st_uid != os.geteuid() or found.st_nlink > 1:
        raise PermissionError(errno.EPERM, "the file belongs to another user or has a second name", path)
    if writing and found.st_mode & 0o077:
        os.fchmod(descriptor, 0o600)


def _open_locked(path: str) -> tuple[int, bool]:
    """Open the file and lock it, again where another writer rotated it in between."""
    for _ in range(LOCK_TRIES):
        descriptor = open_own(path, APPEND)
        locked = _lock(descriptor)
        if not locked or _is_at(path, descriptor):
            return descriptor, locked
        os.close(descriptor)
    raise OSError(errno.EBUSY, "the file is replaced again and again", path)


def _lock(descriptor: int) -> bool:
    """Take the lock if it comes free soon; a stopped process must not stop us."""
    for _ in range(LOCK_TRIES):
        if (locked := try_lock(descriptor)) is not False:
            return bool(locked)
        time.sleep(LOCK_PAUSE)
    return False


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file for this process: True if it is, False if another has it, None where locks do not work."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


def _write_whole(descriptor: int, data: bytes, *, locked: bool) -> None:
    before = os.fstat(descriptor).st_size
    written = os.write(descriptor, data)
    if written == len(data):
        return
    if locked and os.fstat(descriptor).st_size == before + written:
        os.ftruncate(descriptor, before)
    raise OSError(errno.ENOSPC, "the line was cut short")


def read_lines(path: str) -> Iterator[str]:
    """Yield the lines of the old file and the present one, oldest first; none where a file can't be read."""
    for part in (path + OLD, path):
        try:
            descriptor = open_own(part, READ)
        except OSError:
            continue
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            yield from file
