"""The collector's configurations, from their templates and the fact tables of the apps that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.collector import count, ottl
from otel_usage.collector.template import filled, text
from otel_usage.facts.builtin import HEARTBEAT, REPORT, SERVICE_NAME, SERVICE_VERSION, UUID, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.facts.app import App

# The ports within a machine, by default: each configuration has its own, so that they can run side by side.
PORTS = {"gateway": {"hop": "14319", "own": "9465"}, "edge": {"hop": "14320", "own": "9466"}}


def configurations(apps: Sequence[App]) -> dict[str, str]:
    """Return the configurations that depend on the fact tables, by their file names.

    Raises ottl.PatternError for a table that a collector can't check.
    """
    attributes = ottl.union(apps)
    parts: dict[str, str | Sequence[str]] = {
        "apps": ",".join(app.name for app in apps),
        "run": ottl.escaped(f"^{UUID}$"),
        "version": ottl.escaped(f"^{VERSION}$"),
        "numeric": [SERVICE_VERSION.name, apps[0].attributes_of["platform"][0].name],
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
    """Yield each counter: heartbeats, reports by version and by each thing that is counted, and what is `other`."""
    is_report, run = f'span.name == "{REPORT}"', apps[0].attributes_of["uuid"][0].name
    yield _metric("otel_usage.heartbeats", f'span.name == "{HEARTBEAT}"', SERVICE_VERSION.name, unit="{heartbeat}")
    yield _metric("otel_usage.reports", is_report, SERVICE_VERSION.name)
    for one in count.counts(apps):
        asked = " or ".join(f'resource.attributes["{SERVICE_NAME}"] == "{app}"' for app in one.attributes)
        yield _metric(f"otel_usage.reports_by.{one.key}", f"{is_report} and ({asked})", one.key)
    for attribute in ottl.union(apps):
        if ottl.allowed(attribute) and attribute.name != run:
            condition = f"{ottl.is_other(attribute)} and {is_report}"
            yield _metric("otel_usage.other", condition, "attribute", attribute.name)


def _metric(name: str, condition: str, label: str, default: str = "(none)", *, unit: str = "{report}") -> str:
    parts = {"name": name, "condition": [condition], "label": label, "default": default, "unit": unit}
    return filled(text("count.yaml"), parts)
