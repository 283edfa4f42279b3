"""The one place that assembles a pipeline: a report's resource and span, the consent sampler, the exit, a sender.

All of it is private and short-lived. Nothing here is the host's: not its provider, context, limits, sampler or
resource, nor what its OTEL_* variables would put in their place.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, Tracer
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind

from otel_usage.delivery.exporters.admission import AdmissionExporter
from otel_usage.delivery.exporters.otlp import OTLPSender
from otel_usage.delivery.exporters.project_sender import ProjectSender
from otel_usage.delivery.sampler import ConsentSampler
from otel_usage.facts.builtin import SCHEMA_URL, SCOPE
from otel_usage.facts.scope import __version__
from otel_usage.system.host_state import WarningsFiltersKept

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.sampling import Sampler

    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.exporters.admission import Sender
    from otel_usage.delivery.exporters.outcome import Outcome
    from otel_usage.facts.report import Report

# Keeps the SDK's own metrics off the host's meter provider.
QUIET = {"meter_provider": NoOpMeterProvider()}


def deliver(
    report: Report, destination: Destination, allowed: Callable[[], bool], *, timeout: float | None = None
) -> Outcome:
    """Send a report as one span to one destination and say what became of it.

    allowed: asked right before each connect and request. timeout: seconds for one attempt; None for the sender's own.
    Raises what the SDK raises where the host's OTEL_* variables break it.
    """
    sender: Sender
    if destination.kind == "project":
        sender = ProjectSender(destination, allowed)
    else:
        sender = OTLPSender(destination, allowed, timeout=timeout)
    exporter = AdmissionExporter(report.app, sender, exact_time=destination.gets_exact_time(report.app))
    emit(report, exporter, ConsentSampler(report.app, loopback=destination.loopback))
    return exporter.outcome


def emit(report: Report, exporter: AdmissionExporter, sampler: Sampler) -> None:
    """Start and end the report's span by a tracer of its own, which is gone when this returns.

    Not by a provider: each one that is made leaves a hook behind that runs at every fork of the host, for ever, and one
    that lived on would have the host's process detectors merged into its resource there.
    """
    with WarningsFiltersKept():
        processor = SimpleSpanProcessor(exporter, **_known(SimpleSpanProcessor, QUIET))
        tracer = Tracer(
            sampler=sampler,
            resource=resource_of(report),
            span_processor=processor,  # type: ignore[arg-type]  # the SDK wraps several into one; one alone does
            id_generator=_Ids(report),
            span_limits=_no_limits(),
            instrumentation_scope=InstrumentationScope(SCOPE, __version__, SCHEMA_URL),
            **_known(Tracer, {**QUIET, "instrumentation_info": None}),
        )
        span = tracer.start_span(
            report.name,
            context=Context(),
            kind=SpanKind.INTERNAL,
            attributes=report.attributes("span"),
            start_time=int(report.facts["log_time"]),
        )
        span.end(end_time=int(report.facts["log_time"]))
        processor.shutdown()


def resource_of(report: Report) -> Resource:
    """Return the resource of a report; not by `Resource.create`, which asks the environment and its detectors."""
    return Resource(report.attributes("resource"), SCHEMA_URL)


class _Ids(IdGenerator):
    """The report's own ids: the SDK's come from the global `random`, which hosts seed."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def generate_trace_id(self) -> int:
        return self._report.trace_id

    def generate_span_id(self) -> int:
        return self._report.span_id


def _no_limits() -> SpanLimits:
    """Return limits that no OTEL_*_LIMIT of the host can narrow: `admit` bounds every value."""
    none = SpanLimits.UNSET
    return SpanLimits(
        max_attributes=none, max_span_attributes=none, max_attribute_length=none, max_span_attribute_length=none
    )


def _known(part: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that this SDK's `part` has; in other versions it may lack them."""
    known = inspect.signature(part).parameters
    return {name: value for name, value in arguments.items() if name in known}
