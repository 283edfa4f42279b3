"""ClickHouse tables and views for the reports: a typed column for each attribute of the fact tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector import ottl
from otel_usage.collector.template import filled, text
from otel_usage.facts.builtin import SERVICE_NAME, SERVICE_VERSION, UUID

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
SCRIPTS = ("otel_usage", "upgrade-before", "upgrade-after")
MAPS = {"resource": "ResourceAttributes", "span": "SpanAttributes"}


# Of a day, app and attribute: how many values, versions and GPUs are counted by themselves, and in how many rows.
BOUNDS = {"values": "20", "rows": "1000"}
RAW_DAYS = "today() - 27"  # whose reports are all there still


def tables(apps: Sequence[App]) -> dict[str, str]:
    """Return the statements that make the tables and views, and what takes over older tables, by their paths."""
    attributes = [attribute for attribute in ottl.union(apps) if attribute.name != SERVICE_NAME]
    beats = [(app, fact) for app in apps for fact in app.facts_by_key.values() if fact.on == "heartbeat"]
    of_heartbeats = {attribute.name for app, fact in beats for attribute in app.attributes_of[fact.key]}
    report = [column(a.name) for a in attributes if a.name not in of_heartbeats]
    heartbeat = [column(a.name) for a in attributes if a.place == "resource" or a.name in of_heartbeats]
    daily = [f"('{SERVICE_NAME}', app)", *(f"('{a.name}', ifNull({column(a.name)}, '(none)'))" for a in by_day(apps))]
    over = f"day < today() AND day >= {RAW_DAYS} AND day NOT IN (SELECT day FROM otel_usage.days)"
    others = ", ".join(f"'{a.name}'" for a in by_day(apps))
    names = f"'{SERVICE_NAME}', {others}"
    older = filled(text("older.sql"), {"which": f"day < {RAW_DAYS}", "names": names, "others": others})
    parts = {
        "columns": _lines(map(_declared, attributes)) + ";", "report": _lines(report), "heartbeat": _lines(heartbeat),
        "daily": _lines(daily), "over": _counted(f"otel_usage.day_values WHERE {over}"),
        "today": _counted("otel_usage.day_values WHERE day = today()"), "older": _counted(older),
        **BOUNDS,
    }  # fmt: skip
    return {f"clickhouse/{name}.sql": filled(text(f"{name}.sql"), parts) for name in SCRIPTS}


def _counted(source: str) -> str:
    """Return the statement that counts by day what a source has, in few rows whatever the values are."""
    return filled(text("day.sql"), {"source": source.rstrip(), **BOUNDS}).rstrip() + ";"


def by_day(apps: Sequence[App]) -> list[Attribute]:
    """Return the attributes that are counted by day: versions, GPUs, and each closed set that an app declares."""
    declared = (a for app in apps for fact in app.facts if fact.on == "report" for a in app.attributes_of[fact.key])
    found = (SERVICE_VERSION, apps[0].attributes_of["gpu_type"][0], *(a for a in declared if a.values is not None))
    return list({attribute.name: attribute for attribute in found}.values())


def _lines(items: Iterable[str]) -> str:
    return ",\n".join(items)


def column(name: str) -> str:
    """Return the column of an attribute: its name with underscores, as in Prometheus."""
    return name.replace(".", "_")


def _declared(attribute: Attribute) -> str:
    """Return what adds the column of an attribute. A number out of its bounds is none, and spoils no sum."""
    type_, expression = TYPES[attribute.type]
    value = expression.format(value=f"{MAPS[attribute.place]}['{attribute.name}']")
    if attribute.type in (int, float):
        least, most = (ottl.number(attribute, bound) for bound in (attribute.minimum, attribute.maximum))
        value = f"if({value} BETWEEN {least} AND {most}, {value}, NULL)"
    if attribute.pattern == UUID:
        type_ = "Nullable(String)"  # there are as many as runs
    return f"ADD COLUMN IF NOT EXISTS {column(attribute.name)} {type_} MATERIALIZED {value}"
