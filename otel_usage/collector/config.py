"""The collector's configurations, from their templates and the fact tables of the apps that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector import count, ottl
from otel_usage.collector.template import filled, text
from otel_usage.table import HEARTBEAT, PLATFORM, REPORT, SERVICE_NAME, SERVICE_VERSION, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.app import App

# The ports within a machine, by default: each configuration has its own, so that they can run side by side.
PORTS = {"gateway": {"hop": "14319", "own": "9465"}, "edge": {"hop": "14320", "own": "9466"}}


def configurations(apps: Sequence[App]) -> dict[str, str]:
    """Return the configurations that depend on the fact tables, by their file names.

    Raises ottl.PatternError for a table that a collector can't check.
    """
    attributes = ottl.union(apps)
    parts: dict[str, str | Sequence[str]] = {
        "apps": ",".join(app.name for app in apps),
        "platform": [f"^{PLATFORM}$$"],
        "version": ottl.escaped(f"^{VERSION}$"),
        "resource": ottl.statements(attributes, "resource"),
        "span": ottl.statements(attributes, "span"),
        "names": sorted(attribute.name for attribute in attributes),
        "types": [ottl.misfit(attribute) for attribute in attributes],
        "count": list(count.statements(apps)),
        "metrics": "".join(_metrics(apps)),
    }
    return {f"{name}.yaml": _assembled(name, {**parts, **ports}) for name, ports in PORTS.items()}


def _assembled(name: str, parts: dict[str, str | Sequence[str]]) -> str:
    """Return a configuration: its own template, in which the parts that all have in common take their places."""
    shared = {common: filled(text(f"{common}.yaml"), parts) for common in ("public", "service")}
    return filled(text(f"{name}.yaml"), {**parts, **shared})


def _metrics(apps: Sequence[App]) -> Iterator[str]:
    """Yield each counter: heartbeats, reports by version, and reports by each thing that is counted."""
    is_report = f'span.name == "{REPORT}"'
    yield _metric("otel_usage.heartbeats", f'span.name == "{HEARTBEAT}"', SERVICE_VERSION.name, "{heartbeat}")
    yield _metric("otel_usage.reports", is_report, SERVICE_VERSION.name)
    for one in count.counts(apps):
        asked = " or ".join(f'resource.attributes["{SERVICE_NAME}"] == "{app}"' for app in one.attributes)
        yield _metric(f"otel_usage.reports_by.{one.key}", f"{is_report} and ({asked})", one.key)


def _metric(name: str, condition: str, label: str, unit: str = "{report}") -> str:
    return filled(text("count.yaml"), {"name": name, "condition": [condition], "label": label, "unit": unit})
