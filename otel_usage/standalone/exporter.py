"""The local file as a span exporter, for anybody's pipeline: one flat JSON line a usage span."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_usage.consent import OFF, config_directory, decide
from otel_usage.delivery.local_file import FILE
from otel_usage.facts.admission import admit
from otel_usage.facts.app import App, is_name
from otel_usage.facts.builtin import HEARTBEAT, REPORT, SCOPE, SERVICE_NAME
from otel_usage.facts.report import Report
from otel_usage.system.private_files import MAX_BYTES, append_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_usage.facts.fact import Scalar

NO_TIME = '"log_time": 0'  # stands in no text: its quotes would be escaped there


class LocalFileSpanExporter(SpanExporter):
    """Writes the usage spans of its pipeline to the local file of the app that their `service.name` names.

    app: an App, whose declared facts are written too, or the name of the only app whose spans are taken; None takes
    every app's, with the built-in facts. directory: where to write, by default the app's own directory.
    max_bytes: the size beyond which the file is rotated; 0 for never.

    It takes only spans of the scope `otel_usage` and asks consent itself, right before each line.
    """

    def __init__(self, app: App | str | None = None, directory: str | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._only = App(app) if isinstance(app, str) else app
        self._directory, self._max_bytes = directory, max_bytes
        self._apps: dict[str, App] = {} if self._only is None else {self._only.name: self._only}
        self._encoded: tuple[Resource, tuple[object, ...], str, str] | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a line for each usage span, those of one app in one write; FAILURE where one is not in the file."""
        by_app: dict[str, tuple[App, list[ReadableSpan]]] = {}
        for span in spans:
            if (app := self._app_of(span)) is not None:
                by_app.setdefault(app.name, (app, []))[1].append(span)
        try:
            written = [self._write(app, own) for app, own in by_app.values()]
        except (OSError, ValueError):
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if all(written) else SpanExportResult.FAILURE

    def _app_of(self, span: ReadableSpan) -> App | None:
        """Return the app of a usage span, None for a span that is not taken."""
        scope = span.instrumentation_scope
        if scope is None or scope.name != SCOPE or span.name not in (REPORT, HEARTBEAT):
            return None
        return self._app(span.resource.attributes.get(SERVICE_NAME))

    def _write(self, app: App, spans: list[ReadableSpan]) -> bool:
        """Write the lines of an app's spans; False where there is no directory, True where consent forbids it."""
        if decide(app.name).mode == OFF:
            return True
        directory = self._directory or config_directory(app.name)
        if directory is None:
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
        if not isinstance(name, str) or not is_name(name):
            return None
        if self._only is None and name not in self._apps:
            try:
                self._apps[name] = App(name)
            except ValueError:
                return None
        return self._apps.get(name)

    def shutdown(self) -> None:
        """Do nothing: no file stays open."""


def _facts(app: App, attributes: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the facts that the attributes of a resource or a span hold, by their keys in the file."""
    found = {}
    for key, columns in app.attributes_of.items():
        values = tuple(attributes.get(column.name) for column in columns)
        if columns and (value := app.facts_by_key[key].join(values)) is not None:
            found[key] = value
    return found
