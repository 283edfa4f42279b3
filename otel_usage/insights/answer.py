"""Questions, answered: what is asked for, and what the data is that the answers are of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_usage.facts.question import Question
from otel_usage.insights.statement import NONE, NOT_ASKED, Words, asks, column, overview, statement, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otel_usage.facts.fact import Scalar

    Ask = Callable[[str], Iterable[Sequence[Any]]]

SOURCES = ("production", "production-docker-image")


class Wanted(NamedTuple):
    """Which reports are asked for.

    since, until: the first and the last day, in UTC. sources: none for all. where: facts and their values, as text.
    """

    since: date | None = None
    until: date | None = None
    sources: tuple[str, ...] = SOURCES
    where: tuple[tuple[str, str], ...] = ()

    def of_period(self, words: Words) -> str:
        """Return the condition that a report is of the period."""
        moment = words.dialect.moment
        since = [f"time >= {moment.format(day=self.since)}"] if self.since else []
        until = [f"time < {moment.format(day=self.until + timedelta(days=1))}"] if self.until else []
        return " AND ".join([*since, *until]) or "true"

    def of_source(self, words: Words) -> str:
        """Return the condition that a report has one of the sources."""
        literals = ", ".join(map(words.dialect.literal, self.sources))
        return f"{column(words.attributes('source')[0].name)} IN ({literals})" if literals else "true"

    def asked(self, words: Words) -> str:
        """Return the condition on facts. Raises ValueError for a value that is none of its fact."""
        return " AND ".join(f"({words.equal(key, text)})" for key, text in self.where) or "true"

    def condition(self, words: Words) -> str:
        """Return all of it, and that the report is of the app. Raises ValueError as `asked` does."""
        app = f"app = {words.dialect.literal(words.app.name)}"
        return " AND ".join([app, self.of_period(words), self.of_source(words), self.asked(words)])


class Answer(NamedTuple):
    """A question and its rows, each with the period, the facts by their keys, `runs`, `gpus` and `engine_hours`."""

    question: Question
    rows: list[dict[str, Scalar | None]]


class Data(NamedTuple):
    """What the answers are of.

    since, until: the days asked for, else those of the first and last report. reports: how many are counted. gpus,
    engine_hours: of all of them.
    apps, sources: how many reports of other apps, and of other sources, are left out. outside: how many of other
    times. unmatched: how many that do not have the facts asked for.
    """

    app: str
    since: str | None
    until: str | None
    reports: int
    gpus: int
    engine_hours: float
    apps: dict[str, int]
    sources: dict[str, int]
    outside: int
    unmatched: int

    @property
    def left_out(self) -> dict[str, object]:
        """What is left out, for programs."""
        return {"apps": self.apps, "sources": self.sources, "outside": self.outside, "unmatched": self.unmatched}


def answers(ask: Ask, words: Words, questions: Iterable[Question], wanted: Wanted) -> list[Answer]:
    """Answer questions about the reports that are asked for."""
    where = wanted.condition(words)
    dated = {key: fact for key, fact in words.facts.items() if fact.since or fact.deprecated}
    known = [version for (version,) in ask(versions(words))] if dated else []
    words.not_asked = {key: [one for one in known if not asks(fact, one)] for key, fact in dated.items()}
    return [Answer(question, _rows(ask, words, question, where, wanted)) for question in questions]


def _rows(ask: Ask, words: Words, question: Question, where: str, wanted: Wanted) -> list[dict[str, Scalar | None]]:
    keys = [*filter(None, [question.over]), *question.by]
    types = [str, *map(words.type, question.by)] if question.over else [*map(words.type, question.by)]
    timed = all(words.on_heartbeats(key) for key in (*question.by, *(key for key, _ in wanted.where)))
    found = []
    for row in ask(statement(question, words, where, timed=timed)):
        *facts, runs, gpus, uptime = row
        values = {key: _value(value, type_) for key, value, type_ in zip(keys, facts, types, strict=True)}
        hours = round(int(uptime) / 3600, 3) if timed else None
        found.append({**values, "runs": int(runs), "gpus": int(gpus), "engine_hours": hours})
    return found


def _value(value: Any, type_: type[Scalar]) -> Scalar:  # noqa: ANN401 -- what an engine gives back
    if value in (None, NONE, NOT_ASKED):
        return value or NONE
    return value in (True, "true") if type_ is bool else type_(value)


def describe(ask: Ask, words: Words, wanted: Wanted) -> Data:
    """Say what the data is, and what of it is left out."""
    apps: dict[str, int] = {}
    sources: dict[str, int] = {}
    days: list[str] = []
    reports = outside = unmatched = 0
    for app, source, within, asked, count, first, last in ask(
        overview(words, wanted.of_period(words), wanted.asked(words))
    ):
        if app != words.app.name:
            apps[app] = apps.get(app, 0) + int(count)
        elif not within:
            outside += int(count)
        elif wanted.sources and source not in wanted.sources:
            sources[source] = sources.get(source, 0) + int(count)
        elif not asked:
            unmatched += int(count)
        else:
            reports += int(count)
            days += [first, last]
    every: list[Any] = answers(ask, words, [Question("all", "source")], wanted)[0].rows
    since, until = (str(day) if day else None for day in (wanted.since, wanted.until))
    return Data(
        words.app.name, since or min(days, default=None), until or max(days, default=None), reports,
        sum(row["gpus"] for row in every), sum(row["engine_hours"] or 0 for row in every), apps, sources, outside,
        unmatched,
    )  # fmt: skip
