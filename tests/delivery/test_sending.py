"""A report's way out: the file first, then each destination, consent before every step."""

import threading

import pytest
from myengine_app import APP

from otel_usage.delivery import sending
from otel_usage.delivery.destination import Destination
from otel_usage.delivery.sending import Gate, assign, last_delivery, local_file, send, write
from otel_usage.facts.report import Report

HERE = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)
OPERATORS = Destination("otlp", "http://127.0.0.1:9/v1/traces", "http/protobuf", by_operator=True)
THERE = Destination("project", "https://stats.example.org/v1/traces", "otlp", by_operator=False)


@pytest.fixture
def report():
    """A report of the made-up app."""
    return Report(APP, {"quantization": "awq"})


def test_the_line_is_written_and_told_to_be(report, home):
    """True once it is in the file."""
    written = write(report, Gate(APP, []))

    assert (written, (home / ".config/myengine/usage_stats.json").read_text()) == (True, report.line + "\n")


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "OTEL_SDK_DISABLED"])
def test_nothing_is_written_or_sent_when_off(report, home, monkeypatch, variable):
    """Consent is asked right before."""
    monkeypatch.setenv(variable, "true")
    monkeypatch.setattr(sending, "_attempt", lambda *_: pytest.fail("a send was attempted"))
    gate = Gate(APP, [HERE])

    assert (write(report, gate), send(report, HERE, gate).ok, list(home.iterdir())) == (False, False, [])


def test_without_a_directory_there_is_no_file(report, monkeypatch):
    """And no error."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr("otel_usage.consent._account_home", lambda: "")

    assert (local_file(APP), write(report, Gate(APP, [])), last_delivery(APP)) == (None, False, None)


def test_the_gate_knows_whether_everything_stays_on_this_machine():
    """In a test run that decides whether anything is sent."""
    gates = [Gate(APP, []), Gate(APP, [HERE]), Gate(APP, [HERE, THERE])]

    assert [(gate.loopback, gate.may_send(), gate.may_record()) for gate in gates] == [
        (False, False, True), (True, True, True), (False, False, True),
    ]  # fmt: skip


@pytest.mark.parametrize(("written", "kinds"), [(True, ["project", "otlp"]), (False, ["otlp"])])
def test_the_project_gets_only_what_its_operator_can_see(report, written, kinds):
    """The first destination has the ids that the file holds; the other has its own."""
    pairs = assign(report, Gate(APP, [HERE, OPERATORS]), written=written)

    assert [destination.kind for _, destination in pairs] == kinds
    assert [destination.kind for own, destination in pairs if own.facts["uuid"] == report.facts["uuid"]] == (["project"] if written else [])


def test_a_sender_that_hangs_is_left_behind(report, monkeypatch):
    """After the limit the answer is `no answer`, which may be tried again."""
    release = threading.Event()
    monkeypatch.setattr(sending, "_attempt", lambda *_: release.wait(30))
    outcome = send(report, HERE, Gate(APP, [HERE]), limit=0.05)
    release.set()

    assert (outcome.ok, outcome.again, outcome.detail) == (False, True, "no answer")


def test_whatever_the_sdk_raises_costs_the_send_alone(report, monkeypatch):
    """A host's variable can make it raise anything."""
    monkeypatch.setattr(sending, "_attempt", lambda *_: 1 // 0)
    outcome = send(report, HERE, Gate(APP, [HERE]))

    assert (outcome.ok, outcome.detail) == (False, "OpenTelemetry failed to load or to run (ZeroDivisionError)")


def test_a_ledger_that_can_not_be_written_costs_nothing(report, home):
    """The outcome is the same."""
    (home / ".config").touch()
    outcome = send(report, HERE, Gate(APP, [HERE]))

    assert (outcome.ok, outcome.detail, last_delivery(APP)) == (False, "connection refused", None)


def test_the_ledgers_newest_whole_entry_counts(report, home):
    """What is torn, or no entry at all, is passed over."""
    send(report, HERE, Gate(APP, [HERE]))
    with (home / ".config/myengine/usage_deliveries.json").open("a") as ledger:
        ledger.write('7\n{"torn": \n')

    assert last_delivery(APP)["detail"] == "connection refused"
