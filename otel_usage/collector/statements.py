"""What the dashboards ask ClickHouse, with the macros and variables that its source in Grafana writes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector.clickhouse import column
from otel_usage.facts.builtin import SERVICE_VERSION

if TYPE_CHECKING:
    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

MOST, LINES, CHOICES = 20, 10, 200
ANY = "app IN (${app:singlequote})"
MADE_UP = "('(none)', '(rest)')"
DAYS = "day >= toDate($__fromTime) AND day <= toDate($__toTime)"


class Statements:
    """The statements about the reports that a dashboard's variables choose: of all their apps, or of one alone.

    app: whose table names the columns. alone: whether to count its reports only.
    """

    def __init__(self, app: App, *, alone: bool = False) -> None:
        self.run, self.version = column(app.attributes_of["uuid"][0].name), column(SERVICE_VERSION.name)
        self.gpu, self.gpus = (column(app.attributes_of[key][0].name) for key in ("gpu_type", "gpu_count"))
        self.uptime = column(app.attributes_of["uptime"][0].name)
        chosen = (_chosen(name, one) for name, one in ((self.version, "version"), (self.gpu, "gpu")))
        self._chosen = " AND ".join([f"app = '{app.name}'" if alone else ANY, *chosen])

    def reports(self, what: str, then: str = "") -> str:
        """Return the statement for expressions over the reports."""
        return f"SELECT {what} FROM otel_usage.reports WHERE $__timeFilter(time) AND {self._chosen}{then}"

    def runs(self, what: str) -> str:
        """Return the statement for expressions over the `uptime` of the runs that were alive in the chosen time."""
        beats = f"FROM otel_usage.heartbeats WHERE $__timeFilter(time) AND {self._chosen}"
        return f"SELECT {what} FROM (SELECT max({self.uptime}) AS uptime {beats} GROUP BY app, {self.run})"

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

        It asks the daily counts, which stay, and in which the rest and none are values already.
        """
        counted = f"FROM otel_usage.daily WHERE {DAYS} AND {self._chosen} AND attribute = '{attribute.name}'"
        top = (
            f"SELECT value {counted} AND value NOT IN {MADE_UP} GROUP BY value "
            f"ORDER BY sum(reports) DESC, value LIMIT {LINES}"
        )
        return (
            f"SELECT toDateTime(day) AS time, if(had = '(none)' OR had IN ({top}), had, '(rest)') AS value, "
            f"sum(n) AS reports FROM (SELECT day, value AS had, reports AS n {counted}) "
            "GROUP BY time, value ORDER BY time, value"
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
            total = "sum(toFloat64(value)) AS total"  # it overflows no integer
            return f"SELECT {total}, quantileExact(0.5)(value) AS median, max(value) AS most FROM ({runs})"
        return f"SELECT value, count() AS runs FROM ({runs}) GROUP BY value ORDER BY runs DESC, value LIMIT {MOST}"


def choices(attribute: Attribute) -> str:
    """Return the statement for the values of a variable: the most frequent ones, also of years ago.

    Left out are those that Grafana does not quote, so that none changes a statement: with a backslash or a dollar sign.
    """
    most = (
        f"SELECT value FROM otel_usage.daily WHERE {ANY} AND attribute = '{attribute.name}' AND value != '(rest)' "
        f"AND position(value, char(92)) = 0 AND position(value, char(36)) = 0 "
        f"GROUP BY value ORDER BY sum(reports) DESC, value LIMIT {CHOICES}"
    )
    return f"SELECT value FROM ({most}) ORDER BY value"


def _chosen(name: str, variable: str) -> str:
    return f"$__conditionalAll(ifNull({name}, '(none)') IN (${{{variable}:singlequote}}), ${variable})"


def _shown(attribute: Attribute) -> str:
    name = column(attribute.name)
    return f"ifNull({'formatReadableSize' if attribute.unit == 'By' else 'toString'}({name}), '(none)')"
