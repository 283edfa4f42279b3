"""The local file gets the line of each report, or nothing."""

import pytest
from myengine_app import APP

from otel_usage.delivery.gate import Gate
from otel_usage.delivery.local_file import local_file, record
from otel_usage.delivery.log import last_delivery
from otel_usage.facts.report import Report


@pytest.fixture
def report():
    """A report of the made-up app."""
    return Report(APP, {"quantization": "awq"})


def test_the_line_is_written_and_told_to_be(report, home):
    """`record` returns True once the line is in the file."""
    recorded = record(report, Gate(APP, []))

    assert (recorded, (home / ".config/myengine/usage_stats.json").read_text()) == (True, report.line + "\n")


def test_without_a_directory_there_is_no_file(report, monkeypatch):
    """Nothing raises."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr("otel_usage.consent._account_home", lambda: "")
    gate = Gate(APP, [])

    assert (local_file(gate.directory), record(report, gate), last_delivery(gate.directory)) == (None, False, None)
