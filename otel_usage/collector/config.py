"""The collector's configurations, from their templates and the fact tables of the apps that they take."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from otel_usage.collector import count, ottl
from otel_usage.collector.yaml import filled
from otel_usage.table import HEARTBEAT, REPORT, SERVICE_NAME, SERVICE_VERSION, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.app import App
    from otel_usage.facts import Attribute

TEMPLATES = files("otel_usage.collector") / "templates"


def configurations(apps: Sequence[App]) -> dict[str, str]:
    """Return the configurations that depend on the fact tables, by their file names.

    Raises ottl.PatternError for a table that a collector can't check.
    """
    attributes = ottl.union(apps)
    parts: dict[str, str | list[str]] = {
        "apps": ",".join(app.name for app in apps),
        "version": ottl.escaped(f"^{VERSION}$"),
        "resource": ottl.statements(attributes, "resource"),
        "span": ottl.statements(attributes, "span"),
        "names": sorted(attribute.name for attribute in attributes),
        "types": [ottl.misfit(attribute) for attribute in attributes],
        "count": list(count.statements(apps)),
        "metrics": "".join(_metrics(apps)),
    }
    shared = {name: filled(_template(name), parts) for name in ("public", "service")}
    return {f"{name}.yaml": filled(_template(name), {**parts, **shared}) for name in ("gateway", "edge")}


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")


def _metrics(apps: Sequence[App]) -> Iterator[str]:
    """Yield each counter: heartbeats, reports by version, and reports by each thing that is counted."""
    by_version = {"label": SERVICE_VERSION.name, "unit": "{report}"}
    yield _metric("otel_usage.heartbeats", "Heartbeats.", f'span.name == "{HEARTBEAT}"', **by_version)
    is_report = f'span.name == "{REPORT}"'
    yield _metric("otel_usage.reports", "Reports.", is_report, **by_version)
    for one in count.counts(apps):
        asked = " or ".join(f'resource.attributes["{SERVICE_NAME}"] == "{app}"' for app in one.attributes)
        condition = f"{is_report} and ({asked})"
        yield _metric(f"otel_usage.reports_by.{one.key}", f"Reports by {one.key}.", condition, label=one.key)


def _metric(name: str, description: str, condition: str, *, label: str, unit: str = "{report}") -> str:
    parts = {"name": name, "description": description, "condition": [condition], "label": label, "unit": unit}
    return filled(_template("count"), parts)
