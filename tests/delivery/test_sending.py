"""One attempt sends a report to each destination and records the outcome."""

import threading

import pytest
from myengine_app import APP

from otel_usage.delivery import sending
from otel_usage.delivery.destination import Destination
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.local_file import record
from otel_usage.delivery.sending import assign, send
from otel_usage.facts.report import Report

HERE = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)
OPERATORS = Destination("otlp", "http://127.0.0.1:9/v1/traces", "http/protobuf", by_operator=True)
THERE = Destination("project", "https://stats.example.org/v1/traces", "otlp", by_operator=False)


@pytest.fixture
def report():
    """A report of the made-up app."""
    return Report(APP, {"quantization": "awq"})


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "OTEL_SDK_DISABLED"])
def test_nothing_is_written_or_sent_when_off(report, home, monkeypatch, variable):
    """Consent is asked right before each."""
    monkeypatch.setenv(variable, "true")
    monkeypatch.setattr(sending, "_attempt", lambda *_: pytest.fail("a send was attempted"))
    gate = Gate(APP, [HERE])

    assert (record(report, gate), send(report, HERE, gate).ok, list(home.iterdir())) == (False, False, [])


@pytest.mark.parametrize(("recorded", "kinds"), [(True, ["project", "otlp"]), (False, ["otlp"])])
def test_the_project_gets_only_what_its_operator_can_see(report, recorded, kinds):
    """The first destination gets the ids that are in the file; the other one has its own."""
    pairs = assign(report, Gate(APP, [HERE, OPERATORS]), recorded=recorded)

    assert [destination.kind for _, destination in pairs] == kinds
    assert [destination.kind for own, destination in pairs if own.facts["uuid"] == report.facts["uuid"]] == (["project"] if recorded else [])


def test_a_sender_that_hangs_is_left_behind(report, monkeypatch):
    """At the limit the outcome is `no answer`, which may be tried again."""
    release = threading.Event()
    monkeypatch.setattr(sending, "_attempt", lambda *_: release.wait(30))
    outcome = send(report, HERE, Gate(APP, [HERE]), limit=0.05)
    release.set()

    assert (outcome.ok, outcome.again, outcome.detail) == (False, True, "no answer")


def test_whatever_the_sdk_raises_costs_the_send_alone(report, monkeypatch):
    """A variable of the host can make it raise anything."""
    monkeypatch.setattr(sending, "_attempt", lambda *_: 1 // 0)
    outcome = send(report, HERE, Gate(APP, [HERE]))

    assert (outcome.ok, outcome.detail) == (False, "OpenTelemetry failed to load or to run (ZeroDivisionError)")
