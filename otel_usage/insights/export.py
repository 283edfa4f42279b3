"""Answers as files for spreadsheets and notebooks: one CSV or Parquet file a question."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from typing import TYPE_CHECKING

from otel_usage.insights.load import duckdb_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_usage.facts.fact import Scalar
    from otel_usage.insights.answer import Answer

MEASURES = {"runs": "BIGINT", "gpus": "BIGINT", "engine_hours": "DOUBLE"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def columns(answer: Answer) -> list[str]:
    """Return the names of an answer's columns: the period, the facts, then what is counted."""
    return [*filter(None, [answer.question.over]), *answer.question.by, *MEASURES]


def file_names(answers: Sequence[Answer]) -> Iterator[tuple[Answer, str]]:
    """Yield each answer with the name of its file, without an ending: the title in lower case, each name once."""
    taken: set[str] = set()
    for answer in answers:
        plain = re.sub(r"[^a-z0-9]+", "_", answer.question.title.lower()).strip("_")[:80] or "question"
        name = next(n for n in (plain, *(f"{plain}_{i}" for i in range(2, len(answers) + 2))) if n not in taken)
        taken.add(name)
        yield answer, name


def write_csv(answers: Sequence[Answer], directory: str) -> list[str]:
    """Write a CSV file for each answer, and return their paths. A text that is a formula is quoted by an apostrophe."""
    os.makedirs(directory, exist_ok=True)
    paths = []
    for answer, name in file_names(answers):
        paths.append(os.path.join(directory, f"{name}.csv"))
        with open(paths[-1], "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = columns(answer)
            writer.writerow(names)
            writer.writerows([_cell(row[name]) for name in names] for row in answer.rows)
    return paths


def write_parquet(answers: Sequence[Answer], directory: str) -> list[str]:
    """Write a Parquet file for each answer, and return their paths: facts are texts, what is counted is numbers."""
    os.makedirs(directory, exist_ok=True)
    database = duckdb_of().connect()
    paths = []
    with tempfile.TemporaryDirectory(prefix="otel-usage-stats-") as scratch:
        rows = os.path.join(scratch, "rows.jsonl")
        for answer, name in file_names(answers):
            paths.append(os.path.join(directory, f"{name}.parquet"))
            with open(rows, "w", encoding="ascii") as file:
                file.writelines(json.dumps({key: _plain(key, row[key]) for key in row}) + "\n" for row in answer.rows)
            types = {key: MEASURES.get(key, "VARCHAR") for key in columns(answer)}
            read = "read_json($1, format = 'newline_delimited', columns = " + json.dumps(types).replace('"', "'") + ")"
            database.execute(f"CREATE OR REPLACE TABLE answer AS SELECT * FROM {read}", [rows])
            database.execute("COPY answer TO $1 (FORMAT parquet)", [paths[-1]])
    database.close()
    return paths


def _plain(key: str, value: Scalar | None) -> Scalar | None:
    return value if key in MEASURES else word(value)


def word(value: Scalar | None) -> str:
    """Return a value as the file has it, as text: true, 2, 0.9, AWS."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _cell(value: Scalar | None) -> str:
    text = word(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
