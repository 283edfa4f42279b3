"""Collected files in DuckDB: what the questions need of each report, once.

DuckDB reads blocks of lines. Where it can't make out a line, or may read it otherwise than the careful reader does,
that line is read by the careful reader instead.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from otel_usage.facts.builtin import HEARTBEAT, REPORT, SERVICE_NAME
from otel_usage.insights.lines import blocks, expanded
from otel_usage.insights.reader import Found, kind_of, objects_on, spans_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType, TracebackType

    from duckdb import DuckDBPyConnection

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

BLOCK, LARGEST = 2**24, 2**25
MEMORY = "256MB"
KINDS = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}
SQL_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}
VALUE = "STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR)"
ATTRIBUTES = f'STRUCT("key" VARCHAR, value {VALUE})[]'
SPAN = f"STRUCT(name VARCHAR, traceId VARCHAR, spanId VARCHAR, startTimeUnixNano VARCHAR, attributes {ATTRIBUTES})"
SHAPE = f"STRUCT(resource STRUCT(attributes {ATTRIBUTES}), scopeSpans STRUCT(spans {SPAN}[])[])[]"
MISSING = "otel-usage stats needs the package duckdb: pip install 'otel-usage[insights]'"


class Reports:
    """The reports of some files in a database of its own, in a temporary directory that goes with it.

    app: whose reports. columns: the attributes that are kept of each, by the names of their columns.
    """

    def __init__(self, app: App, columns: Mapping[str, Attribute]) -> None:
        self.app, self.columns = app, dict(columns)
        self.damaged: list[tuple[str, str]] = []
        self.damages = 0

    def __enter__(self) -> Reports:
        """Make the database. Raises ModuleNotFoundError where DuckDB is not installed."""
        duckdb = duckdb_of()
        self._directory = tempfile.mkdtemp(prefix="otel-usage-stats-")
        try:
            self.database: DuckDBPyConnection = duckdb.connect(os.path.join(self._directory, "reports.duckdb"))
            for name, value in (("memory_limit", f"'{MEMORY}'"), ("temp_directory", f"'{_quoted(self._directory)}'"),
                                ("allowed_directories", f"['{_quoted(self._directory)}']"), ("TimeZone", "'UTC'"),
                                ("enable_external_access", "false"), ("lock_configuration", "true")):  # fmt: skip
                self.database.execute(f"SET {name} = {value}")
            declared = ", ".join(f"{name} {SQL_TYPES[one.type]}" for name, one in self.columns.items())
            self.database.execute(f"CREATE TABLE spans (id BLOB, app VARCHAR, name VARCHAR, time TIMESTAMP, {declared})")
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove it."""
        self.database.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        return self.database.execute(statement).fetchall()

    def read(self, paths: Iterable[str], progress: Callable[[str, int], None] | None = None) -> None:
        """Read files, or directories of them: those of a collector, or a `usage_stats.json` of this app.

        Raises OSError for a file that can't be read, and ModuleNotFoundError where zstandard is needed and missing.
        """
        chunk = os.path.join(self._directory, "block.jsonl")
        for path in expanded(paths):

            def damaged(text: str, path: str = path) -> None:
                self.damages += 1
                if len(self.damaged) < 5:  # noqa: PLR2004 -- enough to know where to look
                    self.damaged.append((path, text))

            def done(size: int, path: str = path) -> None:
                if progress is not None:
                    progress(path, size)

            for block in blocks(path, BLOCK, damaged, done):
                self._take(block, chunk, damaged)
        self._once()

    def _take(self, block: bytes, chunk: str, damaged: Callable[[str], None]) -> None:
        """Read a block of lines: by DuckDB, and by the careful reader those lines that are not plain."""
        lines: list[bytes] | None = None
        if len(block) <= LARGEST:
            with open(chunk, "wb") as file:
                file.write(block)
            self.database.execute(f"CREATE OR REPLACE TEMP TABLE block AS {self._block(chunk)}")
            odd = self.database.execute("SELECT count(*) FROM block WHERE odd").fetchone()
            if odd == (0,):
                self.database.execute("INSERT INTO spans SELECT * EXCLUDE (odd) FROM block")
                return
            lines = self._plain_lines(block, chunk)
        rest = block.split(b"\n") if lines is None else lines
        self._insert(row for line in rest for row in self._carefully(line, damaged))

    def _plain_lines(self, block: bytes, chunk: str) -> list[bytes] | None:
        """Insert what is plain, and return the other lines; None where the lines can't be told apart."""
        lines = [line for line in block.split(b"\n") if line.strip()]
        self.database.execute(f"CREATE OR REPLACE TEMP TABLE block AS {self._block(chunk, numbered=True)}")
        last = self.database.execute(f"SELECT count(*) FROM {_json(chunk)}").fetchone()
        if last != (len(lines),):
            return None
        odd = self.database.execute("SELECT DISTINCT line FROM block WHERE odd ORDER BY line").fetchall()
        self.database.execute(
            "INSERT INTO spans SELECT * EXCLUDE (odd, line) FROM block "
            "WHERE line NOT IN (SELECT line FROM block WHERE odd)"
        )
        return [lines[number - 1] for (number,) in odd]

    def _block(self, chunk: str, *, numbered: bool = False) -> str:
        """Return the statement for the spans of a block, each with whether it is odd: not as the exporter writes it."""
        values = [(name, one, f"{'r' if one.place == 'resource' else 's'}_values[list_position("
                              f"{'r' if one.place == 'resource' else 's'}_keys, '{one.name}')].{KINDS[one.type]}")
                  for name, one in self.columns.items()]  # fmt: skip
        raw = ", ".join(f"{value} AS {name}" for name, _, value in values)
        odd = " OR ".join(filter(None, (_odd(name, one.type) for name, one, _ in values)))
        read = ", ".join(f"{_read(name, one.type)} AS {name}" for name, one, _ in values)
        line = "line, " if numbered else ""
        number = "row_number() OVER () AS line, " if numbered else ""
        return f"""
            WITH lines AS (SELECT {number}coalesce(resourceSpans, [NULL]) AS r FROM {_json(chunk)}),
            resources AS (SELECT {line}unnest(r) AS r FROM lines),
            scopes AS (SELECT {line}r.resource.attributes AS r, unnest(coalesce(r.scopeSpans, [NULL])) AS s FROM resources),
            each AS (SELECT {line}list_transform(r, lambda x: x.key) AS r_keys, list_transform(r, lambda x: x.value) AS r_values,
                unnest(coalesce(s.spans, [NULL])) AS s FROM scopes),
            keyed AS (SELECT {line}s, r_keys, r_values, list_transform(s.attributes, lambda x: x.key) AS s_keys,
                list_transform(s.attributes, lambda x: x.value) AS s_values FROM each),
            spans AS (SELECT {line}s.traceId || s.spanId AS id, s.name AS name, coalesce(s.startTimeUnixNano, '0') AS time,
                r_values[list_position(r_keys, '{SERVICE_NAME}')].stringValue AS app, {raw} FROM keyed),
            checked AS (SELECT *, coalesce(name IS NULL OR id IS NULL OR NOT regexp_full_match(id, '[0-9a-f]{{48}}')
                OR NOT regexp_full_match(time, '[0-9]{{1,19}}') OR TRY_CAST(time AS BIGINT) IS NULL OR app[1] IN ('{{', '[') OR {odd}, true) AS odd FROM spans)
            SELECT {line}CASE WHEN NOT odd THEN unhex(id) END AS id, app, name,
                make_timestamp(CASE WHEN NOT odd THEN time::BIGINT // 1000 END) AS time, {read}, odd
            FROM checked WHERE odd OR name IN ('{REPORT}', '{HEARTBEAT}')"""

    def _carefully(self, line: bytes, damaged: Callable[[str], None]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a line, however it is: spans of a collector, or a report of a local file."""
        text = line.decode(errors="replace")
        if '"log_time"' in text and '"resourceSpans"' not in text:
            yield from self._local(text, damaged)
            return
        for found in spans_on(text, damaged):
            if found.name in (REPORT, HEARTBEAT):
                yield self._row(found)

    def _row(self, found: Found) -> tuple[Any, ...]:
        values = (
            kind_of((found.resource if one.place == "resource" else found.span).get(one.name), KINDS[one.type])
            for one in self.columns.values()
        )
        app = kind_of(found.resource.get(SERVICE_NAME), KINDS[str])
        return found.trace_id + found.span_id, app, found.name, found.time // 1000, *values

    def _local(self, text: str, damaged: Callable[[str], None]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a line of a `usage_stats.json`; a heartbeat there tells nothing that is counted."""
        for beginning, _ in objects_on(text, damaged):
            with suppress(ValueError, RecursionError):
                facts = json.loads(text)
                yield from self._local_row(facts)
                return
            damaged(beginning)

    def _local_row(self, facts: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        keys = set(facts).intersection(self.app.report_keys) - {"uuid", "log_time"}
        if not keys:
            return
        admitted = {key: fact.admit(facts[key])[0] for key, fact in self.app.facts_by_key.items() if key in facts}
        attributes = _attributes(self.app, {key: value for key, value in admitted.items() if value is not None})
        time = facts.get("log_time")
        time = time if isinstance(time, int) and 0 <= time < 2**63 else 0
        ids = json.dumps([facts.get("uuid"), facts.get("log_time")]).encode().hex()
        yield ids, self.app.name, REPORT, time // 1000, *(attributes.get(one.name) for one in self.columns.values())

    def _insert(self, rows: Iterator[tuple[Any, ...]]) -> None:
        """Insert rows by a file: one by one would take DuckDB a millisecond each."""
        path = os.path.join(self._directory, "rows.jsonl")
        with open(path, "w", encoding="ascii") as file:
            some = [file.write(json.dumps([_storable(value) for value in row]) + "\n") for row in rows]
        if not some:
            return
        types = ["VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", *(SQL_TYPES[one.type] for one in self.columns.values())]
        ids, *plain = [f"row[{number}]" for number in range(1, len(types) + 1)]
        casts = [f"CAST({value} ->> '$' AS {type_})" for value, type_ in zip(plain, types[1:], strict=True)]
        casts[2] = f"make_timestamp({casts[2]})"
        self.database.execute(
            f"INSERT INTO spans SELECT unhex({ids} ->> '$'), {', '.join(casts)} FROM (SELECT CAST(json AS JSON[]) AS row "
            f"FROM read_json_objects('{_quoted(path)}', format = 'newline_delimited', maximum_object_size = {LARGEST}))"
        )

    def _once(self) -> None:
        """Keep the first of the copies of a span, and make the views."""
        self.database.execute(
            "DELETE FROM spans WHERE rowid IN (SELECT unnest(list_sort(list(rowid))[2:]) FROM spans "
            "GROUP BY id HAVING count(*) > 1)"
        )
        for name, span in (("reports", REPORT), ("heartbeats", HEARTBEAT)):
            texts = (f"nullif({c}, '') AS {c}" if one.type is str else c for c, one in self.columns.items())
            self.database.execute(
                f"CREATE OR REPLACE VIEW {name} AS SELECT app, time, {', '.join(texts)} FROM spans WHERE name = '{span}'"
            )


def duckdb_of() -> ModuleType:
    """Return DuckDB. Raises ModuleNotFoundError where it is not installed; the text says how to install it."""
    try:
        import duckdb  # noqa: PLC0415 -- for these commands alone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="duckdb") from error
    return duckdb


def _attributes(app: App, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that facts become, whichever their place."""
    found = {}
    for key, value in facts.items():
        for attribute, part in zip(app.attributes_of[key], app.facts_by_key[key].split(value), strict=True):
            if part is not None:
                found[attribute.name] = part
    return found


def _json(path: str) -> str:
    return (
        f"read_json('{_quoted(path)}', format = 'newline_delimited', records = true, ignore_errors = true, "
        f"maximum_object_size = {LARGEST}, columns = {{resourceSpans: '{SHAPE}'}})"
    )


def _storable(value: object) -> object:
    """Return a value without what is no text in UTF-8, such as half a character."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _odd(name: str, type_: type) -> str:
    """Return the condition that a value may be read otherwise than the careful reader does."""
    if type_ is str:
        return f"coalesce({name}[1] IN ('{{', '['), false)"
    if type_ is int:
        return f"coalesce(CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) IS DISTINCT FROM {name}, false)"
    if type_ is bool:
        return f"coalesce({name} NOT IN ('true', 'false'), false)"
    return (
        f"({name} IS NOT NULL AND NOT (regexp_full_match({name}, '-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?') "
        f"AND coalesce(isfinite(TRY_CAST({name} AS DOUBLE)), false)))"
    )


def _read(name: str, type_: type) -> str:
    return {str: name, bool: f"{name} = 'true'"}.get(type_) or f"TRY_CAST({name} AS {SQL_TYPES[type_]})"
