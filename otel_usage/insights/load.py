"""Collected files in DuckDB: what the questions need of each report, once.

DuckDB reads blocks of lines. Where it can't make out a line, or may read it otherwise than the careful reader does,
that line is read by the careful reader instead.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from otel_usage.facts.builtin import HEARTBEAT, REPORT
from otel_usage.insights.block import LARGEST, SQL_TYPES, lines_of, literal, spans_of
from otel_usage.insights.lines import blocks, expanded
from otel_usage.insights.rows import rows_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType, TracebackType

    from duckdb import DuckDBPyConnection
    from typing_extensions import Self

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

BLOCK, EXAMPLES = 2**24, 5
MEMORY = "256MB"
MISSING = "otel-usage stats needs the package duckdb: pip install 'otel-usage[insights]'"


class Reports:
    """The reports of some files in a database of its own, in a temporary directory that goes with it.

    app: whose reports. columns: the attributes that are kept of each, by the names of their columns.
    """

    def __init__(self, app: App, columns: Mapping[str, Attribute]) -> None:
        self.app, self.columns = app, dict(columns)
        self.damaged: list[tuple[str, str]] = []
        self.damages = 0

    def __enter__(self) -> Self:
        """Make the database. Raises ModuleNotFoundError where DuckDB is not installed."""
        duckdb = duckdb_of()
        self._directory = tempfile.mkdtemp(prefix="otel-usage-stats-")
        try:
            self.database: DuckDBPyConnection = duckdb.connect(os.path.join(self._directory, "reports.duckdb"))
            place = literal(self._directory)
            for name, value in (("memory_limit", f"'{MEMORY}'"), ("temp_directory", place), ("TimeZone", "'UTC'"),
                                ("allowed_directories", f"[{place}]"), ("enable_external_access", "false"),
                                ("lock_configuration", "true")):  # fmt: skip
                self.database.execute(f"SET {name} = {value}")
            declared = ", ".join(f"{name} {SQL_TYPES[one.type]}" for name, one in self.columns.items())
            self.database.execute(
                f"CREATE TABLE spans (id BLOB, app VARCHAR, name VARCHAR, time TIMESTAMP, {declared})"
            )
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
                if len(self.damaged) < EXAMPLES:
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
            self.database.execute(f"CREATE OR REPLACE TEMP TABLE block AS {spans_of(chunk, self.columns)}")
            odd = self.database.execute("SELECT count(*) FROM block WHERE odd").fetchone()
            if odd == (0,):
                self.database.execute("INSERT INTO spans SELECT * EXCLUDE (odd) FROM block")
                return
            lines = self._plain_lines(block, chunk)
        rest = block.split(b"\n") if lines is None else lines
        self._insert(row for line in rest for row in rows_on(line, self.app, self.columns, damaged))

    def _plain_lines(self, block: bytes, chunk: str) -> list[bytes] | None:
        """Insert what is plain, and return the other lines; None where the lines can't be told apart."""
        lines = [line for line in block.split(b"\n") if line.strip()]
        self.database.execute(f"CREATE OR REPLACE TEMP TABLE block AS {spans_of(chunk, self.columns, numbered=True)}")
        last = self.database.execute(f"SELECT count(*) FROM {lines_of(chunk)}").fetchone()
        if last != (len(lines),):
            return None
        odd = self.database.execute("SELECT DISTINCT line FROM block WHERE odd ORDER BY line").fetchall()
        self.database.execute(
            "INSERT INTO spans SELECT * EXCLUDE (odd, line) FROM block "
            "WHERE line NOT IN (SELECT line FROM block WHERE odd)"
        )
        return [lines[number - 1] for (number,) in odd]

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
        table = f"read_json_objects({literal(path)}, format = 'newline_delimited', maximum_object_size = {8 * LARGEST})"
        self.database.execute(
            f"INSERT INTO spans SELECT unhex({ids} ->> '$'), {', '.join(casts)} "
            f"FROM (SELECT CAST(json AS JSON[]) AS row FROM {table})"
        )

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
        import duckdb  # noqa: PLC0415 -- for these commands alone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="duckdb") from error
    return duckdb


def _storable(value: object) -> object:
    """Return a value without what is no text in UTF-8, such as half a character."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
