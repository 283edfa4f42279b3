"""The files of a directory that runs a collector: what is the same for all apps, and what the fact tables say."""

from __future__ import annotations

import os
from importlib.resources import files
from typing import TYPE_CHECKING

from otel_usage.collector.clickhouse import tables
from otel_usage.collector.config import configurations
from otel_usage.collector.dashboards import dashboards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.facts.app import App


def generated(apps: Sequence[App]) -> dict[str, str]:
    """Return the text of every file of a directory that runs a collector for these apps, by its path.

    Raises ottl.PatternError for a table that a collector can't check.
    """
    return {**dict(_same_for_all()), **configurations(apps), **tables(apps), **dashboards(apps)}


def _same_for_all() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file that is the same whatever the apps are."""
    top = str(files("otel_usage.collector") / "files")
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                yield os.path.relpath(path, top).replace(os.sep, "/"), file.read()
