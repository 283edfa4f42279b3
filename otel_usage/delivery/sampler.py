"""A sampler that applies consent: `off` drops a span, `local` only records it, `on` records and samples it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from otel_usage.consent import LOCAL, OFF, ON, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util.types import Attributes

    from otel_usage.facts.app import App

DECISIONS = {OFF: Decision.DROP, LOCAL: Decision.RECORD_ONLY, ON: Decision.RECORD_AND_SAMPLE}


class ConsentSampler(Sampler):
    """Samples each span by the mode at that moment; when the mode is `off`, it drops every span.

    Args:
        app: An App or its name; with a name, the app's default is taken to be `on`. With None, only the signals that
            belong to no app count.
        delivers: Whether there is a destination. Without one, nothing is sampled.
        loopback: Whether all that is sampled stays on this machine.
    """

    def __init__(self, app: App | str | None, *, delivers: bool = True, loopback: bool = False) -> None:
        self._app, self._default = (app, ON) if app is None or isinstance(app, str) else (app.name, app.default)
        self._delivers, self._loopback = delivers, loopback

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
        """Return DROP, RECORD_ONLY or RECORD_AND_SAMPLE for the present mode; the arguments don't matter."""
        del parent_context, trace_id, name, kind, links, trace_state
        mode = decide(self._app, loopback=self._loopback, default=self._default).mode
        if mode == ON and not self._delivers:
            mode = LOCAL
        return SamplingResult(DECISIONS[mode], None if mode == OFF else attributes)

    def get_description(self) -> str:
        """Return the sampler's name and app."""
        return f"ConsentSampler{{{self._app or ''}}}"
