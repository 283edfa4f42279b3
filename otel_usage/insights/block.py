"""The statement by which DuckDB reads a block of lines, as a collector's file exporter writes them.

Some traps of `read_json` are behind its form. `records = true`: else one line that is a number makes every row NULL.
A line that is no JSON becomes a row of NULLs, so each `unnest` gets a NULL to keep. What has another type becomes NULL
within a row or text, so numbers are read as text, and compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_usage.facts.builtin import HEARTBEAT, REPORT, SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_usage.facts.fact import Attribute

LARGEST = 2**25
KINDS = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}
SQL_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}
VALUE = "STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR)"
ATTRIBUTES = f'STRUCT("key" VARCHAR, value {VALUE})[]'
SPAN = f"STRUCT(name VARCHAR, traceId VARCHAR, spanId VARCHAR, startTimeUnixNano VARCHAR, attributes {ATTRIBUTES})"
SHAPE = f"STRUCT(resource STRUCT(attributes {ATTRIBUTES}), scopeSpans STRUCT(spans {SPAN}[])[])[]"
KEYS, VALUES = "list_transform({}, lambda x: x.key)", "list_transform({}, lambda x: x.value)"


def lines_of(path: str) -> str:
    """Return the table of a file's lines."""
    return (
        f"read_json({literal(path)}, format = 'newline_delimited', records = true, ignore_errors = true, "
        f"maximum_object_size = {LARGEST}, columns = {{resourceSpans: '{SHAPE}'}})"
    )


def spans_of(path: str, columns: Mapping[str, Attribute], *, numbered: bool = False) -> str:
    """Return the statement for the reports and heartbeats of a file, and for all that is odd.

    Odd is what the exporter does not write: it is no JSON, or may be read otherwise by others. Its columns are id,
    app, name, time, those of the attributes, and odd; where it is `numbered`, the number of the line comes before.
    """
    raw = ", ".join(f"{_value(one)} AS {name}" for name, one in columns.items())
    odd = " OR ".join(_odd(name, one.type) for name, one in columns.items())
    read = ", ".join(f"{_read(name, one.type)} AS {name}" for name, one in columns.items())
    line, number = ("line, ", "row_number() OVER () AS line, ") if numbered else ("", "")
    return f"""
        WITH lines AS (SELECT {number}coalesce(resourceSpans, [NULL]) AS r FROM {lines_of(path)}),
        resources AS (SELECT {line}unnest(r) AS r FROM lines),
        scopes AS (
            SELECT {line}r.resource.attributes AS r, unnest(coalesce(r.scopeSpans, [NULL])) AS s FROM resources),
        each AS (
            SELECT {line}{KEYS.format("r")} AS resource_keys, {VALUES.format("r")} AS resource_values,
                unnest(coalesce(s.spans, [NULL])) AS s FROM scopes),
        keyed AS (
            SELECT {line}s, resource_keys, resource_values, {KEYS.format("s.attributes")} AS span_keys,
                {VALUES.format("s.attributes")} AS span_values FROM each),
        spans AS (
            SELECT {line}s.traceId || s.spanId AS id, s.name AS name, coalesce(s.startTimeUnixNano, '0') AS time,
                resource_values[list_position(resource_keys, '{SERVICE_NAME}')].stringValue AS app, {raw} FROM keyed),
        checked AS (
            SELECT *, coalesce(name IS NULL OR NOT regexp_full_match(id, '[0-9a-f]{{48}}') OR app[1] IN ('{{', '[')
                OR NOT regexp_full_match(time, '[0-9]{{1,19}}') OR TRY_CAST(time AS BIGINT) IS NULL OR {odd}, true)
                AS odd FROM spans)
        SELECT {line}CASE WHEN NOT odd THEN unhex(id) END AS id, app, name,
            make_timestamp(CASE WHEN NOT odd THEN time::BIGINT // 1000 END) AS time, {read}, odd
        FROM checked WHERE odd OR name IN ('{REPORT}', '{HEARTBEAT}')"""


def literal(text: str) -> str:
    """Return a text as a literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def _value(attribute: Attribute) -> str:
    """Return the value of an attribute as text: that of the first one of its name."""
    place = attribute.place
    return f"{place}_values[list_position({place}_keys, {literal(attribute.name)})].{KINDS[attribute.type]}"


def _odd(name: str, type_: type) -> str:
    """Return the condition that a text may be no value of its type, or one in an unusual form."""
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
