"""The OpenTelemetry pipeline of a report: resource, span, consent sampler, admission, sender.

No other module builds one. It is private and short-lived. It uses nothing of the host's: no provider, context, limits,
sampler or resource, and no replacement for them that the host's OTEL_* variables name.
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
    """Send a report to one destination as one span.

    Args:
        report: What to send.
        destination: Where to send it.
        allowed: Tells whether the report may be sent; asked right before each connect and each request.
        timeout: Seconds for one attempt; None for the sender's own.

    Raises:
        Exception: Anything that the SDK raises, for instance because a value in the host's OTEL_* variables breaks it.
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
    """Start and end the report's span with a tracer that exists only during this call.

    The tracer comes from no provider: each new provider registers a hook that runs at every fork of the host for ever,
    and in a forked child a live provider merges what the host's process detectors find into its resource.

    Args:
        report: Becomes the span.
        exporter: Gets the span when it ends.
        sampler: Decides whether the exporter gets it.
    """
    with WarningsFiltersKept():
        processor = SimpleSpanProcessor(exporter, **_known(SimpleSpanProcessor, QUIET))
        tracer = Tracer(
            sampler=sampler,
            resource=resource_of(report),
            span_processor=processor,  # type: ignore[arg-type]  # the SDK passes one that holds several; one alone works as well
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
    """Return the resource of a report. `Resource.create` would add what the environment and its detectors say."""
    return Resource(report.attributes("resource"), SCHEMA_URL)


class _Ids(IdGenerator):
    """Returns the report's own ids. The SDK would take them from the global `random`, which a host may seed."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def generate_trace_id(self) -> int:
        return self._report.trace_id

    def generate_span_id(self) -> int:
        return self._report.span_id


def _no_limits() -> SpanLimits:
    """Return span limits that the host's OTEL_*_LIMIT variables can't narrow. Admission bounds every value."""
    none = SpanLimits.UNSET
    return SpanLimits(
        max_attributes=none, max_span_attributes=none, max_attribute_length=none, max_span_attribute_length=none
    )


def _known(part: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those arguments that `part` accepts in the installed version of the SDK."""
    known = inspect.signature(part).parameters
    return {name: value for name, value in arguments.items() if name in known}
