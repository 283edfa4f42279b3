"""Reads the files that a collector's file exporter wrote: each report once, whatever became of the files.

They are rotated, and may be compressed, by the exporter or by others. A collector that was killed leaves a torn record
behind, or two on one line. Delivery is at least once, so a record may stand in several files.

This is the careful way, which no line can stop. `otel-usage stats` takes plain lines apart in a quicker way, and
gives only the others to the functions here.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_usage.insights.lines import blocks, expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otel_usage.facts.fact import Scalar

START = '{"resourceSpans"'
BLOCK = 2**20
SHOWN = 80
QUICK = 64  # the error itself counts the line ends before it, that many times as quickly as JSON is parsed
ATTEMPTS, DEEP = 8, 2**14  # what is parsed again after damage: so many times the line, and so much for what is too deep
IDS = re.compile(r"[0-9a-f]{32}\|[0-9a-f]{16}")
NUMBER = re.compile(r"-?[0-9]{1,19}")


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


class Found(NamedTuple):
    """A span as it stands in a file: its attributes with their values as JSON has them, by kinds."""

    name: str
    time: int
    trace_id: str
    span_id: str
    resource: dict[str, dict[str, Any]]
    span: dict[str, dict[str, Any]]


def read(paths: Iterable[str], *, damaged: Callable[[str, str], None] | None = None) -> Iterator[Record]:
    """Yield each record of some files, or directories of files, once.

    Args:
        paths: The files, or directories: of these, what an exporter left there, the oldest first.
        damaged: Called with the path and the beginning of what can't be read, such as a record that a kill has torn,
            or with a few words where a compressed file is torn; it is passed over.

    Raises:
        OSError: A file can't be opened.
        ModuleNotFoundError: A file needs zstandard, which is not installed; the text says how to install it.
    """
    seen: set[bytes] = set()
    for path in expanded(paths):

        def wrong(text: str, path: str = path) -> None:
            if damaged is not None:
                damaged(path, text)

        for block in blocks(path, BLOCK, wrong):
            for line in block.split(b"\n"):
                for found in spans_on(line.decode(errors="replace"), wrong):
                    ids = bytes.fromhex(found.trace_id + found.span_id)
                    if ids not in seen:
                        seen.add(ids)
                        yield _record(found)


def spans_on(line: str, damaged: Callable[[str], None]) -> Iterator[Found]:
    """Yield the spans on a line. Raises nothing: what can't be read is given to `damaged`, and costs itself alone."""
    for text, request in objects_on(line, damaged):
        resource_spans = request.get("resourceSpans") if isinstance(request, dict) else None
        if not isinstance(resource_spans, list):
            damaged(text)
            continue
        for spans in _dicts(resource_spans, text, damaged):
            resource = _attributes(_within(spans, "resource"))
            for scope in _dicts(spans.get("scopeSpans"), text, damaged):
                for span in _dicts(scope.get("spans"), text, damaged):
                    yield from _span(span, resource, text, damaged)


def objects_on(line: str, damaged: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """Yield the values on a line, each with its beginning: usually one, after a kill several, or what is left of one.

    The cost is linear in the line, whatever stands there.
    """
    line, decoder = line.strip(), json.JSONDecoder()
    at, budget = 0, ATTEMPTS * (len(line) + DEEP)
    while at < len(line):
        try:
            value, end = decoder.raw_decode(line, at)
            yield line[at : at + SHOWN], value
            at = end + len(line[end : end + SHOWN]) - len(line[end : end + SHOWN].lstrip())
        except (ValueError, RecursionError) as error:
            scanned = error.pos - at if isinstance(error, json.JSONDecodeError) else DEEP
            budget -= scanned + at // QUICK
            following = line.find(START, at + 1) if budget > 0 else -1
            end = len(line) if following < 0 else following
            damaged(line[at : min(end, at + SHOWN)].strip())
            at = end


def kind_of(value: Any, kind: str) -> Scalar | None:  # noqa: ANN401 -- whatever JSON can hold
    """Return an attribute's value of one kind, such as "intValue"; None where it has none, or it is none."""
    given = value.get(kind) if isinstance(value, dict) else None
    return None if given is None else READ[kind](given)


def _text(given: object) -> str | None:
    return given if isinstance(given, str) else None


def _int(given: object) -> int | None:
    """Return an int: OTLP has them as text, since JSON's numbers are doubles to many."""
    if isinstance(given, str):
        given = int(given) if NUMBER.fullmatch(given) else None
    return given if type(given) is int and -(2**63) <= given < 2**63 else None


def _double(given: object) -> float | None:
    return float(given) if type(given) in (int, float) and math.isfinite(given) else None  # type: ignore[arg-type]


def _bool(given: object) -> bool | None:
    return given if isinstance(given, bool) else None


READ: dict[str, Callable[[object], Scalar | None]] = {
    "stringValue": _text, "boolValue": _bool, "intValue": _int, "doubleValue": _double,
}  # fmt: skip


def _within(outer: dict[str, Any], name: str) -> dict[str, Any]:
    inner = outer.get(name)
    return inner if isinstance(inner, dict) else {}


def _dicts(items: object, text: str, damaged: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; anything else in its place is damage."""
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, dict):
            yield item
        else:
            damaged(text)


def _attributes(holder: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return attributes by their names; a name that is given twice has its first value."""
    found: dict[str, dict[str, Any]] = {}
    attributes = holder.get("attributes")
    for one in attributes if isinstance(attributes, list) else ():
        if isinstance(one, dict) and isinstance(name := one.get("key"), str):
            value = one.get("value")
            found.setdefault(name, value if isinstance(value, dict) else {})
    return found


def _span(
    span: dict[str, Any], resource: dict[str, dict[str, Any]], text: str, damaged: Callable[[str], None]
) -> Iterator[Found]:
    """Yield the span, if it is one."""
    name, trace_id, span_id = (span.get(key) for key in ("name", "traceId", "spanId"))
    given = span.get("startTimeUnixNano")
    time = 0 if given is None else _int(given)
    if isinstance(name, str) and time is not None and time >= 0 and IDS.fullmatch(f"{trace_id}|{span_id}"):
        yield Found(name, time, str(trace_id), str(span_id), resource, _attributes(span))
    else:
        damaged(text)


def _record(found: Found) -> Record:
    resource, span = _plain(found.resource), _plain(found.span)
    app = str(resource.get("service.name", ""))
    return Record(app, found.name, found.time, found.trace_id, found.span_id, resource, span)


def _plain(attributes: dict[str, dict[str, Any]]) -> dict[str, Scalar]:
    return {name: plain for name, value in attributes.items() if (plain := _scalar(value)) is not None}


def _scalar(value: dict[str, Any]) -> Scalar | None:
    """Return a value by the kind that it has; what is no scalar is none of ours."""
    for kind, given in value.items():
        if kind in READ and (plain := READ[kind](given)) is not None:
            return plain
    return None
