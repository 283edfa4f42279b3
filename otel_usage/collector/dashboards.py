"""Grafana's dashboards, from the fact tables: a panel for each fact, with the reason for which it is collected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from otel_usage.collector import count
from otel_usage.collector.panels import (
    CLICKHOUSE,
    PROMETHEUS,
    arranged,
    asked,
    bars,
    curves,
    days,
    gauge,
    listed,
    number,
    row,
    source,
    table,
)
from otel_usage.collector.statements import Statements, choices
from otel_usage.facts.builtin import HARDWARE, SERVICE_VERSION
from otel_usage.facts.environment import EnvironmentFact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_usage.collector.panels import Panel
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute, Fact

ACCEPTED = 'otelcol_receiver_accepted_spans{receiver="otlp/public"}'
REFUSED = " + ".join(
    f'sum(rate(otelcol_receiver_{what}_spans{{receiver="otlp/public"}}[$__rate_interval]))'
    for what in ("refused", "failed")
)
BEHIND = 'exporter!="otlp_http/hop"'
QUEUED = f"otelcol_exporter_queue_size{{{BEHIND}}}"
# What it sends to itself, over the second hop, is not sent yet. Of failures there is no series before the first.
SENT, LOST, FULL = (
    f"sum by (exporter) (rate(otelcol_exporter_{what}_spans{{{BEHIND}}}[$__rate_interval])){otherwise}"
    for what, otherwise in (
        ("sent", ""),
        ("send_failed", f" or 0 * sum by (exporter) ({QUEUED})"),
        ("enqueue_failed", f" or 0 * sum by (exporter) ({QUEUED})"),
    )
)
LAST = f"time() - max(max_over_time((timestamp(rate({ACCEPTED}[1m]) > 0))[1d:15s]))"
CURVES = (
    ("Accepted, a second", "reqps", f"sum by (transport) (rate({ACCEPTED}[$__rate_interval]))", ""),
    ("Refused, a second", "reqps", REFUSED,
     "the memory limit was reached, the queue is full, or something behind failed"),
    ("Dropped, a second", "reqps",
     'sum by (filter) (rate(otelcol_processor_filter_spans_filtered{filter!="filter/reports"}[$__rate_interval]))',
     "known: another app, or no run; contract: no report; first: not the first of its request; types: must stay 0"),
    ("Sent, a second", "reqps", SENT, ""),
    ("Lost, a second", "reqps", LOST, "a store refused it for good; must stay 0"),
    ("Not queued, a second", "reqps", FULL, "the queue is full, or its disk: clients are told to come again"),
    ("Waiting for each exporter", "short", f"sum by (exporter) ({QUEUED})", ""),
    ("Queue, how full", "percentunit",
     "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "full: clients are refused"),
    ("Memory", "bytes", "sum(otelcol_process_memory_rss)", ""),
    ("Processor, seconds a second", "short", "sum(rate(otelcol_process_cpu_seconds[$__rate_interval]))", ""),
)  # fmt: skip
NOT_SHOWN = "uuid"  # a random id has no distribution
HOURS = "quantileExactIf(0.5)(uptime / 3600, uptime > 0) AS hours"
STAY = "from the daily counts, which stay"
TWICE = "a report that is delivered twice counts twice here, and once in the other dashboards"
CHOSEN = '{service_name=~"${app:regex}"}'

OTHERS = f"sum by (attribute) (otel_usage_other_total{CHOSEN}) / scalar(sum(otel_usage_reports_total{CHOSEN}))"


def dashboards(apps: Sequence[App]) -> dict[str, str]:
    """Return the dashboards, by their paths."""
    gpu = apps[0].attributes_of["gpu_type"][0]
    all_apps, names = Statements(apps[0]), listed("app", [app.name for app in apps])
    clickhouse, prometheus = source("clickhouse", CLICKHOUSE["type"]), source("prometheus", PROMETHEUS["type"])
    variables = [clickhouse, names, asked("version", choices(SERVICE_VERSION)), asked("gpu", choices(gpu))]
    made = {
        "hardware": ("Hardware", list(_hardware(apps[0], all_apps)), variables),
        "models": ("Models and settings", list(_models(apps, all_apps)), variables),
        "collector": ("Collector", list(_collector(apps)), [prometheus, names]),
    }
    return {f"grafana/dashboards/{name}.json": _dashboard(name, *what) for name, what in made.items()}


def _dashboard(name: str, title: str, panels: list[Panel], variables: list[Panel]) -> str:
    board = {
        "uid": f"otel-usage-{name}", "title": title, "tags": ["otel_usage"], "schemaVersion": 39, "version": 1,
        "editable": True, "timezone": "utc", "time": {"from": "now-7d", "to": "now"}, "refresh": "",
        "templating": {"list": variables}, "annotations": {"list": []}, "panels": arranged(panels),
    }  # fmt: skip
    return json.dumps(board, indent=1) + "\n"


def _hardware(app: App, ask: Statements) -> Iterator[Panel]:
    gpu, *more = (app.attributes_of[key][0] for key in ("gpu_type", "gpu_count", "provider"))
    yield number("Reports", ask.reports("count() AS reports"))
    yield number("Reports with a GPU", ask.reports(f"countIf({ask.gpus} > 0) AS reports"))
    yield number("GPUs", ask.reports(f"sum(toFloat64({ask.gpus})) AS gpus"))
    yield number("Median uptime, hours", ask.runs(HOURS))
    yield days("GPU types, by day", ask.days(gpu), STAY)
    yield table("GPU types, their number and cloud", ask.together(gpu, *more))
    reasons: dict[Attribute, list[str]] = {}  # the runtimes of all vendors share their attributes
    for attribute, why in _reasons(app, (fact for fact in HARDWARE if fact.key != NOT_SHOWN)):
        reasons.setdefault(attribute, []).append(why)
    yield from (bars(a.name, ask.values(a), "; ".join(whys)) for a, whys in reasons.items())


def _models(apps: Sequence[App], ask: Statements) -> Iterator[Panel]:
    first = apps[0]
    yield days("Versions, by day", ask.days(SERVICE_VERSION), STAY)
    yield table("GPU types by version", ask.together(SERVICE_VERSION, first.attributes_of["gpu_type"][0]))
    about_run = _reasons(first, (first.facts_by_key[key] for key in (first.version_key, "context", "source")))
    yield from (bars(a.name, ask.values(a), why) for a, why in about_run)
    for app in apps:
        yield row(app.name)
        yield from _declared(app, Statements(app, alone=True))


def _declared(app: App, ask: Statements) -> Iterator[Panel]:
    """Yield the panels of what an app declares: closed sets by day too, and what its runs tell by heartbeats."""
    reported = list(_reasons(app, (fact for fact in app.facts if fact.on == "report")))
    for attribute, why in sorted(reported, key=lambda one: one[0].values is None):
        yield bars(attribute.name, ask.values(attribute), why)
        if attribute.values is not None:
            yield days(f"{attribute.name}, by day", ask.days(attribute), STAY)
    for attribute, why in _reasons(app, (fact for fact in app.facts if fact.on == "heartbeat")):
        draw = number if attribute.type in (int, float) else bars
        yield draw(attribute.name, ask.told(attribute), why)


def _reasons(app: App, facts: Iterable[Fact]) -> Iterator[tuple[Attribute, str]]:
    """Yield each attribute of some facts, and why it is collected: a variable for its own reason."""
    for fact in facts:
        parts = fact.variables if isinstance(fact, EnvironmentFact) else [fact] * len(app.attributes_of[fact.key])
        yield from ((a, part.why) for a, part in zip(app.attributes_of[fact.key], parts, strict=True))


def _collector(apps: Sequence[App]) -> Iterator[Panel]:
    yield gauge("Accepted, in all", f"sum({ACCEPTED})", why="since the collector started")
    yield gauge("Waiting", f"sum({QUEUED})", why="for Jaeger or Kafka")
    yield gauge("Since the last report", LAST, "s")
    yield gauge("Since the collector started", "max(otelcol_process_uptime)", "s")
    for title, unit, expression, why in CURVES:
        yield curves(title, expression, unit, why)
    yield row("Reports since the collector started")
    for title, name in (("Versions", "reports"), ("Heartbeats, by version", "heartbeats")):
        yield curves(title, f"sum by (service_name, service_version) (otel_usage_{name}_total{CHOSEN})", why=TWICE)
    yield curves(
        "Other, of all reports", OTHERS, "percentunit", "hardware, models and settings that the table does not know"
    )
    for one in count.counts(apps):
        expression = f"topk(20, sum by ({one.key}) (otel_usage_reports_by_{one.key}_total{CHOSEN}))"
        yield curves(one.key, expression, why=f"what the project does not know is other; {TWICE}")
