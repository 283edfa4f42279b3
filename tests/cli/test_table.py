"""`facts`: everything that may be collected, and why."""

import json
import re

import pytest
from myengine_app import APP as MYENGINE

from otel_usage.cli import common
from otel_usage.integrations.vllm import APP as VLLM

APPS = {"vllm": VLLM, "myengine": MYENGINE}


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", APPS)
def test_json_has_every_fact_with_all_that_is_declared(command, name):
    """In the order of the file."""
    status, out, _ = command("--app", name, "facts", "--format", "json")
    rows = json.loads(out)

    assert (status, [row["key"] for row in rows]) == (0, list(APPS[name].facts_by_key))
    assert next(row for row in rows if row["key"] == "total_memory") == {
        "key": "total_memory", "in_file": True, "on": "report", "since": None, "deprecated": None,
        "why": "how much host memory offloading may count on",
        "attributes": [{"name": "otel_usage.memory.limit", "place": "resource", "type": "int", "unit": "By", "step": 2**30,
                        "minimum": 0, "maximum": 2**47, "values": None, "pattern": None, "open": None}],
    }  # fmt: skip


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", APPS)
def test_markdown_has_a_row_a_fact(command, name):
    """With the same number of cells in each."""
    _, out, _ = command("--app", name, "facts", "--format", "markdown")
    rows = out.splitlines()

    assert len(rows) == len(APPS[name].facts_by_key) + 2
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {7}


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", APPS)
def test_people_get_a_table_of_every_attribute(command, name):
    """Below each fact, which says why; in the order of the file."""
    status, out, _ = command("--app", name, "facts")
    rows = [[cell.rstrip() for cell in text[2:].split(" │")[:2]] for text in out.splitlines() if text.startswith("│")]
    expected = [
        row
        for fact in APPS[name].facts_by_key.values()
        for row in [fact.key if fact.in_file else "(OTLP only)", *(f"  {a.name}" for a in APPS[name].attributes_of[fact.key])]
    ]

    assert (status, [first for first, _ in rows if first]) == (0, expected)
    assert ["total_memory", " how much host memory offloading may count on"] in rows
    assert ["  otel_usage.memory.limit", " int, By; 0 to 131072 GiB, in steps of 1 GiB"] in rows
    assert out.splitlines()[-1] == "Every value and pattern: otel-usage facts --format json"


def test_a_narrow_terminal_cuts_nothing(command, monkeypatch):
    """What is too wide is folded."""
    monkeypatch.setattr(common, "WIDE", 60)
    _, out, _ = command("facts")
    (first, second) = zip(*([cell.strip() for cell in text.split("│")[1:3]] for text in out.splitlines() if text.startswith("│")), strict=True)

    assert "vllm.env.VLLM_ENABLE_V1_MULTIPROCESSING" in "".join(first)
    assert "which models and batch sizes fit" in " ".join(second)
    assert "…" not in out


def test_what_is_allowed_is_said_in_words(command, made_up_app):
    """A closed set, a pattern, free text with its reason, bounds and steps."""
    _, out, _ = command("--app", "myengine", "facts", "--format", "markdown")
    allowed = {row.split("`")[1]: re.split(r"(?<!\\)\|", row)[4].strip() for row in out.splitlines()[2:] if row.startswith("| `")}

    assert {key: allowed[key] for key in ("quantization", "scheduler", "batch", "cache_share", "note", "eager")} == {
        "quantization": "awq, gptq",
        "scheduler": "matches `[A-Za-z0-9_.+-]{1,64}`",
        "batch": "-1 to 1000000000, in steps of 8",
        "cache_share": "-1000000000 to 1000000000, in steps of 0.01",
        "note": "free text: operators name their own site",
        "eager": "",
    }
