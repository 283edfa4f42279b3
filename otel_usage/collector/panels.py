"""Panels of Grafana, as plain JSON: what is asked, of which source, and how it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Which one it is, the reader of a dashboard chooses above it: a Grafana that was there has its own.
CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "${clickhouse}"}
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
WIDTH = 24
TABLE, SERIES = 1, 0  # the ClickHouse source's names for the form of an answer

Panel = dict[str, Any]


def bars(title: str, sql: str, why: str = "") -> Panel:
    """Return a bar for each row of an answer: its value, and how many."""
    options = {"orientation": "horizontal", "xField": "value", "legend": {"showLegend": False}, "showValue": "always"}
    return _panel("barchart", title, _sql(sql, TABLE), CLICKHOUSE, why, options=options, width=8, height=9)


def days(title: str, sql: str, why: str = "", width: int = 16) -> Panel:
    """Return a bar for each day of an answer, made of its values."""
    stacked = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    made = _panel("timeseries", title, _sql(sql, SERIES), CLICKHOUSE, why, width=width, height=9)
    made["fieldConfig"]["defaults"] |= {"custom": stacked, "displayName": "${__field.labels.value}"}
    return made


def table(title: str, sql: str, why: str = "", width: int = 8) -> Panel:
    """Return an answer as it is."""
    return _panel("table", title, _sql(sql, TABLE), CLICKHOUSE, why, width=width, height=9)


def number(title: str, sql: str, why: str = "") -> Panel:
    """Return one number, large."""
    return _panel("stat", title, _sql(sql, TABLE), CLICKHOUSE, why, width=6, height=4)


def curves(title: str, expression: str, unit: str = "short", why: str = "") -> Panel:
    """Return what Prometheus has over time, a line for each series."""
    target = {"refId": "A", "expr": expression, "legendFormat": "__auto"}
    return _panel("timeseries", title, target, PROMETHEUS, why, unit=unit, width=12, height=8)


def gauge(title: str, expression: str, unit: str = "short", why: str = "") -> Panel:
    """Return what Prometheus has now, as one number."""
    target = {"refId": "A", "expr": expression, "legendFormat": "__auto", "instant": True, "range": False}
    return _panel("stat", title, target, PROMETHEUS, why, unit=unit, width=6, height=4)


def listed(name: str, values: Sequence[str]) -> Panel:
    """Return the choice of some values that stands above a dashboard."""
    return _variable(name, type="custom", query=",".join(values))


def source(name: str, kind: str) -> Panel:
    """Return the choice of the data source of a kind: by default the one that is provisioned by that name."""
    current = {"text": name, "value": name}
    return {"name": name, "label": name, "type": "datasource", "query": kind, "current": current, "hide": 0}


def asked(name: str, sql: str) -> Panel:
    """Return the choice of the values that ClickHouse answers with."""
    return _variable(name, type="query", datasource=CLICKHOUSE, query=sql, definition=sql, refresh=2)


def _variable(name: str, **more: object) -> Panel:
    current = {"text": ["All"], "value": ["$__all"]}
    return {"name": name, "label": name, "multi": True, "includeAll": True, "current": current, **more}


def row(title: str) -> Panel:
    """Return the heading of the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": WIDTH, "h": 1}}


def arranged(panels: list[Panel]) -> list[Panel]:
    """Give each panel its number and its place: from left to right, then below."""
    x = y = height = 0
    placed = []
    for number, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        placed.append({**panel, "id": number, "gridPos": {**place, "x": x, "y": y}})
        x, height = x + place["w"], max(height, place["h"])
    return placed


def _sql(sql: str, form: int) -> Panel:
    kind = "timeseries" if form == SERIES else "table"
    return {"refId": "A", "editorType": "sql", "queryType": kind, "format": form, "rawSql": sql}


def _panel(  # noqa: PLR0913 -- what a panel is made of
    kind: str,
    title: str,
    target: Panel,
    source: Panel,
    why: str,
    *,
    width: int,
    height: int,
    unit: str = "short",
    options: Panel | None = None,
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": why,
        "datasource": source,
        "targets": [{**target, "datasource": source}],
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": options or {},
        "gridPos": {"w": width, "h": height},
    }
