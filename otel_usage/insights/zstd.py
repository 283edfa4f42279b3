"""Files compressed with zstd: in the frames of the collector's file exporter, or by somebody else.

The exporter writes no lines then, but one frame a record, each with its length before it in four bytes.
"""

from __future__ import annotations

import mmap
import struct
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
LENGTH = 4
FEW = 2**10  # a few bytes can become very many: 1 KiB becomes 43 MiB at most
WINDOW = 2**27


def is_framed(head: bytes) -> bool:
    """Tell by its first eight bytes whether a file has the exporter's frames."""
    return head[LENGTH : 2 * LENGTH] == ZSTD


def frames(file: IO[bytes], longest: int, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the content of each frame; one that a kill has torn, or of more than `longest` bytes, is passed over.

    Raises ModuleNotFoundError where zstandard is not installed.
    """
    zstandard = _zstandard()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 0
        while at + LENGTH <= len(data):
            (length,) = struct.unpack_from(">I", data, at)
            start = at + LENGTH
            try:
                content = _content(zstandard, data, start, start + length, longest)
                at = start + length
            except zstandard.ZstdError:
                content = None
                following = data.find(ZSTD, start + 1)
                at = len(data) if following < 0 else following - LENGTH
            if content is None:
                damaged("a compressed record is torn or too long")
            else:
                yield content


def _content(zstandard: ModuleType, data: mmap.mmap, start: int, end: int, longest: int) -> bytes | None:
    """Return the content of one frame, None where it is cut or too long; raises ZstdError for what is no frame."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
    found, size = [], 0
    for at in range(start, min(end, len(data)), FEW):
        found.append(decompressor.decompress(data[at : min(at + FEW, end)]))
        size += len(found[-1])
        if decompressor.eof or size > longest:
            break
    return b"".join(found) if decompressor.eof and size <= longest else None


def stream(file: IO[bytes], damaged: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the content of a file, piece by piece; what can't be decompressed is left out, and said.

    Raises ModuleNotFoundError where zstandard is not installed.
    """
    zstandard = _zstandard()
    fresh = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj
    decompressor, given = fresh(), b""
    try:
        while given or (given := file.read(FEW)):
            if piece := decompressor.decompress(given):
                yield piece
            given = b""
            if decompressor.eof:
                given, decompressor = decompressor.unused_data, fresh()
                begun = bool(given)
            else:
                begun = True
    except zstandard.ZstdError:
        begun = True
    if begun:
        damaged("the compressed file is torn")


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        message = "files compressed with zstd need the package zstandard: pip install 'otel-usage[insights]'"
        raise ModuleNotFoundError(message, name="zstandard") from error
    return zstandard
