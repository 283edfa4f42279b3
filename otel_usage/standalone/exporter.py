"""The local file as a span exporter, for anybody's pipeline: one flat JSON line a usage span."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_usage.consent import OFF, config_directory, decide
from otel_usage.delivery.local_file import FILE
from otel_usage.facts import registry
from otel_usage.facts.admission import admit
from otel_usage.facts.app import App
from otel_usage.facts.builtin import HEARTBEAT, REPORT, SCOPE, SERVICE_NAME
from otel_usage.facts.report import Report
from otel_usage.standalone.said import say_once
from otel_usage.system.private_files import MAX_BYTES, append_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_usage.facts.fact import Scalar

UNNAMED = "unknown_service"  # the SDK's own word where nobody named the service
LONGEST, MOST_WORDS = 64, 200
NO_TIME = '"log_time": 0'  # stands in no text: its quotes would be escaped there


class LocalFileSpanExporter(SpanExporter):
    """Writes the usage spans of its pipeline to the local file of the app that their `service.name` names.

    app: the only App whose spans are taken, or its name; None takes every app's. The facts of an app that is given by
    name, or by a span alone, are those that an installed package declares for it, else the built-in ones.
    directory: where to write, by default the app's own directory.
    max_bytes: the size beyond which the file is rotated; 0 for never.

    It takes only spans of the scope `otel_usage` that are named `otel_usage.report` or `otel_usage.heartbeat`, and asks
    consent itself, right before each line. Why a span is not written is said once, at debug level, by the logger
    `otel_usage`. It may load what packages declare, since it writes to the local file only.
    """

    def __init__(self, app: App | str | None = None, directory: str | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._only = app if app is None or isinstance(app, str) else app.name
        self._directory, self._max_bytes = directory, max_bytes
        self._apps: dict[str, App | None] = {app.name: app} if isinstance(app, App) else {}
        if isinstance(app, str) and (problem := _wrong_name(app)):
            raise ValueError(problem)
        self._encoded: tuple[Resource, tuple[object, ...], str, str] | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a line for each usage span, those of one app in one write; FAILURE where one is not in the file."""
        by_app: dict[str, tuple[App, list[ReadableSpan]]] = {}
        for span in spans:
            if (app := self._app_of(span)) is not None:
                by_app.setdefault(app.name, (app, []))[1].append(span)
        try:
            written = [self._write(app, own) for app, own in by_app.values()]
        except (OSError, ValueError) as error:
            say_once(logging.DEBUG, f"a usage span is not written: {getattr(error, 'strerror', None) or error}")
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if all(written) else SpanExportResult.FAILURE

    def _app_of(self, span: ReadableSpan) -> App | None:
        """Return the app of a usage span, None for a span that is not taken."""
        scope = span.instrumentation_scope
        if scope is None or scope.name != SCOPE:
            _left("its scope is not otel_usage: get_tracer('otel_usage') makes those that are written")
            return None
        if span.name not in (REPORT, HEARTBEAT):
            _left(f"it is called {span.name[:LONGEST]!r}, neither {REPORT} nor {HEARTBEAT}")
            return None
        return self._app(span.resource.attributes.get(SERVICE_NAME))

    def _write(self, app: App, spans: list[ReadableSpan]) -> bool:
        """Write the lines of an app's spans; False where there is no directory, True where consent forbids it."""
        decision = decide(app.name)
        if decision.mode == OFF:
            _left(f"reports of {app.name} are off, by {decision.decided_by}")
            return True
        directory = self._directory or config_directory(app.name)
        if directory is None:
            _left(f"{app.name} has no directory to write to: set HOME to an absolute path")
            return False
        lines = [self._line(app, span) for span in spans]
        append_lines(os.path.join(directory, FILE), lines, max_bytes=self._max_bytes)
        return True

    def _line(self, app: App, span: ReadableSpan) -> str:
        """Return the span's line; all of it but the time is remembered while the spans hold the same."""
        held = (span.name, *((name, type(value), value) for name, value in (span.attributes or {}).items()))
        if self._encoded is None or self._encoded[0] is not span.resource or self._encoded[1] != held:
            facts = {**_facts(app, span.resource.attributes), **_facts(app, span.attributes or {})}
            admitted, _ = admit(app, facts, on="report" if span.name == REPORT else "heartbeat")
            before, after = Report(app, {**admitted, "log_time": 0}, name=span.name).line.split(NO_TIME)
            self._encoded = span.resource, held, before, after
        _, _, before, after = self._encoded
        return f'{before}"log_time": {span.start_time or 0}{after}'

    def _app(self, name: object) -> App | None:
        """Return the app of that name, None where its spans are not taken."""
        if not isinstance(name, str):
            _left("its resource has no service.name: set OTEL_SERVICE_NAME to the app's name")
            return None
        if self._only not in (None, name):
            _left(f"service.name is {name[:LONGEST]!r}, and only {self._only} is taken")
            return None
        if name not in self._apps:
            self._apps[name] = _installed(name)
        return self._apps[name]

    def shutdown(self) -> None:
        """Do nothing: no file stays open."""


def _left(reason: str) -> None:
    """Say at debug level, once, why a span is left alone."""
    say_once(logging.DEBUG, f"a span is not written to a local file: {reason}")


def _installed(name: str) -> App | None:
    """Return the app that a package declares under this name, one with the built-in facts where none does."""
    if problem := _wrong_name(name):
        _left(problem)
        return None
    try:
        return registry.load(name)
    except registry.UnknownAppError as error:
        say_once(logging.DEBUG, f"the local file of {name} gets the built-in facts alone: {error}")
        return App(name)


def _wrong_name(name: str) -> str | None:
    """Say why no app can have this name, or None."""
    try:
        App(name)
    except ValueError as error:
        return f"service.name names no app: {str(error)[:MOST_WORDS]}"
    unset = "service.name is not set: set OTEL_SERVICE_NAME to the app's name"
    return unset if name == UNNAMED else None


def _facts(app: App, attributes: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the facts that the attributes of a resource or a span hold, by their keys in the file."""
    found = {}
    for key, columns in app.attributes_of.items():
        values = tuple(attributes.get(column.name) for column in columns)
        if columns and (value := app.facts_by_key[key].join(values)) is not None:
            found[key] = value
    return found
