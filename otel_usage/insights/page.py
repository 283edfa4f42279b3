"""Pages that need nothing else: no network, no script, no file beside them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from otel_usage.facts.scope import __version__
from otel_usage.insights import chart
from otel_usage.insights.shown import left_out, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from otel_usage.facts.app import App
    from otel_usage.insights.answer import Answer, Data

MISSING = "pages need the package jinja2: pip install 'otel-usage[insights]'"
FIRST = "At a glance"


def stats_page(app: App, data: Data, answers: Sequence[Answer], damages: int) -> str:
    """Return the page of some answers: what the data is, then a chart a question, under its subject.

    Raises ModuleNotFoundError where Jinja2 is not installed; the text says how to install it.
    """
    sections = [(subject or FIRST, charts) for subject, charts in chart.by_subject(app, answers)]
    return _environment().get_template("stats.html").render(
        app=app.name, data=data, number=number, left_out=list(left_out(data, damages)), sections=sections,
        made=_now(), version=__version__, size=chart,
    )  # fmt: skip


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _environment() -> Environment:
    """Return the templates; every value that they write is escaped."""
    try:
        import jinja2  # noqa: PLC0415 -- 40 ms, for pages alone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="jinja2") from error
    loader = jinja2.PackageLoader("otel_usage.insights")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
