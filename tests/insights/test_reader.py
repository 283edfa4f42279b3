"""The files of a collector are read back: each report once, whatever became of the files."""

from __future__ import annotations

import gzip
import os
import sys

import pytest
import zstandard
from collector import Collector
from otlp import RUN, as_json, request

from otel_usage.facts import registry
from otel_usage.insights.lines import blocks, expanded
from otel_usage.insights.plain import Plain
from otel_usage.insights.reader import Record, read

ATTRIBUTES = list(registry.load("vllm").attributes.values())[:-1]  # all but service.name


def line(number):
    """Return a record as the file exporter writes it, without its end, and what it is when it is read."""
    made = request({"otel_usage.gpu.count": number, "vllm.config.enable_lora": False})
    span = made.resource_spans[0].scope_spans[0].spans[0]
    text = as_json(made).decode().replace('": ', '":').replace(', "', ',"')
    resource = {**RUN, "otel_usage.gpu.count": number, "vllm.config.enable_lora": False}
    return text, Record(
        "vllm", "otel_usage.report", span.start_time_unix_nano, span.trace_id.hex(), span.span_id.hex(),
        resource, {"otel_usage.context": "LLM_CLASS"},
    )  # fmt: skip


(ONE, FIRST), (TWO, SECOND), (THREE, THIRD) = map(line, (1, 2, 3))


def test_records_are_read_with_their_types(tmp_path):
    """Numbers and booleans are what they were, though JSON has them as text."""
    (tmp_path / "usage.jsonl").write_text(f"{ONE}\n{TWO}\n")

    assert list(read([str(tmp_path / "usage.jsonl")])) == [FIRST, SECOND]


def test_record_that_stands_in_several_files_is_returned_once(tmp_path):
    """Delivery is at least once."""
    (tmp_path / "usage-2026-11-01T00-00-00.000.jsonl").write_text(f"{ONE}\n{ONE}\n{TWO}\n")
    (tmp_path / "usage.jsonl").write_text(f"{TWO}\n{THREE}\n")

    assert list(read([str(tmp_path)])) == [FIRST, SECOND, THIRD]


def test_glued_records_are_all_read(tmp_path):
    """The exporter writes a record and its end in two steps, so a kill can leave two on one line."""
    (tmp_path / "usage.jsonl").write_text(f"{ONE}{TWO}\n\n{THREE}")

    assert list(read([str(tmp_path / "usage.jsonl")])) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("end", ["", "\n"], ids=["glued", "with its end"])
def test_torn_record_costs_itself_alone_wherever_it_is_torn(tmp_path, end):
    """Cut at each byte, and followed by whole records: these are read, nothing else is, and the damage is named."""
    path = tmp_path / "usage.jsonl"
    for cut in range(1, len(ONE)):
        path.write_text(f"{ONE[:cut]}{end}{TWO}\n{THREE}\n")
        damaged = {}

        assert list(read([str(path)], damaged=damaged.__setitem__)) == [SECOND, THIRD]
        assert damaged == {str(path): ONE[:cut][:80].strip()}


def test_bytes_that_are_no_text_cost_their_line_alone(tmp_path):
    """A disk can lose what it was given."""
    (tmp_path / "usage.jsonl").write_bytes(b"\0\xff\xfe" * 100 + b"\n" + f"{ONE}\n".encode())

    assert list(read([str(tmp_path)])) == [FIRST]


def test_compressed_files_are_read(tmp_path):
    """By gzip, or by zstd, as whoever moves rotated files away may do."""
    (tmp_path / "usage-1.jsonl.gz").write_bytes(gzip.compress(f"{ONE}\n".encode()))
    (tmp_path / "usage-2.jsonl.zst").write_bytes(zstandard.compress(f"{TWO}\n".encode()) + zstandard.compress(f"{THREE}\n".encode()))

    assert sorted(read([str(tmp_path)]), key=lambda one: one.resource["otel_usage.gpu.count"]) == [FIRST, SECOND, THIRD]


def test_directory_is_read_oldest_first_and_holds_nothing_else(tmp_path):
    """Files of another name are not ours; a name with a pattern's characters is a name."""
    folder = tmp_path / "da[t]a"
    folder.mkdir()
    for name, text, when in (("usage.jsonl", TWO, 2), ("usage-2026.jsonl", ONE, 1), ("notes.jsonl", THREE, 0)):
        (folder / name).write_text(f"{text}\n")
        os.utime(folder / name, (when, when))

    assert list(read([str(folder)])) == [FIRST, SECOND]


def test_missing_zstandard_is_said_in_one_line(tmp_path, monkeypatch):
    """What to install stands in the error."""
    (tmp_path / "usage.jsonl.zst").write_bytes(zstandard.compress(ONE.encode()))
    monkeypatch.setitem(sys.modules, "zstandard", None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'otel-usage\[insights\]'"):
        list(read([str(tmp_path)]))


def test_torn_frame_costs_itself_alone(tmp_path):
    """In the exporter's own compressed form, a kill leaves a frame that is cut; the ones behind it are found again."""
    frames = [zstandard.ZstdCompressor().compress(text.encode()) for text in (ONE, TWO, THREE)]
    whole = [len(frame).to_bytes(4, "big") + frame for frame in frames]
    for cut in range(9, len(whole[1])):
        (tmp_path / "usage.jsonl").write_bytes(whole[0] + whole[1][:cut] + whole[2])

        assert list(read([str(tmp_path / "usage.jsonl")])) == [FIRST, THIRD]


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_files_of_a_real_collector_are_read_back(tmp_path, start, compression):
    """Rotated, and compressed by the exporter."""
    overrides = ["exporters::file/usage::rotation::max_megabytes: 1", f"exporters::file/usage::compression: {compression}"]
    collector = start(Collector(tmp_path, overrides=overrides[: 1 + (compression == "zstd")], JAEGER_OTLP="127.0.0.1:9"))
    for first in range(0, 6000, 100):
        made = request(*({"vllm.config.max_model_len": count} for count in range(first, first + 100)))
        assert collector.behind(made) == 200
    collector.kill()

    records = list(read([str(collector.file.parent)]))
    plain = Plain(ATTRIBUTES)
    odd = [line for path in expanded([str(collector.file.parent)]) for block in blocks(path, 2**20, print) for line in plain.rows(block)[1]]

    assert len(list(collector.file.parent.iterdir())) > (compression == "none")  # what is compressed fits into one
    assert sorted(record.resource["vllm.config.max_model_len"] for record in records) == list(range(6000))
    assert odd == []  # `stats` need not parse what a collector writes
