"""What a collector needs to know of the fact table: allow-lists, counts, tables and dashboards, written as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector.clickhouse import tables
from otel_usage.collector.config import configurations
from otel_usage.collector.dashboards import dashboards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_usage.facts.app import App


def generated(apps: Sequence[App]) -> dict[str, str]:
    """Return the text of every file that depends on the fact tables of these apps, by its path.

    Raises ottl.PatternError for a table that a collector can't check.
    """
    return {**configurations(apps), **tables(apps), **dashboards(apps)}
