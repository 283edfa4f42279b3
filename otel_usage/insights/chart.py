"""Answers as charts: what a template needs to draw them, and nothing that it would have to compute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_usage.facts.question import askable
from otel_usage.insights.shown import GREY, REST, WORDS, folded, number, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_usage.facts.app import App
    from otel_usage.insights.answer import Answer

BARS, ROWS, COLUMNS, CURVES = 15, 12, 8, 6
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 230, 44, 10, 10, 26
TICKS = 4


class Cell(NamedTuple):
    """A number as it is drawn: exact, in words, and its share of the largest from 0 to 1."""

    value: float
    text: str
    width: float


class Row(NamedTuple):
    """A row of bars or of a grid: its label, its cells, its share of all in percent, and whether it is drawn grey."""

    label: str
    cells: list[Cell]
    share: str
    grey: bool


class Curve(NamedTuple):
    """A line over time: the points of its path, and its cells in the order of the periods."""

    label: str
    points: str
    cells: list[Cell]
    grey: bool


@dataclass(frozen=True)
class Chart:
    """What a template draws. columns: the headings of a grid, or the periods of lines. ticks: (y, text)."""

    id: str
    title: str
    why: str
    kind: str
    measure: str
    heading: str
    total: str
    columns: list[str]
    rows: list[Row]
    curves: list[Curve]
    ticks: list[tuple[float, str]]
    marks: list[tuple[float, str]]


def chart(app: App, answer: Answer, number_: int) -> Chart:
    """Return the chart of an answer."""
    question = answer.question
    facts = [askable(app.facts_by_key.values())[key] for key in question.by]
    total = sum(row[question.measure] or 0 for row in answer.rows)  # type: ignore[misc]  # a number
    kind = question.draw if total else "nothing"
    blank = Chart(f"q{number_}", question.title, "; ".join(fact.why for fact in facts), kind, WORDS[question.measure],
                  ", ".join(fact.title for fact in facts), number(total), [], [], [], [], [])  # fmt: skip
    draw = {"bars": _bars, "grid": _grid, "lines": _lines, "nothing": lambda *_: blank}[kind]
    return draw(app, answer, blank)


def _bars(app: App, answer: Answer, blank: Chart) -> Chart:
    question = answer.question
    names = [*filter(None, [question.over]), *question.by]
    rows = folded(answer, BARS)
    total = sum(row[question.measure] or 0 for row in rows)
    largest = max(row[question.measure] or 0 for row in rows)
    made = [
        Row(", ".join(dict.fromkeys(shown(app, name, row[name]) for name in names)),
            [_cell(row[question.measure], largest)], _percent(row[question.measure] or 0, total),
            _is_grey(row[names[-1]]))
        for row in rows
    ]  # fmt: skip
    return replace(blank, rows=made)


def _grid(app: App, answer: Answer, blank: Chart) -> Chart:
    down, across = answer.question.by
    table, sums = _pivot(answer, down, across, answer.question.measure)
    rows, columns = _most(sums[0], ROWS), _most(sums[1], COLUMNS)
    folds = [*rows, REST] if len(sums[0]) > len(rows) else rows
    spread = [*columns, REST] if len(sums[1]) > len(columns) else columns
    cells: dict[tuple[Any, Any], float] = {}
    for (row, column), value in table.items():
        place = row if row in rows else REST, column if column in columns else REST
        cells[place] = cells.get(place, 0) + value
    total = sum(cells.values())
    largest = max(value for (row, column), value in cells.items() if REST not in (row, column) or len(cells) == 1)
    made = [
        Row(shown(app, down, row), [_cell(cells.get((row, column), 0), largest) for column in spread],
            _percent(sum(cells.get((row, column), 0) for column in spread), total), _is_grey(row))
        for row in folds
    ]  # fmt: skip
    return replace(blank, rows=made, columns=[shown(app, across, column) for column in spread])


def _lines(app: App, answer: Answer, blank: Chart) -> Chart:
    question = answer.question
    over, key = str(question.over), question.by[0]
    table, sums = _pivot(answer, key, over, question.measure)
    periods, values = sorted(sums[1]), _most(sums[0], CURVES)
    drawn = [*values, REST] if len(sums[0]) > len(values) else values
    lines: dict[Any, dict[Any, float]] = {value: {} for value in drawn}
    for (value, period), count in table.items():
        line = lines[value if value in lines else REST]
        line[period] = line.get(period, 0) + count
    top, step = _scale(max(count for line in lines.values() for count in line.values()))
    right, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    places = [LEFT + right * (place / max(len(periods) - 1, 1)) for place in range(len(periods))]
    curves = [
        Curve(shown(app, key, value),
              " ".join(f"{x:.1f},{TOP + high * (1 - line.get(period, 0) / top):.1f}"
                       for x, period in zip(places, periods, strict=True)),
              [_cell(line.get(period, 0), top) for period in periods], _is_grey(value))
        for value, line in lines.items()
    ]  # fmt: skip
    ticks = [(TOP + high * (1 - at * step / top), number(at * step)) for at in range(round(top / step) + 1)]
    every = max(-(-len(periods) // 4), 1)
    marks = [(x, str(period)) for x, period in list(zip(places, periods, strict=True))[::every]]
    return replace(blank, columns=[str(period) for period in periods], curves=curves, ticks=ticks, marks=marks)


def _pivot(
    answer: Answer, down: str, across: str, measure: str
) -> tuple[dict[tuple[Any, Any], float], tuple[dict[Any, float], dict[Any, float]]]:
    """Return what is measured by two columns, and the sums of each."""
    table: dict[tuple[Any, Any], float] = {}
    sums: tuple[dict[Any, float], dict[Any, float]] = ({}, {})
    for row in answer.rows:
        count: Any = row[measure] or 0
        table[row[down], row[across]] = table.get((row[down], row[across]), 0) + count
        for side, key in zip(sums, (row[down], row[across]), strict=True):
            side[key] = side.get(key, 0) + count
    return table, sums


def _most(sums: dict[Any, float], most: int) -> list[Any]:
    """Return the values with the largest sums; numbers in their order, and what is no value of its own last."""
    found = sorted(sums, key=lambda value: (-sums[value], str(value)))[:most]
    if all(type(value) in (int, float) or _is_grey(value) for value in found):
        found.sort(key=lambda value: 0 if _is_grey(value) else value)
    return sorted(found, key=_is_grey)


def _scale(largest: float) -> tuple[float, float]:
    """Return the top of an axis and the step of its ticks: 1, 2 or 5 times a power of ten."""
    largest = max(largest, 1)
    power = 10 ** (len(str(int(largest / TICKS))) - 1)
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor * TICKS >= largest)
    return step * -(-largest // step), step


def _cell(value: Any, largest: float) -> Cell:  # noqa: ANN401 -- a number, or none
    return Cell(value or 0, number(value), round((value or 0) / largest, 4) if largest else 0)


def _percent(value: float, total: float) -> str:
    share = 100 * value / total if total else 0
    return "" if not total else "<1 %" if 0 < share < 1 else f"{share:.0f} %"


def _is_grey(value: object) -> bool:
    return value in GREY or str(value).startswith(REST)


def by_subject(app: App, answers: Sequence[Answer]) -> Iterable[tuple[str | None, list[Chart]]]:
    """Return the charts of some answers, under their subjects in the order of the questions."""
    found: dict[str | None, list[Chart]] = {}
    for place, answer in enumerate(answers, start=1):
        found.setdefault(answer.question.subject, []).append(chart(app, answer, place))
    return found.items()
