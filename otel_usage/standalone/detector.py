"""The hardware facts as a resource detector, for whoever names it.

Imports nothing of the SDK but its resources: detectors are loaded while the rest of it is half imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource, ResourceDetector

from otel_usage.consent import OFF, decide
from otel_usage.detect import Detection
from otel_usage.facts.admission import admit, admit_attributes
from otel_usage.facts.app import App
from otel_usage.facts.builtin import SCHEMA_URL
from otel_usage.facts.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "otel_usage"
CHOSEN = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
HARDWARE_ROOTS = ("host", "os", "cloud", "otel_usage")


class HardwareResourceDetector(ResourceDetector):
    """Adds the hardware facts, as coarse as they leave, to the resource of somebody's own pipeline.

    Returns nothing when usage reporting is off, or where it was not named itself but by `*`.
    """

    def detect(self) -> Resource:
        """Return the hardware facts, within two seconds; never service.*."""
        if decide(None).mode == OFF or _named_by_star_only(os.environ):
            return Resource({})
        app = App("anybody")
        facts, _ = admit(app, Detection().facts())
        attributes, _ = admit_attributes(app, Report(app, facts).attributes("resource"), "resource")
        return Resource({k: v for k, v in attributes.items() if k.partition(".")[0] in HARDWARE_ROOTS}, SCHEMA_URL)


def _named_by_star_only(environ: Mapping[str, str]) -> bool:
    names = [name.strip() for name in environ.get(CHOSEN, "").split(",")]
    return "*" in names and NAME not in names
