"""The lines of a collected file, decompressed, in blocks of bounded size, whatever became of the file."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from glob import glob
from typing import IO, TYPE_CHECKING, NamedTuple

from otel_usage.insights.zstd import GZIP, ZSTD, frames, is_framed, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NAMES = ("usage*.jsonl", "usage*.jsonl.gz", "usage*.jsonl.zst")
PIECE, LONGEST = 2**20, 2**26
TOO_LONG = "a line of over 64 MiB"


def expanded(paths: Iterable[str]) -> list[str]:
    """Return the files meant by some paths: of a directory, all that an exporter left there, the oldest first."""
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            inside = {name for pattern in NAMES for name in glob(os.path.join(glob_escaped(path), pattern))}
            found += sorted(inside, key=lambda name: (os.path.getmtime(name), name))
        else:
            found.append(path)
    return found


def glob_escaped(path: str) -> str:
    """Return a path in which no character is a pattern."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


class Extent(NamedTuple):
    """A part of a file that is as it was written: whole lines, for another process to read."""

    path: str
    at: int
    length: int

    def content(self) -> bytes:
        """Return the lines. Raises OSError for a file that can't be read."""
        with open(self.path, "rb") as file:
            file.seek(self.at)
            return file.read(self.length)


def parts(
    path: str, size: int, damaged: Callable[[str], None], progress: Callable[[int], None] | None = None
) -> Iterator[bytes | Extent]:
    """Yield the content of a file as `blocks` does, but as extents where it is neither compressed nor has long lines.

    It takes and raises what `blocks` does.
    """
    at = 0
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and not _is_compressed(file.read(8)):
            while at < status.st_size:
                file.seek(min(at + size, status.st_size))
                if len(file.readline(LONGEST)) == LONGEST:
                    break
                yield Extent(path, at, file.tell() - at)
                at = file.tell()
                if progress is not None:
                    progress(at)
            else:
                return
    yield from blocks(path, size, damaged, progress, at)


def _is_compressed(head: bytes) -> bool:
    return is_framed(head) or head.startswith((ZSTD, GZIP))


def blocks(
    path: str, size: int, damaged: Callable[[str], None], progress: Callable[[int], None] | None = None, start: int = 0
) -> Iterator[bytes]:
    """Yield the content of a file in blocks of whole lines, each of about `size` bytes.

    Args:
        path: The file: as the exporter wrote it, with its compression or without, or compressed by gzip or zstd.
        size: A block holds so many bytes, and more only where one line is longer.
        damaged: Called with a few words where the file is torn, or a line is longer than 64 MiB: it is left out.
        progress: Called with the number of bytes of the file that have been read so far.
        start: Where to begin, in a file that is not compressed.

    Raises:
        OSError: The file can't be opened or read.
        ModuleNotFoundError: The file needs zstandard, which is not installed; the text says how to install it.
    """
    held: list[bytes] = []
    length, dropping = 0, False
    with open(path, "rb") as file:
        for piece in _pieces(file, start, damaged):
            end = piece.rfind(b"\n") + 1
            if progress is not None:
                progress(file.tell())
            if end and (length + end >= size or dropping):
                start = piece.find(b"\n") + 1 if dropping else 0
                yield b"".join((*held, piece[start:end]))
                held, length, dropping = [piece[end:]], len(piece) - end, False
            elif not dropping:
                held.append(piece)
                length += len(piece)
            if length > size + LONGEST:
                yield from _whole(held)
                damaged(TOO_LONG)
                held, length, dropping = [], 0, True
    if length:
        yield b"".join(held)


def _whole(held: list[bytes]) -> Iterator[bytes]:
    """Yield the whole lines before one that is too long."""
    text = b"".join(held)
    end = text.rfind(b"\n") + 1
    if end:
        yield text[:end]


def _pieces(file: IO[bytes], start: int, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the content of a file, decompressed, in pieces of bounded size."""
    head = file.read(8)
    file.seek(start)
    if is_framed(head):
        for frame in frames(file, LONGEST, damaged):
            yield frame + b"\n"
    elif head.startswith(ZSTD):
        yield from stream(file, damaged)
    else:
        source: IO[bytes] = gzip.GzipFile(fileobj=file) if head.startswith(GZIP) else file  # type: ignore[assignment]
        try:
            while piece := source.read(PIECE):
                yield piece
        except (EOFError, zlib.error, gzip.BadGzipFile):
            damaged("the compressed file is torn")
