"""Private files, written whole: lock one, append a line to it, write a new one, read its lines back.

Every file is reached from a directory of ours (see directory.py), and is a regular file of ours with one link.

Processes that append to one file do each other no harm:
1. Each takes the file's lock, so that none rotates the file while another writes. Without a lock the write goes on:
   one write to a file opened for appending is whole by itself.
2. A last line without a newline is what a killed process left: a newline ends it before ours begins.
3. A write that a full disk cut short is taken back.
"""

from __future__ import annotations

import errno
import os
import time

from otel_usage.system.directory import APPEND, CREATE, READ, Directory

try:
    import fcntl
except ImportError:  # Windows, where a single write must do
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
    """Append lines and their newlines in one write, creating the file and its directory where they are missing.

    Args:
        path: The file.
        lines: ASCII text, without newlines.
        max_bytes: The size beyond which the file becomes `path`.1 and a new one begins; 0 for never. Lines that are
            together larger than this take several writes.

    Raises:
        OSError: The lines of one write are not in the file, and nothing of them is, nor of those behind them.
    """
    for data in _blocks(lines, max_bytes):
        _append_block(path, data, max_bytes)


def _blocks(lines: Iterable[str], max_bytes: int) -> Iterator[bytes]:
    """Join lines to blocks of at most so many bytes each, or of one line that is larger."""
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
    """Open the file and lock it, again where another writer rotated it in between."""
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
    """Write a new file in one call. Raises OSError where the name is taken; a file that is cut short stays."""
    file = directory.open_file(name, CREATE)
    try:
        write_whole(file, data)
    finally:
        os.close(file)


def replace(directory: Directory, name: str, draft: str, data: bytes) -> None:
    """Write a file whole or not at all: to a new file named `draft`, which then takes the name."""
    with directory.named(name):
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
    """Write to an open file in one call. Raises OSError where not all of the data is written."""
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: str) -> Iterator[str]:
    """Yield the lines of the old file and the present one, oldest first; none where a file can't be read."""
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
    """Yield each line that is a JSON object, without what no line of ours holds: nested values, NaN and infinity."""
    import json  # noqa: PLC0415 -- only where a file is read back

    for line in read_lines(path):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield {key: value for key, value in found.items() if _is_flat(value)}


def _is_flat(value: object) -> bool:
    return abs(value) < INFINITY if isinstance(value, float) else not isinstance(value, (dict, list))
