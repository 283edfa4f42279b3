"""Consent as a sampler: off drops, local records only, on records and samples."""

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
    """Decides every span by the consent that holds at that moment; when off it drops all that it is given.

    app: an App or its name, whose default is then taken to be on; None counts only the signals that belong to no app.
    delivers: False where there is no destination, so that nothing is sampled.
    loopback: whether all that is sampled stays on this machine.
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
        """Return DROP, RECORD_ONLY or RECORD_AND_SAMPLE for the mode that holds now."""
        del parent_context, trace_id, name, kind, links, trace_state
        mode = decide(self._app, loopback=self._loopback, default=self._default).mode
        if mode == ON and not self._delivers:
            mode = LOCAL
        return SamplingResult(DECISIONS[mode], None if mode == OFF else attributes)

    def get_description(self) -> str:
        """Return the sampler's name and app."""
        return f"ConsentSampler{{{self._app or ''}}}"
