"""ClickHouse tables and views for the reports: a typed column for each attribute of the fact tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector import ottl
from otel_usage.collector.template import filled, text
from otel_usage.facts.builtin import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

TYPES = {
    str: ("LowCardinality(Nullable(String))", "nullIf({value}, '')"),
    int: ("Nullable(Int64)", "toInt64OrNull({value})"),
    float: ("Nullable(Float64)", "toFloat64OrNull({value})"),
    bool: ("Nullable(Bool)", "if({value} = '', NULL, {value} = 'true')"),
}
MAPS = {"resource": "ResourceAttributes", "span": "SpanAttributes"}


def tables(apps: Sequence[App]) -> str:
    """Return the statements that make the tables and views."""
    attributes = [attribute for attribute in ottl.union(apps) if attribute.name != SERVICE_NAME]
    beats = [(app, fact) for app in apps for fact in app.facts_by_key.values() if fact.on == "heartbeat"]
    of_heartbeats = {attribute.name for app, fact in beats for attribute in app.attributes_of[fact.key]}
    report = [column(a.name) for a in attributes if a.name not in of_heartbeats]
    heartbeat = [column(a.name) for a in attributes if a.place == "resource" or a.name in of_heartbeats]
    parts = {"columns": _lines(map(_declared, attributes)), "report": _lines(report), "heartbeat": _lines(heartbeat)}
    return filled(text("clickhouse.sql"), parts)


def _lines(items: Iterable[str]) -> str:
    return ",\n".join(items)


def column(name: str) -> str:
    """Return the column of an attribute: its name with underscores, as in Prometheus."""
    return name.replace(".", "_")


def _declared(attribute: Attribute) -> str:
    type_, expression = TYPES[attribute.type]
    value = f"{MAPS[attribute.place]}['{attribute.name}']"
    return f"{column(attribute.name)} {type_} MATERIALIZED {expression.format(value=value)}"
