"""The real ClickHouse engine has our tables, filled as the collector's exporter fills them."""

from __future__ import annotations

import json
import re
import signal
import tempfile
import threading

from programs import BIN, CONFIG

MASK = signal.pthread_sigmask(signal.SIG_BLOCK, [])
from chdb.session import Session  # noqa: E402 -- it blocks SIGPIPE, for the programs that other tests start as well

signal.pthread_sigmask(signal.SIG_SETMASK, MASK)

KINDS = {0: "Unspecified", 1: "Internal"}


def inserted_columns():
    """Return the columns that the built collector's exporter inserts into, read from its binary."""
    program = (BIN / "otelcol-usage").read_bytes()
    statements = re.findall(rb"INSERT INTO %q\.%q \(\s+(Timestamp,\s+TraceId,\s+SpanId,[^)]*)\) VALUES", program)
    (columns,) = (statement for statement in statements if b"%s" not in statement)  # this statement is for the exporter's JSON table
    return [name.strip() for name in columns.decode().split(",")]


class Store:
    """A ClickHouse with our tables in a directory."""

    def __init__(self, directory, script=CONFIG / "clickhouse" / "otel_usage.sql", counts="days_count"):
        self._session, self._lock = Session(str(directory)), threading.Lock()
        self.run(script.read_text())
        self._session.query(f"SYSTEM WAIT VIEW otel_usage.{counts}")  # it counts at once; what a test inserts comes later

    def run(self, script):
        """Run the statements of a script, as the engine's own client does."""
        for statement in script.split(";\n"):
            if statement.strip():
                self._session.query(statement)

    def insert(self, requests, **more):
        """Insert the spans of OTLP/JSON requests, each as the exporter does; `more` are columns that it leaves to the table."""
        rows = [_row(resource, span) for resource, span in _spans(requests)]
        assert {name for row in rows for name in row} <= set(inserted_columns())
        rows = [{**row, **more} for row in rows]
        body = "\n".join(json.dumps(row) for row in rows)
        self._session.query(f"INSERT INTO otel_usage.spans ({', '.join(rows[0])}) FORMAT JSONEachRow {body}")

    def query(self, statement):
        """Return the rows of a statement, each a dict."""
        with self._lock:
            answer = self._session.query(statement, "JSON").data()
        return json.loads(answer)["data"] if answer else []

    def raw(self, statement, form, parameters=None):
        """Return the bytes of an answer in one of the engine's formats."""
        with self._lock:
            return bytes(self._session.query(statement, form, params=parameters or {}).bytes())

    def insert_block(self, statement, data):
        """Insert what came behind an INSERT as blocks of the format Native."""
        into = re.sub(r"\s+(?:VALUES|FORMAT\s+\w+)\s*$", "", statement)
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            return self.raw(f"{into} SELECT * FROM file('{file.name}', 'Native')", "TabSeparated")

    def rows_read(self, statement):
        """Return how many rows a statement reads."""
        return json.loads(self._session.query(statement, "JSON").data())["statistics"]["rows_read"]

    def count_days(self):
        """Count the days now, as the engine does each hour and each ten minutes."""
        for view in ("days_count", "today"):
            self._session.query(f"SYSTEM REFRESH VIEW otel_usage.{view}")
            self._session.query(f"SYSTEM WAIT VIEW otel_usage.{view}")

    def close(self):
        """Close the directory."""
        self._session.close()


def _spans(requests):
    for request in requests:
        for spans in request["resourceSpans"]:
            for scope in spans["scopeSpans"]:
                for span in scope["spans"]:
                    yield spans["resource"], span


def _row(resource, span):
    """Return the row that the exporter inserts for a span; every value is text, as the collector makes it."""
    attributes = _texts(resource["attributes"])
    return {
        "Timestamp": int(span.get("startTimeUnixNano", 0)) / 1e9, "TraceId": span["traceId"], "SpanId": span["spanId"],
        "ParentSpanId": "", "TraceState": "", "SpanName": span["name"], "SpanKind": KINDS[span.get("kind", 0)],
        "ServiceName": attributes["service.name"], "ResourceAttributes": attributes, "ScopeName": "otel_usage",
        "ScopeVersion": "", "SpanAttributes": _texts(span.get("attributes", [])), "Duration": 0, "StatusCode": "Unset",
        "StatusMessage": "",
    }  # fmt: skip


def _texts(attributes):
    return {one["key"]: _text(value) for one in attributes for value in one["value"].values()}


def _text(value):
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
