"""Files compressed with zstd: in the frames of the collector's file exporter, or by somebody else.

The exporter writes no lines then, but one frame a record, each with its length before it in four bytes.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
LENGTH = 4


def is_framed(head: bytes) -> bool:
    """Tell by its first eight bytes whether a file has the exporter's frames."""
    return head[LENGTH : 2 * LENGTH] == ZSTD


def frames(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of each frame; one that a kill has torn is passed over.

    Raises ModuleNotFoundError where zstandard is not installed.
    """
    zstandard = _zstandard()
    data = file.read()
    at = 0
    while at + LENGTH <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        start = at + LENGTH
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[start : start + length])
            at = start + length
        except zstandard.ZstdError:
            following = data.find(ZSTD, start + 1)
            at = len(data) if following < 0 else following - LENGTH


def stream(file: IO[bytes]) -> IO[bytes]:
    """Return a file decompressed. Raises ModuleNotFoundError where zstandard is not installed."""
    reader: IO[bytes] = _zstandard().ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return reader


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        message = "files compressed with zstd need the package zstandard: pip install 'otel-usage[insights]'"
        raise ModuleNotFoundError(message, name="zstandard") from error
    return zstandard
