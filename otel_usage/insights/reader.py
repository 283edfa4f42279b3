"""Reads the files that a collector's file exporter wrote: each report once, whatever became of the files.

They are rotated, and may be compressed, by the exporter or by others. A collector that was killed leaves a torn record
behind, or two on one line. Delivery is at least once, so a record may stand in several files.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from glob import glob
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from otel_usage.insights.zstd import GZIP, ZSTD, frames, is_framed, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otel_usage.facts.fact import Scalar

START = '{"resourceSpans"'
NAMES = ("usage*.jsonl", "usage*.jsonl.gz", "usage*.jsonl.zst")
READ = {"stringValue": str, "boolValue": bool, "intValue": int, "doubleValue": float}


class Record(NamedTuple):
    """One report or heartbeat, as it was collected.

    name: that of its span. time: when, in ns since the epoch, cut to the hour. resource, span: its attributes.
    """

    app: str
    name: str
    time: int
    trace_id: str
    span_id: str
    resource: dict[str, Scalar]
    span: dict[str, Scalar]


def read(paths: Iterable[str], *, damaged: Callable[[str, str], None] | None = None) -> Iterator[Record]:
    """Yield each record of some files, or directories of files, once.

    damaged: called with the path and the beginning of what can't be read, such as a record that a kill has torn; it is
    passed over. Raises OSError for a file that can't be opened, and ModuleNotFoundError, naming the package, for one
    that needs zstandard where that is not installed.
    """
    seen: set[bytes] = set()
    for path in expanded(paths):
        for request in _requests(path, damaged or (lambda _path, _text: None)):
            for record in _records(request):
                ids = bytes.fromhex(record.trace_id + record.span_id)
                if ids not in seen:
                    seen.add(ids)
                    yield record


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


def _requests(path: str, damaged: Callable[[str, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the OTLP requests of a file."""
    for line in _lines(path):
        yield from _objects(line, lambda text: damaged(path, text))


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a file, decompressed; of one that the exporter compressed, each of its pieces."""
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(0)
        if is_framed(head):
            yield from (frame.decode(errors="replace") for frame in frames(file))
            return
        with io.TextIOWrapper(_plain_file(file, head), encoding="utf-8", errors="replace", newline="\n") as text:
            yield from text


def _plain_file(file: IO[bytes], head: bytes) -> IO[bytes]:
    """Return a file as it was before somebody compressed it."""
    if head.startswith(GZIP):
        return gzip.open(file)  # type: ignore[return-value]  # it is no IO by name alone
    return stream(file) if head.startswith(ZSTD) else file


def _objects(line: str, damaged: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Yield the requests on a line: usually one, after a kill several, or what is left of one."""
    decoder = json.JSONDecoder()
    at = 0
    while at < len(line.rstrip()):
        try:
            request, at = decoder.raw_decode(line, at)
            yield request
        except ValueError:
            following = line.find(START, at + 1)
            end = len(line) if following < 0 else following
            damaged(line[at:end][:80].strip())
            at = end


def _records(request: dict[str, Any]) -> Iterator[Record]:
    for spans in request.get("resourceSpans", ()):
        resource = _plain(spans.get("resource", {}).get("attributes", ()))
        for scope in spans.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield Record(
                    app=str(resource.get("service.name", "")), name=span["name"],
                    time=int(span.get("startTimeUnixNano", 0)), trace_id=span["traceId"], span_id=span["spanId"],
                    resource=resource, span=_plain(span.get("attributes", ())),
                )  # fmt: skip


def _plain(attributes: Iterable[dict[str, Any]]) -> dict[str, Scalar]:
    """Return attributes by their names; what is no scalar is none of ours."""
    return {one["key"]: READ[kind](value) for one in attributes for kind, value in one["value"].items() if kind in READ}
