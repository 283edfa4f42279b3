"""`stats`: what a collector received, counted."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from otel_usage.cli.common import Context, as_json, pass_context, print_json, printable
from otel_usage.facts.question import PERIODS, Question, askable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_usage.facts.app import App
    from otel_usage.insights.answer import Answer, Data, Wanted

ALL = "all"
LONG = 2**26


class Day(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.2 on
    """A day, as in 2026-11-30."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:  # noqa: ANN401
        """Return the day; fails for any other text."""
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{printable(value)}: write a day as 2026-11-30", param, ctx)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True))
@click.option("--from", "url", metavar="URL", help="Ask a ClickHouse: clickhouse://[user[:password]@]host[:port].")
@click.option("--by", metavar="KEY[,KEY…]", help="Count by these facts, instead of the app's own questions.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only reports with this value; '(none)' for none.")
@click.option("--since", type=Day(), help="The first day, in UTC, as 2026-11-01.")
@click.option("--until", type=Day(), help="The last day, in UTC.")
@click.option("--source", "sources", multiple=True, metavar="SOURCE",
              help="Whose reports: repeatable, or `all`; by default production, production-docker-image.")  # fmt: skip
@click.option("--over", type=click.Choice(PERIODS), help="Count each day, ISO week or month.")
@click.option("--csv", "csv", metavar="DIR", type=click.Path(file_okay=False), help="Write a CSV file a question.")
@click.option("--parquet", metavar="DIR", type=click.Path(file_okay=False), help="Write a Parquet file a question.")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False), help="Write one page that needs nothing else.")
@as_json
@pass_context
def stats(  # noqa: PLR0913 -- the options of the command
    context: Context, *, files: tuple[str, ...], url: str | None, by: str | None, where: tuple[str, ...],
    since: date | None, until: date | None, sources: tuple[str, ...], over: str | None, csv: str | None,
    parquet: str | None, html: str | None, json_: bool,
) -> None:  # fmt: skip
    """Count what a collector received: runs, GPUs and engine-hours.

    FILES are those of the collector's file exporter, rotated and compressed ones too, directories of them, or local
    files usage_stats.json. Each report counts once. Counts are exact, and for your own use.

    CLICKHOUSE_PASSWORD may hold the password for --from. Exits with 0, also where lines are damaged, which is said;
    with 1 where a file can't be read or the server can't be asked.

    \b
    Example:
      otel-usage stats ./data
      otel-usage stats ./data --by gpu_type,quantization --where provider=AWS --over week
      otel-usage stats ./data --html usage.html
    """
    from otel_usage.insights.answer import SOURCES, Wanted

    if bool(files) == (url is not None):
        raise click.UsageError("name the files of a collector, or a ClickHouse by --from")
    app = context.app
    asked = sources or SOURCES
    wanted = Wanted(since, until, () if ALL in asked else asked, tuple(_pair(app, text) for text in where))
    questions = _questions(app, by, over)
    with _failures():
        data, answers, damage = _counted(app, questions, wanted, files, url)
        _write(app, data, answers, damage, csv=csv, parquet=parquet, html=html, json_=json_)


def _questions(app: App, by: str | None, over: str | None) -> list[Question]:
    """Return what is asked: the app's own questions, or one that counts by some facts."""
    if by is None and over is None:
        return list(app.questions)
    if by is None:
        singles = (question for question in app.questions if question.over is None)
        return [Question(q.title, q.by, measure=q.measure, draw="lines" if len(q.by) == 1 else "bars", over=over,
                         subject=q.subject) for q in singles]  # fmt: skip
    keys = tuple(dict.fromkeys(key.strip() for key in by.split(",") if key.strip()))
    facts = askable(app.facts_by_key.values())
    for key in keys:
        _known(app, key, "--by")
    if not keys:
        raise click.UsageError("--by: name at least one fact")
    title = " by ".join(facts[key].title for key in keys)
    two = 2
    draw = "lines" if over and len(keys) == 1 else "grid" if len(keys) == two and not over else "bars"
    return [Question(title, keys, draw=draw, over=over)]


