"""Answers on a terminal, as tables with bars, and as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from otel_usage.insights.chart import chart
from otel_usage.insights.shown import WORDS, folded, left_out, number, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from otel_usage.facts.app import App
    from otel_usage.insights.answer import Answer, Data

WIDE, BAR, MOST = 120, 24, 10
EIGHTHS = " ▏▎▍▌▋▊▉█"


def as_json(data: Data, answers: Sequence[Answer], damages: int) -> dict[str, Any]:
    """Return what programs get."""
    return {
        "app": data.app,
        "period": {"since": data.since, "until": data.until},
        "reports": data.reports,
        "left_out": {**data.left_out, "damaged": damages},
        "questions": [
            {
                "title": question.title, "subject": question.subject, "by": list(question.by), "over": question.over,
                "measure": question.measure, "draw": question.draw, "rows": rows,
            }
            for question, rows in answers
        ],
    }  # fmt: skip


def bar(share: float) -> str:
    """Return a bar of a share from 0 to 1, in eighths of a character; at least one eighth for what is above 0."""
    eighths = max(round(share * BAR * 8), int(share > 0))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def show(app: App, data: Data, answers: Sequence[Answer]) -> None:
    """Print answers for people: the most frequent values of each question, the rest in one row."""
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout is not None and sys.stdout.isatty() else WIDE
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    period = f"{data.since} to {data.until}" if data.since else "no reports"
    console.print(f"{data.app}: {number(data.reports)} reports, {period}")
    for line in left_out(data, 0):
        console.print(line)
    for answer in answers:
        question = answer.question
        if question.draw == "lines" and answer.rows:
            console.print()
            console.print(_over_time(app, answer))
            continue
        total = sum(row[question.measure] or 0 for row in answer.rows)  # type: ignore[misc]  # a number
        rows = folded(answer, MOST)
        names = [*filter(None, [question.over]), *question.by]
        table = Table(title=question.title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_edge=False)
        for name in names:
            table.add_column(name, overflow="fold")
        for name in ("runs", "gpus", "engine_hours"):
            table.add_column(WORDS[name], justify="right")
        table.add_column("")
        largest = max((row[question.measure] or 0 for row in rows), default=0)
        for row in rows:
            value = row[question.measure] or 0
            drawn = bar(value / largest) if largest else ""
            share = f" {100 * value / total:.0f} %" if total and not question.over else ""
            counts = (number(row[name]) for name in ("runs", "gpus", "engine_hours"))
            table.add_row(*(shown(app, name, row[name]) for name in names), *counts, drawn + share)
        console.print()
        console.print(table if rows else f"{question.title}: no reports")


def _over_time(app: App, answer: Answer) -> Table:
    """Return the table of a question over time: a row a period, a column for each of the most frequent values."""
    from rich.table import Table

    drawn = chart(app, answer, 0)
    title = f"{drawn.title} ({drawn.measure})"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column(str(answer.question.over))
    for curve in drawn.curves:
        table.add_column(curve.label, justify="right")
    for place, period in enumerate(drawn.columns):
        table.add_row(period, *(curve.cells[place].text for curve in drawn.curves))
    return table
