"""The gate tells where reports go, and whether they may."""

from myengine_app import APP

from otel_usage import App
from otel_usage.delivery.destination import Destination
from otel_usage.delivery.gate import Gate

HERE = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)
THERE = Destination("project", "https://stats.example.org/v1/traces", "otlp", by_operator=False)


def test_the_gate_knows_whether_everything_stays_on_this_machine():
    """A test run sends only where it does."""
    gates = [Gate(APP, []), Gate(APP, [HERE]), Gate(APP, [HERE, THERE])]

    assert [(gate.loopback, gate.may_send(), gate.may_record()) for gate in gates] == [
        (False, False, True), (True, True, True), (False, False, True),
    ]  # fmt: skip


def test_the_directory_stays_the_one_that_was_asked_for_first(home, monkeypatch):
    """A host that changes HOME later does not split the files of a run between two directories."""
    gate = Gate(APP, [])
    first = gate.directory
    monkeypatch.setenv("HOME", "/nonexistent")

    assert (first, gate.directory) == (str(home / ".config/myengine"),) * 2


def test_the_gate_heeds_the_default_of_the_app():
    """Nothing leaves where the app's default is local, even to this machine; the file is written."""
    gates = [Gate(App("myengine", default=default), [HERE]) for default in ("on", "local")]

    assert [(gate.decide().mode, gate.may_send(), gate.may_record()) for gate in gates] == [
        ("on", True, True), ("local", False, True),
    ]  # fmt: skip
