"""The house: which room may know which, and that each fact is named once."""

import re
import subprocess
import sys
from pathlib import Path

from otel_usage import apps
from otel_usage.table import HARDWARE, UPTIME

PACKAGE = Path(__file__).parents[1] / "otel_usage"
SOURCES = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def test_imports_flow_one_way():
    """The import contract of pyproject.toml holds."""
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=PACKAGE.parent,
                          capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_each_attribute_of_the_built_in_table_is_named_in_one_place():
    """One fact, one row: its attribute's name stands in the table and nowhere else."""
    names = {a.name for fact in (*HARDWARE, UPTIME) for a in fact.attributes("x")}
    places = {name: [p.name for p, text in SOURCES.items() if f'"{name}"' in text] for name in names}

    assert places == {name: ["table.py"] for name in names}


def test_each_detected_fact_has_one_detector():
    """A key is yielded by one file of `detect/`."""
    yielded = [key for path, text in SOURCES.items() if path.parent.name == "detect"
               for key in set(re.findall(r'yield "(\w+)"', text))]  # fmt: skip
    detected = {fact.key for fact in HARDWARE} - {"uuid", "detect_failed", "detect_unfinished"}

    assert sorted(set(yielded)) == sorted(yielded)
    assert set(yielded) <= detected


def test_only_the_pipeline_makes_a_tracer_and_nobody_a_provider():
    """One place assembles; a provider would leave a hook behind at every fork of the host."""
    made = re.compile(r"\b(Tracer|TracerProvider)\(\n?")

    assert {path.name: made.findall(text) for path, text in SOURCES.items() if made.search(text)} == {"pipeline.py": ["Tracer"]}


def test_nothing_private_of_opentelemetry_is_used():
    """No name of theirs that begins with an underscore."""
    private = re.compile(r"from opentelemetry\S* import [^\n]*\b_\w+|import opentelemetry\S*\._|opentelemetry(\.\w+)*\._\w+")

    assert [path.name for path, text in SOURCES.items() if private.search(text)] == []


def test_the_installed_app_of_this_package_is_vllm():
    """The core knows none; the entry point names it."""
    assert apps.load("vllm").name == "vllm"
