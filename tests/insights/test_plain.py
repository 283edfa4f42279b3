"""Lines that are taken apart without being parsed are read as the careful reader reads them, or not at all."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_usage.insights.plain import Plain
from otel_usage.insights.rows import rows_on
from otel_usage.insights.statement import DUCKDB, Words, needed
from otel_usage.insights.synthetic import Population
from otel_usage.integrations.vllm import APP

KEYS = ("gpu_type", "gpu_memory_utilization", "enable_lora", "context", "vllm_version")
COLUMNS = needed(APP, KEYS, Words(APP, DUCKDB))


def made(number, seed=1):
    """Return made-up lines, as a collector writes them."""
    return [line.encode() for line in Population(APP, number, seed, dt.date(2026, 11, 22)).lines()]


LINES = made(40)
PIECES = [
    b'{"key":"otel_usage.gpu.model","value":{"stringValue":"NVIDIA T4"}},', b'{"key":"otel_usage.gpu.count","value":{"intValue":"3"}},',
    b'{"key":"otel_usage.gpu.count","value":{"stringValue":"3"}},', b'{"key":"otel_usage.gpu.count","value":{"intValue":3}},',
    b'{"key":"otel_usage.gpu.count","value":{"intValue":"03"}},', b'{"key":"otel_usage.gpu.count","value":{"intValue":"99999999999999999999"}},',
    b'{"key":"otel_usage.gpu.model","value":{"stringValue":"a\\u0000b"}},', b'{"key":"otel_usage.gpu.model","value":{"stringValue":"\xc3\xa9"}},',
    b'{"key":"otel_usage.gpu.model","value":{"arrayValue":{"values":[{"stringValue":"x"}]}}},', b'{"key":"otel_usage.gpu.model","value":{}},',
    b'{"key":"x","value":{"kvlistValue":{"values":[{"key":"otel_usage.gpu.model","value":{"stringValue":"nested"}}]}}},',
    b'{"key":"otel_usage.gpu.model","value":{"stringValue":"a","intValue":"1"}},', b'{"key":"otel_usage.context","value":{"stringValue":"LLM_CLASS"}},',
    b'{"key":"vllm.config.gpu_memory_utilization","value":{"doubleValue":1e999}},', b'{"key":"vllm.config.enable_lora","value":{"boolValue":"true"}},',
    b'{"key":"service.name","value":{"stringValue":"other"}},', b'{"key":"otel_usage.gpu.model","value":{"stringValue":"\t"}},',
    b'{"resourceSpans":[{"resource":{"attributes":[', b']}]},{"resource":{"attributes":[', b"]}]}]}", b'],"status":{}}', b'{"key":"', b'"}},', b"}", b'"', b"\\", b"\xff",
    b"\n", b"\r", b" ", b",", b"null", b"[" * 3000, b'"startTimeUnixNano":"9999999999999999999"', b'"traceId":"x"', b"{}", b',"schemaUrl":"x"', b"123", b"\x00",
]  # fmt: skip


def in_words(row):
    """Return a row of a plain line as the careful reader gives it, and what that gives as text."""
    return [value[1:-1] if value.startswith('"') else value or None for value in row.decode().split("\t")]


def as_text(row):
    """Return a row of the careful reader as text."""
    identity, name, time, *values = row
    plain = [None if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    return [identity, name, str(time), *plain]


def both(block):
    """Return what the quick way makes of a block, with what it leaves, and what the careful one makes of all of it."""
    rows, odd = Plain(COLUMNS.values()).rows(block)
    quick = [in_words(row) for row in rows]
    for row in quick:
        row[2] = str(int(row[2]) // 1000)
    rest = [as_text(row) for line in odd for row in rows_on(line, APP, COLUMNS, lambda _: None)]
    careful = [as_text(row) for line in block.split(b"\n") for row in rows_on(line, APP, COLUMNS, lambda _: None)]
    return quick + rest, careful, odd


def comparable(rows):
    """Return rows in one order, with their numbers and texts alike: 0.9 and 0.90 are one number."""
    return sorted(json.dumps([_number(value) for value in row]) for row in rows)


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def test_made_up_lines_are_all_plain():
    """Reports and heartbeats, with all that they hold."""
    quick, careful, odd = both(b"\n".join(LINES))

    assert (comparable(quick), odd) == (comparable(careful), [])
    assert len(quick) == len(LINES) > 40


@given(st.sampled_from(LINES), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 40), st.sampled_from(PIECES)), max_size=3))
@example(LINES[0], [(45, 0, PIECES[0])])
def test_a_line_with_anything_put_into_it_is_read_alike(line, changes):
    """Wherever it is put, in the place of however much: attributes twice, nested, of another type; what is no JSON."""
    for at, length, piece in changes:
        line = line[: at % len(line)] + piece + line[at % len(line) + length :]
    quick, careful, _ = both(line)

    assert comparable(quick) == comparable(careful)


@pytest.mark.parametrize("piece", PIECES, ids=range(len(PIECES)))
def test_each_piece_between_any_two_attributes_is_read_alike(piece):
    """Between each two, where it fits best."""
    line = LINES[0]
    for at in (at for at in range(len(line)) if line.startswith(b'{"key"', at)):
        quick, careful, _ = both(line[:at] + piece + line[at:])

        assert comparable(quick) == comparable(careful)


def test_resources_on_one_line_are_all_read():
    """A gateway stores together what came in the same few milliseconds."""
    inner = [line[len(b'{"resourceSpans":[') : -2] for line in LINES[:5]]
    quick, careful, odd = both(b'{"resourceSpans":[' + b",".join(inner) + b"]}")

    assert (comparable(quick), len(quick), odd) == (comparable(careful), 5, [])


@pytest.mark.parametrize("tail", ['}],"schemaUrl":"https://a.b/1.44.0"}]}', '}],"schemaUrl":""}]}', ',"schemaUrl":"x"}],"schemaUrl":"y"}]}'])
def test_schemas_are_plain(tail):
    """A collector that keeps the schema of a resource writes it behind its spans."""
    quick, careful, odd = both(b"\n".join(line.removesuffix(b"}]}]}") + tail.encode() for line in LINES))

    assert (comparable(quick), len(quick), odd) == (comparable(careful), len(LINES), [])


@pytest.mark.parametrize("more", ['{"key":"a","value":{"stringValue":"b"}}', '{"key":"', "x", '{"key":"a","value":{"stringValue":"b"}}],"status":{}}]}]}]}'])
def test_a_line_with_more_behind_its_end_is_not_plain(more):
    """What is glued to a record is damage, which only the careful reader says."""
    _, _, odd = both(LINES[0] + more.encode())

    assert odd == [LINES[0] + more.encode()]


def test_pieces_that_others_invent_do_not_make_it_grow(monkeypatch):
    """What is remembered is bounded."""
    monkeypatch.setattr("otel_usage.insights.plain.MOST", 50)
    plain = Plain(COLUMNS.values())
    lines = [LINES[0].replace(b"NVIDIA", b"N%d" % number) for number in range(500)]
    rows, odd = plain.rows(b"\n".join(lines))

    assert (len(rows), odd) == (500, [])
    assert len(plain._known) <= 50
