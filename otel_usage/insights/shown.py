"""What people are shown of an answer, on a terminal and on a page: values in words, and the most frequent of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_usage.facts.builtin import GIB
from otel_usage.facts.fact import OTHER
from otel_usage.facts.question import askable
from otel_usage.insights.export import word
from otel_usage.insights.statement import NONE, NOT_ASKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Scalar
    from otel_usage.insights.answer import Answer, Data

REST = "(rest)"
LONGEST, EXACT = 80, 100
WORDS = {"runs": "runs", "gpus": "GPUs", "engine_hours": "engine-hours"}
GREY = (OTHER, NONE, NOT_ASKED, REST)


def number(value: Scalar | None) -> str:
    """Return a number with its thousands apart; a dash for what is not known."""
    if value is None or isinstance(value, str):
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) and 0 < abs(value) < EXACT else f"{round(value):,}"


def shown(app: App, key: str, value: Scalar | None) -> str:
    """Return a value for people: bytes in GiB, text without control characters, and not too long."""
    fact = askable(app.facts_by_key.values()).get(key)
    if fact is not None and fact.unit == "By" and isinstance(value, int) and abs(value) >= GIB:
        return f"{value / GIB:.4g} GiB"
    text = escaped(word(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def escaped(text: str) -> str:
    """Return a text with the characters that are not printed escaped: they can steer a terminal, or turn a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def folded(answer: Answer, most: int) -> list[dict[str, Any]]:
    """Return the rows with the most of what is measured, and the rest in one; those with nothing of it are left out.

    A question over time keeps all. `other` and `(none)` stand last, and numbers in their order.
    """
    question = answer.question
    if question.over is not None:
        return list(answer.rows)
    counted = [row for row in answer.rows if row[question.measure]]
    rows, rest = counted[:most], counted[most:]
    first = question.by[0]
    if len(question.by) == 1 and all(type(row[first]) in (int, float) or row[first] == NONE for row in rows):
        rows = sorted(rows, key=lambda row: (row[first] == NONE, row[first] if row[first] != NONE else 0))
    rows = sorted(rows, key=lambda row: row[first] in GREY)
    if not rest:
        return rows
    sums = {name: _sum(row[name] for row in rest) for name in WORDS}
    return [*rows, {**dict.fromkeys(question.by, f"{REST} of {len(rest):,}"), **sums}]


def _sum(values: Iterator[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def left_out(data: Data, damages: int) -> Iterator[str]:
    """Yield a line for each thing that is left out."""
    for source, count in data.sources.items():
        yield f"left out: {number(count)} reports of the source {source}"
    for app, count in data.apps.items():
        yield f"left out: {number(count)} reports of the app {app}"
    if data.outside:
        yield f"left out: {number(data.outside)} reports of other times"
    if data.unmatched:
        yield f"left out: {number(data.unmatched)} reports that do not have what is asked for"
    if damages:
        yield f"left out: {number(damages)} damaged places in the files"
