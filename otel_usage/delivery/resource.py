"""A report's facts as an OpenTelemetry resource, with nothing that the host's environment would add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource

from otel_usage.facts.builtin import SCHEMA_URL

if TYPE_CHECKING:
    from otel_usage.facts.report import Report


def resource_of(report: Report) -> Resource:
    """Return the resource of a report; not by `Resource.create`, which asks the environment and its detectors."""
    return Resource(report.attributes("resource"), SCHEMA_URL)