def _pair(app: App, text: str) -> tuple[str, str]:
    """Read KEY=VALUE; the value may stand in quotes, as in SQL."""
    from otel_usage.insights.statement import DUCKDB, Words

    key, equals, value = text.partition("=")
    if not equals:
        message = f"--where {printable(text)}: write it as KEY=VALUE"
        raise click.UsageError(message)
    key, value = key.strip(), value.strip()
    _known(app, key, "--where")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    value = value[1:-1] if quoted else value
    try:
        Words(app, DUCKDB).equal(key, value)
    except (ValueError, KeyError):
        message = f"--where {printable(text)}: {key} has no such value"
        raise click.UsageError(message) from None
    return key, value


def _known(app: App, key: str, option: str) -> None:
    import difflib

    keys = askable(app.facts_by_key.values())
    if key not in keys:
        nearest = ", ".join(difflib.get_close_matches(key, keys, n=3, cutoff=0))
        message = f"{option} {printable(key)}: {app.name} declares no such fact; the nearest are {nearest}"
        raise click.UsageError(message)


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Say in one line what is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from error


def _counted(
    app: App, questions: list[Question], wanted: Wanted, files: tuple[str, ...], url: str | None
) -> tuple[Data, list[Answer], tuple[int, list[tuple[str, str]]]]:
    """Return what the data is, the answers, and how much was damaged and where."""
    from otel_usage.insights.answer import answers, describe
    from otel_usage.insights.statement import DUCKDB, Words, needed

    if url is not None:
        from otel_usage.insights.clickhouse import ClickHouse

        try:
            server = ClickHouse(url)
        except ValueError as error:
            message = f"--from: {error}"
            raise click.UsageError(message) from error
        words = Words(app, server.dialect)
        return describe(server.ask, words, wanted), answers(server.ask, words, questions, wanted), (0, [])
    from otel_usage.insights.load import Reports

    words = Words(app, DUCKDB)
    keys = [*(key for question in questions for key in question.by), *(key for key, _ in wanted.where)]
    with Reports(app, needed(app, keys, words)) as reports:
        with _progress(files) as show:
            reports.read(files, show)
        found = describe(reports.ask, words, wanted), answers(reports.ask, words, questions, wanted)
        return *found, (reports.damages, reports.damaged)


@contextlib.contextmanager
def _progress(files: tuple[str, ...]) -> Iterator[Callable[[str, int], None] | None]:
    """Show how far the reading is, on a terminal, where it takes long."""
    from otel_usage.insights.lines import expanded

    sizes = {path: os.path.getsize(path) for path in expanded(files)}
    if sum(sizes.values()) < LONG or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=sum(sizes.values()))
        done: dict[str, int] = {}

        def show(path: str, size: int) -> None:
            done[path] = size
            bar.update(task, completed=sum(done.values()))

        yield show


def _write(  # noqa: PLR0913 -- the options of the command
    app: App, data: Data, answers: list[Answer], damage: tuple[int, list[tuple[str, str]]], *, csv: str | None,
    parquet: str | None, html: str | None, json_: bool,
) -> None:  # fmt: skip
    from otel_usage.insights import export, terminal

    damages, examples = damage
    written: list[str] = []
    if csv is not None:
        written += export.write_csv(answers, csv)
    if parquet is not None:
        written += export.write_parquet(answers, parquet)
    if html is not None:
        from otel_usage.insights.page import stats_page

        with open(html, "w", encoding="utf-8") as file:
            file.write(stats_page(app, data, answers, damages))
        written.append(html)
    for path, text in examples:
        click.echo(f"damaged, in {printable(path)}: {printable(text)}", err=True)
    if damages > len(examples):
        click.echo(f"and {damages - len(examples)} more damaged places", err=True)
    if json_:
        print_json(terminal.as_json(data, answers, damages))
    elif written:
        for path in written:
            click.echo(printable(path))
    else:
        terminal.show(app, data, answers)
