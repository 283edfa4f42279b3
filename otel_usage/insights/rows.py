"""The rows of single lines, by plain Python: those that DuckDB can't read for certain, and those of local files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_usage.facts.builtin import HEARTBEAT, REPORT, SERVICE_NAME
from otel_usage.insights.reader import kind_of, spans_on

KINDS = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute
    from otel_usage.insights.reader import Found

    Row = tuple[Any, ...]


def rows_on(line: bytes, app: App, columns: Mapping[str, Attribute], damaged: Callable[[str], None]) -> Iterator[Row]:
    """Yield the rows of a line, however it is: id, name, time in microseconds, app, then the attributes.

    A flat object with a `log_time` is a line of a local file, whose app is `app`. Raises nothing.
    """
    text = line.decode(errors="replace")
    flat = _flat(text) if '"log_time"' in text else None
    if flat is not None:
        yield from _local(flat, app, columns)
        return
    for found in spans_on(text, damaged):
        if found.name in (REPORT, HEARTBEAT):
            yield _collected(found, columns)


def _collected(found: Found, columns: Mapping[str, Attribute]) -> Row:
    values = (
        kind_of((found.resource if one.place == "resource" else found.span).get(one.name), KINDS[one.type])
        for one in columns.values()
    )
    app = kind_of(found.resource.get(SERVICE_NAME), KINDS[str])
    return found.trace_id + found.span_id, found.name, found.time // 1000, app, *values


def _flat(text: str) -> dict[str, Any] | None:
    """Return the object of a local file's line, None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and "log_time" in value else None


def _local(facts: Mapping[str, Any], app: App, columns: Mapping[str, Attribute]) -> Iterator[Row]:
    """Yield the row of a report of a local file; a heartbeat there tells nothing that is counted."""
    if not {"uuid", "log_time"} < {"uuid", *facts.keys() & set(app.report_keys)}:
        return
    found: dict[str, Any] = {}
    for key in facts.keys() & set(app.report_keys):
        value, _ = app.facts_by_key[key].admit(facts[key])
        if value is not None:
            parts = zip(app.attributes_of[key], app.facts_by_key[key].split(value), strict=False)
            found.update({one.name: part for one, part in parts if part is not None})
    time = facts["log_time"]
    time = time if type(time) is int and 0 <= time < 2**63 else 0
    ids = json.dumps([facts.get("uuid"), facts["log_time"]]).encode().hex()
    yield ids, REPORT, time // 1000, app.name, *(found.get(one.name) for one in columns.values())
