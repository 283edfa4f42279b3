"""The statement of a question, for DuckDB and for ClickHouse: one text, and the few words in which they differ.

Both have the same two views, `reports` and `heartbeats`, with a column for each attribute. A fact in a statement has
the words of the file, such as AWS, which are made of the attributes as the fact table says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from otel_usage.facts.builtin import RUNTIME_NAME, RUNTIMES
from otel_usage.facts.question import askable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute, Fact, Scalar
    from otel_usage.facts.question import Question

NONE, NOT_ASKED = "(none)", "(not asked)"
MARK = "\x00"  # stands in no value: it shows where a fact puts its attribute


class Dialect(NamedTuple):
    """How one engine says it.

    place: what stands before the views' names. escaped: the characters that a literal escapes, each by what.
    period: a template for a time by a format, in UTC. moment: a template for the begin of a day, in UTC. text: a
    template for a value as text.
    """

    place: str
    escaped: dict[str, str]
    period: str
    moment: str
    text: str

    def literal(self, text: str) -> str:
        """Return a text as a literal."""
        return "'" + "".join(self.escaped.get(c, c) for c in text) + "'"


FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}
DUCKDB = Dialect("", {"'": "''"}, "strftime({time}, '{form}')", "TIMESTAMP '{day}'", "CAST({} AS VARCHAR)")
CLICKHOUSE = Dialect(
    "otel_usage.",
    {"'": "\\'", "\\": "\\\\"},
    "formatDateTime({time}, '{form}', 'UTC')",
    "toDateTime('{day} 00:00:00', 'UTC')",
    "toString({})",
)


class Words:
    """The facts of an app as expressions over the columns of its attributes."""

    def __init__(self, app: App, dialect: Dialect) -> None:
        self.app, self.dialect = app, dialect
        #: Versions of the app that do not report a fact at all, by its key.
        self.not_asked: dict[str, list[str]] = {}
        self.facts = askable(app.facts_by_key.values())
        self._of_variable = {
            part.key: (attribute,)
            for fact in app.facts_by_key.values()
            for part, attribute in zip(getattr(fact, "variables", ()), app.attributes_of[fact.key], strict=False)
        }

    def attributes(self, key: str) -> tuple[Attribute, ...]:
        """Return the attributes that a fact is made of."""
        return self._of_variable.get(key) or self.app.attributes_of[key]

    def type(self, key: str) -> type[Scalar]:
        """Return the type that a fact has where it is grouped by."""
        return self.facts[key].type

    def on_heartbeats(self, key: str) -> bool:
        """Tell whether heartbeats have a fact, too: all that describes the run, but not the report's own event."""
        return all(attribute.place == "resource" for attribute in self.attributes(key))

    def expression(self, key: str) -> str:
        """Return the value of a fact in the words of the file; NULL where there is none."""
        fact, attributes = self.facts[key], self.attributes(key)
        if attributes[0] is RUNTIME_NAME:
            value = self._runtime(fact)
        elif len(attributes) == 1:
            value = self._word(fact, attributes[0])
        else:
            value = self._joined(fact, attributes)
        return value

    def shown(self, key: str) -> str:
        """Return the same, where a string that there is none of is `(none)`, or `(not asked)` of some versions."""
        value = self.expression(key)
        if versions := self.not_asked.get(key):
            version = column(self.app.attributes_of[self.app.version_key][0].name)
            asked = f"CASE WHEN {version} IN ({', '.join(map(self.dialect.literal, versions))}) THEN '{NOT_ASKED}' END"
            return f"coalesce({self.dialect.text.format(value)}, {asked}, '{NONE}')"
        return f"ifNull({value}, '{NONE}')" if self.type(key) is str else value

    def equal(self, key: str, text: str) -> str:
        """Return the condition that a fact has a value, given as text; raises ValueError for what is no value of it."""
        value, type_ = self.expression(key), self.type(key)
        if text == NONE:
            return f"({value}) IS NULL"
        if type_ is str:
            return f"({value}) = {self.dialect.literal(text)}"
        if type_ is bool:
            return f"({value}) = { ({'true': 'true', 'false': 'false'}[text.lower()]) }"
        return f"({value}) = {type_(text)!r}"

    def _word(self, fact: Fact, attribute: Attribute) -> str:
        name = column(attribute.name)
        words = (
            {value: fact.join((value,)) for value in attribute.values or ()} if type(fact).__name__ != "Fact" else {}
        )
        return self._case(name, {value: word for value, word in words.items() if word != value}, name)

    def _case(self, name: str, words: dict[str, Scalar | None], otherwise: str) -> str:
        literal = self.dialect.literal
        cases = "".join(f" WHEN {literal(value)} THEN {literal(str(word))}" for value, word in words.items())
        return f"CASE {name}{cases} ELSE {otherwise} END" if cases else name

    def _runtime(self, fact: Fact) -> str:
        """Return the version of one vendor's runtime; the three share their attributes, whose name says which it is."""
        name, version = (column(a.name) for a in self.app.attributes_of[fact.key])
        words = {runtime: fact.join((runtime, MARK)) for runtime in RUNTIMES}
        cases = "".join(
            f" WHEN '{runtime}' THEN {version if word == MARK else self.dialect.literal(str(word))}"
            for runtime, word in words.items()
            if word is not None
        )
        return f"CASE {name}{cases} END"

    def _joined(self, fact: Fact, attributes: Sequence[Attribute]) -> str:
        """Return what a fact makes of several attributes, by looking where it puts each of them."""
        marks = [f"{MARK}{number}{MARK}" for number in range(len(attributes))]
        parts = str(fact.join(tuple(marks))).split(MARK)
        columns = [column(attribute.name) for attribute in attributes]
        if len(parts) == 3:  # noqa: PLR2004 -- it is one of them, with nothing before and after it
            return columns[int(parts[1])]
        texts = (
            f"ifNull({columns[int(part)]}, '')" if number % 2 else self.dialect.literal(part)
            for number, part in enumerate(parts)
            if part
        )
        empty = " AND ".join(f"{name} IS NULL" for name in columns)
        return f"CASE WHEN {empty} THEN NULL ELSE concat({', '.join(texts)}) END"


