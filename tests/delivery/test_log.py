"""The delivery log keeps the outcome of each attempt."""

import pytest
from myengine_app import APP

from otel_usage.delivery.destination import Destination
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.log import last_delivery, note
from otel_usage.delivery.sending import send
from otel_usage.facts.report import Report

HERE = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)


@pytest.fixture
def report():
    """A report of the made-up app."""
    return Report(APP, {"quantization": "awq"})


def test_a_log_that_can_not_be_written_costs_nothing(report, home):
    """The outcome of the send stays the same."""
    (home / ".config").touch()
    gate = Gate(APP, [HERE])
    outcome = send(report, HERE, gate)

    assert (outcome.ok, outcome.detail, last_delivery(gate.directory)) == (False, "connection refused", None)


def test_the_newest_whole_entry_counts(report, home):
    """A torn line and a line that is no entry are skipped."""
    send(report, HERE, Gate(APP, [HERE]))
    with (home / ".config/myengine/usage_deliveries.json").open("a") as log:
        log.write('7\n{"torn": \n')

    assert last_delivery(str(home / ".config/myengine"))["detail"] == "connection refused"


def test_without_a_directory_nothing_is_logged(tmp_path, monkeypatch):
    """No file is made in the current directory instead."""
    monkeypatch.chdir(tmp_path)
    note(None, HERE, Outcome("accepted", ok=True))

    assert list(tmp_path.rglob("usage*")) == []
