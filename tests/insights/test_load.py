"""Files are read in blocks, by several processes, within bounds, whatever stands in them."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import time

import pytest
import zstandard

from otel_usage.insights import lines, worker
from otel_usage.insights.lines import Extent, blocks, parts
from otel_usage.insights.load import Reports
from otel_usage.insights.reader import START, objects_on, read
from otel_usage.insights.statement import DUCKDB, Words, needed
from otel_usage.insights.synthetic import Population
from otel_usage.integrations.vllm import APP

COLUMNS = needed(APP, ["gpu_type"], Words(APP, DUCKDB))
LINES = [line.encode() for line in Population(APP, 300, 5, dt.date(2026, 11, 22)).lines()]


@pytest.fixture
def folder(tmp_path):
    """Files in each form, a torn line in each; some spans twice."""
    text = b"\n".join([*LINES, LINES[0][:700], *LINES[:20]]) + b"\n"
    for name, content in (("usage.jsonl", text), ("usage-1.jsonl.gz", gzip.compress(text)), ("usage-2.jsonl.zst", zstandard.compress(text))):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def loaded(folder, processes):
    """Return all rows that are loaded, in their order, and what was damaged."""
    with Reports(APP, COLUMNS, processes=processes) as reports:
        reports.read([str(folder)])
        return reports.ask("SELECT * FROM spans"), reports.damages, {os.path.basename(path) for path, _ in reports.damaged}


def test_processes_read_what_one_reads(folder, monkeypatch):
    """In the same order, by however many, in blocks however small; each span once, and each damage said."""
    alone = loaded(folder, 1)
    monkeypatch.setattr("otel_usage.insights.load.BLOCK", 10_000)

    assert loaded(folder, 3) == alone
    assert (len(alone[0]), alone[1:]) == (len(LINES), (3, {"usage.jsonl", "usage-1.jsonl.gz", "usage-2.jsonl.zst"}))


def test_no_process_is_left_where_reading_fails(folder, monkeypatch):
    """A file that goes away while it is read ends them all."""
    started = []
    start = worker._started
    monkeypatch.setattr(worker, "_started", lambda columns: started.append(start(columns)) or started[-1])
    monkeypatch.setattr("otel_usage.insights.load.BLOCK", 10_000)
    (folder / "usage.jsonl").unlink()
    (folder / "usage-3.jsonl").symlink_to(folder / "usage.jsonl")
    with pytest.raises(FileNotFoundError):
        loaded(folder / "usage-3.jsonl", 2)
    with Reports(APP, COLUMNS, processes=2) as reports, pytest.raises(ZeroDivisionError):
        reports.read([str(folder / "usage-1.jsonl.gz")], lambda *_: 1 // 0)

    assert {process.poll() is not None for process in started} == {True}


def test_a_process_that_ends_is_an_error_and_no_hang(folder, monkeypatch):
    """It is said, rather than counted as nothing."""
    monkeypatch.setattr(worker, "PROGRAM", "import sys; sys.exit()  # {path} {columns}")
    with pytest.raises(OSError, match=r"ended|Broken pipe"):
        loaded(folder, 2)


def test_a_block_that_looks_like_a_place_in_a_file_is_read_as_it_is(tmp_path):
    """What stands in a compressed file can't have another file read."""
    (tmp_path / "secret").write_bytes(LINES[0] + b"\n")
    told = json.dumps(Extent(str(tmp_path / "secret"), 0, len(LINES[0]))).encode()
    (tmp_path / "usage.jsonl.gz").write_bytes(gzip.compress(b"e\n" + told + b"\n"))

    assert loaded(tmp_path / "usage.jsonl.gz", 2)[0] == []


@pytest.mark.parametrize("reads", [blocks, parts])
def test_lines_that_are_too_long_are_left_out_and_said(tmp_path, monkeypatch, reads):
    """The ones before and behind are read, and no more is held than one may have."""
    monkeypatch.setattr(lines, "LONGEST", 20_000)
    monkeypatch.setattr(lines, "PIECE", 1000)
    path = tmp_path / "usage.jsonl"
    path.write_bytes(LINES[0] + b"\n" + b"x" * 100_000 + b"\n" + LINES[1] + b"\n")
    damaged = []
    found = [one if isinstance(one, bytes) else one.content() for one in reads(str(path), 5000, damaged.append)]

    assert [line for line in b"".join(found).split(b"\n") if line.startswith(b"{")] == LINES[:2]
    assert max(map(len, found)) <= 30_000
    assert damaged == [lines.TOO_LONG]


def test_what_is_compressed_a_thousandfold_takes_no_memory(tmp_path):
    """A bomb of zeros, by gzip and by zstd, is passed in blocks."""
    zeros = (b"0" * 1023 + b"\n") * 100_000
    for name, content in (("a.gz", gzip.compress(zeros)), ("b.zst", zstandard.ZstdCompressor(level=19).compress(zeros))):
        (tmp_path / name).write_bytes(content)
        sizes = [len(block) for block in blocks(str(tmp_path / name), 2**20, print)]

        assert sum(sizes) == len(zeros)
        assert max(sizes) < 50 * 2**20


@pytest.mark.parametrize("unit", [f"{START}:[", f"{START}:[[", "[", "{", '"', f"{START}:[1,1,1,1,1,1,1,", f"{START}x", "9" * 5000, "\\u0000", " "])
def test_cost_of_a_line_is_linear_whatever_stands_there(unit):
    """Twice the bytes take about twice the time, in what is nested, torn and begun anew."""

    def seconds(size):
        line = unit * (size // len(unit))
        start = time.process_time()
        for _ in objects_on(line, lambda _: None):
            pass
        return time.process_time() - start

    seconds(50_000)
    small, large = (min(seconds(size) for _ in range(3)) for size in (100_000, 800_000))

    assert large < 8 * 4 * small + 0.05


@pytest.mark.parametrize("text", ["123", "[1]", "null", '"x"', "{}", "[" * 100_000, '{"resourceSpans":[null]}', '{"resourceSpans":[{"scopeSpans":7}]}',
                                  '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"x"}]}]}]}', "NaN", "9" * 5000])  # fmt: skip
def test_reader_goes_on_behind_any_line(tmp_path, text):
    """Which is named, and costs itself alone; a bad value costs itself alone."""
    (tmp_path / "usage.jsonl").write_bytes(text.encode() + b"\n" + LINES[0].replace(b'"intValue":"', b'"intValue":"x', 1) + b"\n")
    damaged = []
    (record,) = read([str(tmp_path)], damaged=lambda _, what: damaged.append(what))

    assert (record.app, len(damaged)) == ("vllm", 1)


def test_reader_says_what_is_torn(tmp_path):
    """Of gzip and of zstd it takes what can be had."""
    text = b"\n".join(LINES) + b"\n"
    for name, content in (("usage-1.jsonl.gz", gzip.compress(text)), ("usage-2.jsonl.zst", zstandard.compress(text))):
        (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    damaged = []
    found = list(read([str(tmp_path)], damaged=lambda path, what: damaged.append((os.path.basename(path), what))))

    assert [one for one in damaged if "torn" in one[1]] == [(name, "the compressed file is torn") for name in ("usage-1.jsonl.gz", "usage-2.jsonl.zst")]
    assert 50 < len(found) < len(LINES)
