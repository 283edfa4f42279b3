"""`facts`: everything that may be collected, and why."""

import json
import re

import pytest
from myengine_app import APP as MYENGINE

from otel_usage.integrations.vllm import APP as VLLM

APPS = {"vllm": VLLM, "myengine": MYENGINE}


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", APPS)
def test_json_has_every_fact_with_all_that_is_declared(command, name):
    """In the order of the file."""
    status, out, _ = command("--app", name, "facts", "--format", "json")
    rows = json.loads(out)

    assert (status, [row["key"] for row in rows]) == (0, list(APPS[name].rows))
    assert next(row for row in rows if row["key"] == "total_memory") == {
        "key": "total_memory", "in_file": True, "on": "report", "since": None, "deprecated": None,
        "why": "how much host memory offloading may count on",
        "attributes": [{"name": "otel_usage.memory.limit", "place": "resource", "type": "int", "unit": "By", "step": 2**30,
                        "values": None, "pattern": None, "open": None}],
    }  # fmt: skip


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", APPS)
def test_markdown_has_a_row_a_fact(command, name):
    """With the same number of cells in each."""
    _, out, _ = command("--app", name, "facts", "--format", "markdown")
    rows = out.splitlines()

    assert len(rows) == len(APPS[name].rows) + 2
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {7}


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", APPS)
def test_people_get_a_table_of_every_attribute(command, name):
    """With what it may hold, and why."""
    status, out, _ = command("--app", name, "facts")

    assert status == 0
    assert [attribute for attribute in APPS[name].attributes if attribute not in out and attribute != "service.name"] == []


def test_what_is_allowed_is_said_in_words(command, made_up_app):
    """A closed set, a pattern, free text with its reason, steps."""
    _, out, _ = command("--app", "myengine", "facts", "--format", "markdown")
    allowed = {row.split("`")[1]: re.split(r"(?<!\\)\|", row)[4].strip() for row in out.splitlines()[2:] if row.startswith("| `")}

    assert {key: allowed[key] for key in ("quantization", "scheduler", "batch", "note", "eager")} == {
        "quantization": "awq, gptq",
        "scheduler": "matches `[A-Za-z0-9_.+-]{1,64}`",
        "batch": "steps of 8",
        "note": "free text: operators name their own site",
        "eager": "",
    }
