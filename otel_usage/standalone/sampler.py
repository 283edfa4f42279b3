"""The consent sampler for somebody's own pipeline, by OTEL_TRACES_SAMPLER or declarative configuration."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, Sampler, SamplingResult

from otel_usage.delivery.sampler import ConsentSampler
from otel_usage.facts import registry
from otel_usage.facts.app import is_name
from otel_usage.standalone.said import say_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util.types import Attributes

    from otel_usage.facts.app import App

ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"
PREFIX = "otel_usage."
LONGEST = 64
NOT_SAMPLED = {
    Decision.DROP: "usage spans are dropped: reporting is off",
    Decision.RECORD_ONLY: "usage spans are recorded and not sampled, so that a stock processor exports none, since "
    "nothing may be sent; otel_usage_file asks for consent itself, and needs no OTEL_TRACES_SAMPLER=otel_usage",
}


class UsageSampler(Sampler):
    """For somebody's own pipeline: consent decides the spans named otel_usage.*, parentbased_always_on all others.

    app: an App, or its name, whose default is then taken to be on; None counts only the signals that belong to no app.
    """

    def __init__(self, app: App | str | None) -> None:
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
        if not name.startswith(PREFIX):
            return DEFAULT_ON.should_sample(parent_context, trace_id, name, kind, attributes, links)
        result = self._consent.should_sample(parent_context, trace_id, name, kind, attributes, links)
        if result.decision in NOT_SAMPLED:
            say_once(logging.DEBUG, NOT_SAMPLED[result.decision])
        return result

    def get_description(self) -> str:
        """Return the description of the sampler for usage spans."""
        return f"UsageSampler{{{self._consent.get_description()}}}"


def from_environment(argument: str | None = None) -> Sampler:
    """Make the sampler that the two entry-point groups name.

    An app that is installed is loaded, for its default. What is no installed app is said once, as a warning.

    Args:
        argument: That of OTEL_TRACES_SAMPLER_ARG, read here where the caller passes none: an app's name.
    """
    given = os.environ.get(ARGUMENT) if argument is None else argument
    return UsageSampler(_named(given) if given else None)


def _named(given: str) -> App | str | None:
    """Return the app that is named, its name where it is not installed, and None for what is no name."""
    if not is_name(given):
        say_once(
            logging.WARNING,
            f"{ARGUMENT}={given[:LONGEST]!r} is no app's name: only the opt-outs that belong to no app count",
        )
        return None
    try:
        return registry.load(given)
    except registry.UnknownAppError as error:
        say_once(logging.WARNING, f"{ARGUMENT}: {error}; the opt-outs of {given!r} count all the same")
        return given