def asks(fact: Fact, version: str) -> bool:
    """Tell whether a version of the app reports a fact, by its `since` and `deprecated`; what is no version does."""
    numbers, since, deprecated = map(_numbers, (version, fact.since, fact.deprecated))
    return not numbers or (since <= numbers and (not deprecated or numbers < deprecated))


def _numbers(version: str | None) -> list[int]:
    """Return the numbers that a version begins with."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", version or "")
    return [int(part) for part in found[0].split(".")] if found else []


def versions(words: Words) -> str:
    """Return the statement for the versions of the app that there are."""
    version = column(words.app.attributes_of[words.app.version_key][0].name)
    app = words.dialect.literal(words.app.name)
    return f"SELECT DISTINCT {version} FROM {words.dialect.place}reports WHERE app = {app} AND {version} IS NOT NULL"


def column(name: str) -> str:
    """Return the column of an attribute: its name with underscores, as in Prometheus."""
    return name.replace(".", "_")


def statement(question: Question, words: Words, where: str, *, timed: bool = True) -> str:
    """Return the statement of a question: a row for each group, the largest of what is measured first.

    Its columns are the period, where the question is over time, then the facts, runs, gpus and uptime in seconds.
    A run's uptime is the largest that its heartbeats tell, in the period of the last of them.

    where: the condition on reports and heartbeats, such as their app and time. timed: whether heartbeats have all the
    facts in it; else there is no uptime.
    """
    place, keys = words.dialect.place, [f"k{number}" for number in range(len(question.by))]
    groups = (["period"] if question.over else []) + keys
    facts = [f"{words.shown(key)} AS {name}" for key, name in zip(question.by, keys, strict=True)]
    period, last = (_period(words.dialect, question.over, time) for time in ("time", "last"))
    count, uptime = (column(words.app.attributes_of[key][0].name) for key in ("gpu_count", "uptime"))
    run, by = column(words.app.attributes_of["uuid"][0].name), ", ".join(groups)
    counted = f"SELECT {_list(period, *facts)}, 1 AS runs, ifNull({count}, 0) AS gpus, 0 AS uptime "
    parts = [f"{counted}FROM {place}reports WHERE {where}"]
    if timed:
        each = f"SELECT {_list(*facts)}, max(time) AS last, max({uptime}) AS uptime FROM {place}heartbeats "
        runs = f"({each}WHERE {where} AND {uptime} IS NOT NULL GROUP BY {_list(*keys, run)})"
        parts.append(f"SELECT {_list(last, *keys)}, 0 AS runs, 0 AS gpus, uptime FROM {runs} AS run")
    order = {"runs": "runs", "gpus": "gpus", "engine_hours": "uptime"}[question.measure]
    return (
        f"SELECT {by}, sum(runs) AS runs, sum(gpus) AS gpus, sum(uptime) AS uptime FROM ({' UNION ALL '.join(parts)}) "
        f"AS each GROUP BY {by} ORDER BY {_list('period' if question.over else '', f'{order} DESC', by)}"
    )


def for_grafana(question: Question, words: Words) -> str:
    """Return the statement of a question as Grafana's ClickHouse source writes it out: of the time that is shown.

    Nothing else is chosen there: of all sources, and of the words' own app alone.
    """
    where = f"$__timeFilter(time) AND app = {words.dialect.literal(words.app.name)}"
    return statement(question, words, where, timed=all(map(words.on_heartbeats, question.by)))


def overview(words: Words, within: str, asked: str) -> str:
    """Return the statement for how many reports there are, by app and source, and from when to when.

    within: the condition that they are of the period. asked: the condition that they are among those asked for.
    """
    source, day = column(words.app.attributes_of["source"][0].name), _period(words.dialect, "day", "time")
    return (
        "SELECT app, source, within, asked, count(*) AS reports, min(period) AS first, max(period) AS last "
        f"FROM (SELECT ifNull(app, '{NONE}') AS app, ifNull({source}, '{NONE}') AS source, "
        f"ifNull({within}, false) AS within, ifNull({asked}, false) AS asked, {day} "
        f"FROM {words.dialect.place}reports) AS each "
        "GROUP BY app, source, within, asked ORDER BY reports DESC, app, source"
    )


def _period(dialect: Dialect, over: str | None, time: str) -> str:
    return "" if over is None else f"{dialect.period.format(time=time, form=FORMATS[over])} AS period"


def _list(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def needed(app: App, keys: Iterable[str], words: Words) -> dict[str, Attribute]:
    """Return the attributes that the statements about some facts need, by their columns."""
    found = {}
    for key in dict.fromkeys(("uuid", "source", "gpu_count", "uptime", app.version_key, *keys)):
        for attribute in words.attributes(key) if key in words.facts else app.attributes_of[key]:
            found[column(attribute.name)] = attribute
    return found
