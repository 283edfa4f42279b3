"""Grafana's dashboards, from the fact tables: a panel for each fact, with the reason for which it is collected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from otel_usage.collector import count
from otel_usage.collector.clickhouse import column
from otel_usage.collector.panels import CLICKHOUSE, arranged, bars, curves, gauge, lines, number, row, table
from otel_usage.table import HARDWARE, SERVICE_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.app import App
    from otel_usage.collector.panels import Panel
    from otel_usage.facts import Attribute

WHERE = "$__timeFilter(time) AND app IN (${app:singlequote})"
DAYS = "day >= toDate($__fromTime) AND day <= toDate($__toTime) AND app IN (${app:singlequote})"
ACCEPTED = 'otelcol_receiver_accepted_spans{receiver="otlp/public"}'
REFUSED = " + ".join(
    f'sum(rate(otelcol_receiver_{what}_spans{{receiver="otlp/public"}}[$__rate_interval]))'
    for what in ("refused", "failed")
)
LAST = f"time() - max(max_over_time((timestamp(rate({ACCEPTED}[1m]) > 0))[1d:15s]))"
CURVES = (
    ("Accepted, a second", "reqps", f"sum by (transport) (rate({ACCEPTED}[$__rate_interval]))", ""),
    ("Refused, a second", "reqps", REFUSED,
     "the memory limit was reached, the queue is full, or something behind failed"),
    ("Dropped, a second", "reqps",
     'sum by (filter) (rate(otelcol_processor_filter_spans_filtered{filter!="filter/reports"}[$__rate_interval]))',
     "filter/contract: it was no report; filter/types: must stay 0"),
    ("Sent, a second", "reqps", "sum by (exporter) (rate(otelcol_exporter_sent_spans[$__rate_interval]))", ""),
    ("Waiting for each exporter", "short", "sum by (exporter) (otelcol_exporter_queue_size)", ""),
    ("Queue, how full", "percentunit",
     "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "full: clients are refused"),
    ("Memory", "bytes", "sum(otelcol_process_memory_rss)", ""),
    ("Processor, seconds a second", "short", "sum(rate(otelcol_process_cpu_seconds[$__rate_interval]))", ""),
)  # fmt: skip
NOT_SHOWN = "uuid"  # a random id has no distribution
UPTIME = (
    "SELECT quantileExactIf(0.5)(uptime / 3600, uptime > 0) AS hours FROM otel_usage.runs "
    f"WHERE {WHERE.replace('(time)', '(last_seen)')}"
)


def dashboards(apps: Sequence[App]) -> dict[str, str]:
    """Return the dashboards, by their paths."""
    made = {
        "hardware": ("Hardware", list(_hardware(apps))),
        "models": ("Models and settings", list(_models(apps))),
        "collector": ("Collector", list(_collector(apps))),
    }
    return {f"grafana/dashboards/{name}.json": _dashboard(name, *what) for name, what in made.items()}


def _dashboard(name: str, title: str, panels: list[Panel]) -> str:
    variables = [] if name == "collector" else [_of_app()]
    board = {
        "uid": f"otel-usage-{name}", "title": title, "tags": ["otel_usage"], "schemaVersion": 39, "version": 1,
        "editable": True, "timezone": "utc", "time": {"from": "now-7d", "to": "now"}, "refresh": "",
        "templating": {"list": variables}, "annotations": {"list": []}, "panels": arranged(panels),
    }  # fmt: skip
    return json.dumps(board, indent=1) + "\n"


def _of_app() -> Panel:
    """Return the choice of apps that stands above a dashboard."""
    query = "SELECT DISTINCT app FROM otel_usage.reports ORDER BY app"
    return {
        "name": "app", "label": "app", "type": "query", "datasource": CLICKHOUSE, "query": query, "definition": query,
        "multi": True, "includeAll": True, "refresh": 2, "sort": 1, "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def _hardware(apps: Sequence[App]) -> Iterator[Panel]:
    yield number("Reports", _reports("count() AS reports"))
    yield number("Reports with a GPU", _reports("countIf(otel_usage_gpu_count > 0) AS reports"))
    yield number("GPUs", _reports("sum(otel_usage_gpu_count) AS gpus"))
    yield number("Median uptime, hours", UPTIME)
    yield lines("GPU types, by day", _by_day(apps[0].columns["gpu_type"][0]), "from the daily counts, which stay")
    yield table(
        "GPU types, their number and cloud", _crossed("otel_usage_gpu_model", "otel_usage_gpu_count", "cloud_provider")
    )
    facts = {a.name: (a, fact.why) for fact in HARDWARE if fact.key != NOT_SHOWN for a in apps[0].columns[fact.key]}
    yield from (_of_fact(attribute, why, WHERE) for attribute, why in facts.values())


def _models(apps: Sequence[App]) -> Iterator[Panel]:
    yield lines("Versions, by day", _by_day(SERVICE_VERSION), "from the daily counts, which stay")
    yield table("GPU types by version", _crossed("service_version", "otel_usage_gpu_model"))
    for key in (apps[0].version_key, "context", "source"):
        yield _of_fact(apps[0].columns[key][0], apps[0].rows[key].why, WHERE)
    for app in apps:
        yield row(app.name)
        where = f"$__timeFilter(time) AND app = '{app.name}'"
        for fact in app.facts:
            if fact.on == "report":
                yield from (_of_fact(attribute, fact.why, where) for attribute in app.columns[fact.key])


def _of_fact(attribute: Attribute, why: str, where: str) -> Panel:
    """Return how many reports had each value of an attribute."""
    name = column(attribute.name)
    text = f"formatReadableSize({name})" if attribute.unit == "By" else f"toString({name})"
    sql = (
        f"SELECT ifNull({text}, '(none)') AS value, count() AS reports FROM otel_usage.reports WHERE {where} "
        "GROUP BY value ORDER BY reports DESC, value LIMIT 20"
    )
    return bars(attribute.name, sql, why)


def _by_day(attribute: Attribute) -> str:
    """Return the statement for the ten most frequent values of an attribute over the days."""
    source = f"otel_usage.daily FINAL WHERE {DAYS} AND attribute = '{attribute.name}'"
    top = f"SELECT value FROM {source} GROUP BY value ORDER BY sum(reports) DESC, value LIMIT 10"
    return (
        f"SELECT toDateTime(day) AS time, value, sum(reports) AS reports FROM {source} AND value IN ({top}) "
        "GROUP BY time, value ORDER BY time, value"
    )


def _reports(what: str) -> str:
    return f"SELECT {what} FROM otel_usage.reports WHERE {WHERE}"


def _crossed(*columns: str) -> str:
    """Return the statement for the most frequent combinations of some columns."""
    names = ", ".join(columns)
    shown = ", ".join(f"ifNull(toString({name}), '(none)') AS {name}" for name in columns)
    counted = f"SELECT {names}, count() AS reports FROM otel_usage.reports WHERE {WHERE} GROUP BY {names}"
    return f"SELECT {shown}, reports FROM ({counted}) ORDER BY reports DESC, {names} LIMIT 50"


def _collector(apps: Sequence[App]) -> Iterator[Panel]:
    yield gauge("Accepted, in all", f"sum({ACCEPTED})", why="since the collector started")
    yield gauge("Waiting", "sum(otelcol_exporter_queue_size)", why="for Jaeger or Kafka")
    yield gauge("Since the last report", LAST, "s")
    yield gauge("Since the collector started", "max(otelcol_process_uptime)", "s")
    for title, unit, expression, why in CURVES:
        yield curves(title, expression, unit, why)
    yield row("Reports since the collector started")
    for title, name in (("Versions", "reports"), ("Heartbeats, by version", "heartbeats")):
        yield curves(title, f"sum by (service_name, service_version) (otel_usage_{name}_total)")
    for one in count.counts(apps):
        expression = f"topk(20, sum by ({one.key}) (otel_usage_reports_by_{one.key}_total))"
        yield curves(one.key, expression, why="what the project does not know is other")
