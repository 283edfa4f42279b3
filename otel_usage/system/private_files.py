"""Private files: lock one, append a line to it, write a new one whole, read lines back.

Every file is opened through a `Directory`, and is a regular file of ours with one link.

Why processes can append to the same file at the same time:
1. Each takes the file's lock, so no process rotates the file while another one writes. A process that can't get the
   lock writes without it: a single write to a file in append mode is atomic.
2. A last line without a newline is left by a process that was killed. The next writer ends it with a newline first.
3. A write that a full disk cuts short is undone.
"""

from __future__ import annotations

import errno
import os
import time

from otel_usage.system.directory import APPEND, CREATE, READ, Directory

try:
    import fcntl
except ImportError:  # Windows: no lock, only the single write
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    Flat: TypeAlias = dict[str, str | int | float | bool | None]

OLD = ".1"
MAX_BYTES = 2 * 2**20
LOCK_TRIES = 40
LOCK_PAUSE = 0.005
INFINITY = float("inf")


def append_line(path: str, line: str, *, max_bytes: int = MAX_BYTES) -> None:
    """Append a line; see append_lines."""
    append_lines(path, [line], max_bytes=max_bytes)


def append_lines(path: str, lines: Iterable[str], *, max_bytes: int = MAX_BYTES) -> None:
    """Append lines to a file in one write. Create the file and its directory if they are missing.

    Args:
        path: The file.
        lines: ASCII text, without newlines.
        max_bytes: The size in bytes above which the file is renamed to `path`.1 and a new one begins; 0 for never.
            Lines that are larger than this together take several writes.

    Raises:
        OSError: A write failed. None of its lines is in the file, and no later line.
    """
    for data in _blocks(lines, max_bytes):
        _append_block(path, data, max_bytes)


def _blocks(lines: Iterable[str], max_bytes: int) -> Iterator[bytes]:
    """Join lines to blocks of at most `max_bytes` each. A larger line is a block of its own."""
    block: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("ascii") + b"\n"
        if block and max_bytes and size + len(data) > max_bytes:
            yield b"".join(block)
            block, size = [], 0
        block.append(data)
        size += len(data)
    if block:
        yield b"".join(block)


def _append_block(path: str, data: bytes, max_bytes: int) -> None:
    folder, name = os.path.split(path)
    with Directory.open(folder, create=True) as directory:
        descriptor, locked = _open_locked(directory, name)
        try:
            size = os.fstat(descriptor).st_size
            if locked and max_bytes and size and size + len(data) > max_bytes:
                directory.replace(name, name + OLD)
                rotated, (descriptor, locked) = descriptor, _open_locked(directory, name)
                os.close(rotated)
                size = os.fstat(descriptor).st_size
            if size and _last_byte(descriptor, size) != b"\n":
                data = b"\n" + data
            _append(descriptor, data, locked=locked)
        finally:
            os.close(descriptor)


def _open_locked(directory: Directory, name: str) -> tuple[int, bool]:
    """Open the file and lock it; start again if another writer has rotated the file in between."""
    for _ in range(LOCK_TRIES):
        descriptor = directory.open_file(name, APPEND)
        try:
            locked = _lock(descriptor)
            if not locked or _is_at(directory, name, descriptor):
                return descriptor, locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise OSError(errno.EBUSY, "the file is replaced again and again", os.path.join(directory.path, name))


def _lock(descriptor: int) -> bool:
    """Wait up to 0.2 s for the lock: a stopped process may hold it for ever. Tell whether we have it."""
    for _ in range(LOCK_TRIES):
        if (locked := try_lock(descriptor)) is not False:
            return bool(locked)
        time.sleep(LOCK_PAUSE)
    return False


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file, without waiting.

    Returns:
        True if we hold the lock, False if another process holds it, None where the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(directory: Directory, name: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(directory.lstat(name), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


def _append(descriptor: int, data: bytes, *, locked: bool) -> None:
    before = os.fstat(descriptor).st_size
    written = os.write(descriptor, data)
    if written == len(data):
        return
    if locked and os.fstat(descriptor).st_size == before + written:
        os.ftruncate(descriptor, before)
    raise OSError(errno.ENOSPC, "the line was cut short")


def create(directory: Directory, name: str, data: bytes) -> None:
    """Write a new file in one call.

    Raises:
        OSError: The name is taken, or the file could not be written. An incomplete file stays.
    """
    file = directory.open_file(name, CREATE)
    try:
        write_whole(file, data)
    finally:
        os.close(file)


def replace(directory: Directory, name: str, draft: str, data: bytes) -> None:
    """Replace a file atomically: write a new file under the name `draft`, then rename it to `name`.

    Raises:
        OSError: The file could not be written or renamed. The draft is deleted.
    """
    with directory.errors_at(name):
        file = directory.open_file(draft, CREATE)
        try:
            write_whole(file, data)
            directory.replace(draft, name)
        except BaseException:
            directory.unlink(draft)
            raise
        finally:
            os.close(file)


def write_whole(descriptor: int, data: bytes) -> None:
    """Write to an open file in one call.

    Raises:
        OSError: Not all of the data could be written.
    """
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: str) -> Iterator[str]:
    """Yield the lines of `path`.1 and then of `path`, so the oldest first. A file that can't be read yields none."""
    folder, name = os.path.split(path)
    try:
        directory = Directory.open(folder)
    except OSError:
        return
    with directory:
        for part in (name + OLD, name):
            try:
                descriptor = directory.open_file(part, READ)
            except OSError:
                continue
            with open(descriptor, encoding="utf-8", errors="replace") as file:
                yield from file


def read_objects(path: str) -> Iterator[Flat]:
    """Yield each line that is a JSON object, without nested values, NaN and infinity: our own lines have none."""
    import json  # only where a file is read back

    for line in read_lines(path):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield {key: value for key, value in found.items() if _is_flat(value)}


def _is_flat(value: object) -> bool:
    return abs(value) < INFINITY if isinstance(value, float) else not isinstance(value, (dict, list))
