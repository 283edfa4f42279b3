"""Collected files in DuckDB: what the questions need of each report, once.

Plain lines, as nearly all are, are taken apart without being parsed; any other line is read by the careful reader.
DuckDB keeps the rows, and counts.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any

from otel_usage.facts.builtin import HEARTBEAT, REPORT
from otel_usage.insights.lines import Extent, expanded, parts
from otel_usage.insights.rows import rows_on
from otel_usage.insights.worker import number, taken_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType, TracebackType

    from duckdb import DuckDBPyConnection
    from typing_extensions import Self

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

BLOCK, MUCH, EXAMPLES = 2**23, 2**26, 5
MEMORY = "256MB"
LEAST = 2**20
SQL_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}
OWN = {"id": "VARCHAR", "name": "VARCHAR", "time": "BIGINT", "app": "VARCHAR"}
MISSING = "otel-usage stats needs the package duckdb: pip install 'otel-usage[insights]'"


class Reports:
    """The reports of some files in a database of its own, in a temporary directory that goes with it.

    app: whose reports. columns: the attributes that are kept of each, by the names of their columns. processes: how
    many take lines apart, by default as many as are worth it.

    damaged: the first few places that could not be read, each a path and its text. damages: how many there are.
    """

    def __init__(self, app: App, columns: Mapping[str, Attribute], *, processes: int | None = None) -> None:
        self.app, self.columns, self._processes = app, dict(columns), processes
        self.damaged: list[tuple[str, str]] = []
        self.damages = 0

    def __enter__(self) -> Self:
        """Make the database. Raises ModuleNotFoundError where DuckDB is not installed."""
        duckdb = duckdb_of()
        self._directory = tempfile.mkdtemp(prefix="otel-usage-stats-")
        try:
            self.database: DuckDBPyConnection = duckdb.connect(os.path.join(self._directory, "reports.duckdb"))
            place = _literal(self._directory)
            for name, value in (("memory_limit", f"'{MEMORY}'"), ("temp_directory", place), ("TimeZone", "'UTC'"),
                                ("allowed_directories", f"[{place}]"), ("enable_external_access", "false"),
                                ("lock_configuration", "true")):  # fmt: skip
                self.database.execute(f"SET {name} = {value}")
            types = {"id": "BLOB", "name": "VARCHAR", "time": "TIMESTAMP", "app": "VARCHAR", **self._types()}
            declared = ", ".join(f"{name} {type_}" for name, type_ in types.items())
            self.database.execute(f"CREATE TABLE spans ({declared})")
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

        progress: called with a path and how many of its bytes have been read.

        Raises OSError for a file that can't be read, and ModuleNotFoundError where zstandard is needed and missing.
        """
        files = expanded(paths)
        much = sum(os.path.getsize(path) for path in files) > MUCH
        processes = self._processes or (number() if much else 1)
        origins: list[str] = []  # of each block that is not yet inserted, its file

        def every() -> Iterator[bytes | Extent]:
            for path in files:
                done = None if progress is None else partial(progress, path)
                for part in parts(path, BLOCK, partial(self._damaged, path), done):
                    origins.append(path)
                    yield part

        for rows, odd in taken_apart(every(), list(self.columns.values()), processes):
            path = origins.pop(0)
            self._insert_plain(rows)
            self._insert_others(odd, path)
        self._once()

    def _damaged(self, path: str, text: str) -> None:
        self.damages += 1
        if len(self.damaged) < EXAMPLES:
            self.damaged.append((path, text))

    def _types(self) -> dict[str, str]:
        return {name: SQL_TYPES[one.type] for name, one in self.columns.items()}

    def _insert_plain(self, rows: bytes) -> None:
        """Insert the rows of plain lines."""
        if rows:
            path = self._written("rows.tsv", [rows])
            form = "delim = '\t', header = false, quote = '\"', escape = '\"', auto_detect = false, new_line = '\\n'"
            self._insert(f"read_csv({path}, {form}, columns = {self._shape()})", "time // 1000")

    def _insert_others(self, lines: Iterable[bytes], path: str) -> None:
        """Insert the rows of other lines, as the careful reader makes them out."""
        names = [*OWN, *self.columns]
        rows = (
            json.dumps(dict(zip(names, map(_storable, row), strict=True))).encode() + b"\n"
            for line in lines
            for row in rows_on(line, self.app, self.columns, partial(self._damaged, path))
        )
        longest = 0

        def measured() -> Iterator[bytes]:
            nonlocal longest
            for row in rows:
                longest = max(longest, len(row))
                yield row

        place = self._written("rows.jsonl", measured())
        if longest:  # DuckDB takes memory for two objects of the largest size at once
            form = f"format = 'newline_delimited', maximum_object_size = {max(longest, LEAST)}"
            self._insert(f"read_json({place}, {form}, columns = {self._shape()})", "time")

    def _insert(self, table: str, time: str) -> None:
        values = ", ".join(self.columns)
        self.database.execute(
            f"INSERT INTO spans SELECT unhex(id), name, make_timestamp({time}), app, {values} FROM {table}"
        )

    def _shape(self) -> str:
        shape = ", ".join(f"{name}: '{type_}'" for name, type_ in (OWN | self._types()).items())
        return f"{{{shape}}}"

    def _written(self, name: str, parts: Iterable[bytes]) -> str:
        """Write a file for DuckDB to read, and return its path as a literal."""
        path = os.path.join(self._directory, name)
        with open(path, "wb") as file:
            file.writelines(parts)
        return _literal(path)

    def _once(self) -> None:
        """Keep the first of the copies of a span, and make the views."""
        self.database.execute(
            "DELETE FROM spans WHERE rowid IN (SELECT unnest(list_sort(list(rowid))[2:]) FROM spans "
            "GROUP BY id HAVING count(*) > 1)"
        )
        for name, span in (("reports", REPORT), ("heartbeats", HEARTBEAT)):
            texts = (f"nullif({c}, '') AS {c}" if one.type is str else c for c, one in self.columns.items())
            kept = f"SELECT app, time, {', '.join(texts)} FROM spans WHERE name = '{span}'"
            self.database.execute(f"CREATE OR REPLACE VIEW {name} AS {kept}")


def duckdb_of() -> ModuleType:
    """Return DuckDB. Raises ModuleNotFoundError where it is not installed; the text says how to install it."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="duckdb") from error
    return duckdb


def _storable(value: object) -> object:
    """Return a value without what is no text in UTF-8, such as half a character."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
