"""What the dashboards ask ClickHouse, with the macros and variables that its source in Grafana writes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector.clickhouse import column
from otel_usage.facts.builtin import SERVICE_NAME, SERVICE_VERSION

if TYPE_CHECKING:
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

MOST, LINES = 20, 10
ANY = "app IN (${app:singlequote})"
DAYS = "day >= toDate($__fromTime) AND day <= toDate($__toTime)"


class Statements:
    """The statements about the reports that a dashboard's variables choose: of all their apps, or of one alone.

    app: whose table names the columns. alone: whether to count its reports only.
    """

    def __init__(self, app: App, *, alone: bool = False) -> None:
        self.run, self.version = column(app.attributes_of["uuid"][0].name), column(SERVICE_VERSION.name)
        self.gpu, self.gpus = (column(app.attributes_of[key][0].name) for key in ("gpu_type", "gpu_count"))
        chosen = (_chosen(name, one) for name, one in ((self.version, "version"), (self.gpu, "gpu")))
        self._chosen = " AND ".join([f"app = '{app.name}'" if alone else ANY, *chosen])

    def reports(self, what: str, then: str = "") -> str:
        """Return the statement for expressions over the reports."""
        return f"SELECT {what} FROM otel_usage.reports WHERE $__timeFilter(time) AND {self._chosen}{then}"

    def runs(self, what: str) -> str:
        """Return the statement for expressions over the runs, which are known by their heartbeats."""
        return f"SELECT {what} FROM otel_usage.runs WHERE $__timeFilter(last_seen) AND {self._chosen}"

    def values(self, attribute: Attribute) -> str:
        """Return the statement for how many reports had each of the most frequent values; numbers in their order."""
        name, order = column(attribute.name), "reports DESC, value" if attribute.type in (str, bool) else "key"
        what = f"{name} AS key, {_shown(attribute)} AS value, count() AS reports"
        most = self.reports(what, f" GROUP BY key ORDER BY reports DESC, key LIMIT {MOST}")
        return f"SELECT value, reports FROM ({most}) ORDER BY {order}"

    def together(self, *attributes: Attribute) -> str:
        """Return the statement for the most frequent combinations of some attributes."""
        names = [column(attribute.name) for attribute in attributes]
        shown = ", ".join(f"{_shown(attribute)} AS `{attribute.name}`" for attribute in attributes)
        counted = self.reports(f"{', '.join(names)}, count() AS reports", f" GROUP BY {', '.join(names)}")
        return f"SELECT {shown}, reports FROM ({counted}) ORDER BY reports DESC, {', '.join(names)} LIMIT {3 * MOST}"

    def days(self, attribute: Attribute) -> str:
        """Return the statement for the reports of each day by an attribute: its most frequent values, the rest, none.

        It asks the daily counts, which stay. The app's name counts all reports, its values those that have one.
        """
        which = f"otel_usage.daily FINAL WHERE {DAYS} AND {self._chosen} AND attribute"
        top = f"{which} = '{attribute.name}' GROUP BY value ORDER BY sum(reports) DESC, value LIMIT {LINES}"
        either = f"{which} IN ('{SERVICE_NAME}', '{attribute.name}')"
        had = f"[(if(had IN (SELECT value FROM {top}), had, '(rest)'), n), ('(none)', -n)]"
        return (
            "SELECT toDateTime(day) AS time, part.1 AS value, sum(part.2) AS reports "
            f"FROM (SELECT day, attribute, value AS had, toInt64(reports) AS n FROM {either}) "
            f"ARRAY JOIN if(attribute = '{SERVICE_NAME}', [('(none)', n)], {had}) AS part "
            "GROUP BY time, value HAVING reports > 0 ORDER BY time, value"
        )

    def told(self, attribute: Attribute) -> str:
        """Return the statement for what the last heartbeats of runs told: numbers in sum, median and most."""
        name, numeric = column(attribute.name), attribute.type in (int, float)
        last = f"max({name})" if numeric else f"argMax(toString({name}), received)"
        runs = (
            f"SELECT assumeNotNull({last}) AS value FROM otel_usage.heartbeats WHERE $__timeFilter(time) "
            f"AND {self._chosen} AND {name} IS NOT NULL GROUP BY {self.run}"
        )
        if numeric:
            return f"SELECT sum(value) AS total, quantileExact(0.5)(value) AS median, max(value) AS most FROM ({runs})"
        return f"SELECT value, count() AS runs FROM ({runs}) GROUP BY value ORDER BY runs DESC, value LIMIT {MOST}"


def choices(name: str) -> str:
    """Return the statement for the values of a variable: those of a column, also of years ago."""
    return (
        f"SELECT value FROM (SELECT ifNull({name}, '(none)') AS value FROM otel_usage.reports WHERE {ANY} "
        f"UNION DISTINCT SELECT {name} AS value FROM otel_usage.daily WHERE {ANY}) ORDER BY value"
    )


def _chosen(name: str, variable: str) -> str:
    return f"$__conditionalAll(ifNull({name}, '(none)') IN (${{{variable}:singlequote}}), ${variable})"


def _shown(attribute: Attribute) -> str:
    name = column(attribute.name)
    return f"ifNull({'formatReadableSize' if attribute.unit == 'By' else 'toString'}({name}), '(none)')"
