"""Pages that need nothing else: no network, no script, no file beside them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from otel_usage.facts.scope import __version__
from otel_usage.insights import chart
from otel_usage.insights.export import word
from otel_usage.insights.shown import escaped, left_out, number, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment

    from otel_usage.facts.app import App
    from otel_usage.insights.answer import Answer, Data

MISSING = "pages need the package jinja2: pip install 'otel-usage[insights]'"
FIRST = "At a glance"
FEW = 8


def stats_page(app: App, data: Data, answers: Sequence[Answer], damages: int) -> str:
    """Return the page of some answers: what the data is, then a chart a question, under its subject.

    Raises ModuleNotFoundError where Jinja2 is not installed; the text says how to install it.
    """
    sections = [(subject or FIRST, charts) for subject, charts in chart.by_subject(app, answers)]
    return _environment().get_template("stats.html").render(
        app=app.name, data=data, number=number, left_out=list(left_out(data, damages)), sections=sections,
        made=_now(), version=__version__, size=chart,
    )  # fmt: skip


def show_page(app: App, path: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of what a local file holds: each fact with its values, the most frequent first.

    Args:
        app: Whose file it is.
        path: Where it is.
        entries: Its lines, each an object, the oldest first.

    Raises:
        ModuleNotFoundError: Jinja2 is not installed; the text says how to install it.
    """
    asked = set(app.report_keys) - {"uuid", "log_time"}
    reports = [entry for entry in entries if asked & entry.keys()]
    days = [day for entry in entries if (day := _day(entry.get("log_time")))]
    facts = [
        {"key": key, "title": fact.title, "why": fact.why, "had": _values(app, key, entries)}
        for key, fact in app.facts_by_key.items()
        if fact.in_file and key != "log_time"
    ]
    return _environment().get_template("show.html").render(
        app=app.name, path=escaped(path), first=min(days, default=None), last=max(days, default=None),
        reports=len(reports), heartbeats=len(entries) - len(reports), facts=facts, number=number, made=_now(),
        version=__version__,
    )  # fmt: skip


def _values(app: App, key: str, entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return the values of a fact, and how many entries have each; the first few, and how many more there are."""
    found = Counter(_exact(app, key, value) for entry in entries if (value := entry.get(key)) is not None)
    more = [(f"and {len(found) - FEW} more", sum(found.values()) - sum(count for _, count in found.most_common(FEW)))]
    return found.most_common(FEW) + (more if len(found) > FEW else [])


def _exact(app: App, key: str, value: Any) -> str:  # noqa: ANN401 -- whatever a line that others may have written holds
    """Return a value as it stands in the file, and bytes in GiB as well."""
    text, rough = escaped(word(value)), shown(app, key, value)
    return f"{text} ({rough})" if rough.endswith("GiB") else text


def _day(nanoseconds: object) -> str | None:
    """Return the day of a time, in UTC; None for what others may have written in its place."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc).strftime("%Y-%m-%d")  # type: ignore[operator]
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _environment() -> Environment:
    """Return the templates; every value that they write is escaped."""
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="jinja2") from error
    loader = jinja2.PackageLoader("otel_usage.insights")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
