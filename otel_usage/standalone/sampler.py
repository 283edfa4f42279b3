"""The consent sampler for somebody's own pipeline, by OTEL_TRACES_SAMPLER or declarative configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler, SamplingResult

from otel_usage.delivery.sampler import ConsentSampler
from otel_usage.facts.app import is_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util.types import Attributes

ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"
PREFIX = "otel_usage."


class UsageSampler(Sampler):
    """For somebody's own pipeline: consent decides the spans named otel_usage.*, parentbased_always_on all others."""

    def __init__(self, app: str | None) -> None:
        self._consent = ConsentSampler(app)

    def should_sample(  # noqa: PLR0913, PLR0917 -- OpenTelemetry's own signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Ask the sampler that is responsible for a span of this name."""
        del trace_state
        chosen: Sampler = self._consent if name.startswith(PREFIX) else DEFAULT_ON
        return chosen.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        """Return the description of the sampler for usage spans."""
        return f"UsageSampler{{{self._consent.get_description()}}}"


def from_environment(argument: str | None = None) -> Sampler:
    """Make the sampler that the two entry-point groups name.

    argument: that of OTEL_TRACES_SAMPLER_ARG, read here where the caller passes none; an app's name, else ignored.
    """
    app = os.environ.get(ARGUMENT) if argument is None else argument
    return UsageSampler(app if app and is_name(app) else None)
