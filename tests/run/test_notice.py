"""The notice: once on a machine, before anything leaves it."""

import logging
import os

import pytest

from otel_usage import App, UsageReporter
from otel_usage.delivery.destination import resolve
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.facts.report import Report


@pytest.fixture
def report(receiver, monkeypatch):
    """Report in a run of its own to the receiver, and return whether it was taken, or need not be."""

    def run(**more):
        monkeypatch.delenv("MYENGINE_USAGE_RUN", raising=False)
        usage = UsageReporter("myengine", endpoint=receiver.url, **more)
        usage.report()
        return usage.flush(10)

    return run


def test_the_first_report_that_leaves_is_announced_once_on_a_machine(report, receiver, home, caplog):
    """One line at level INFO, which names the destination and the cure; and it is recorded."""
    caplog.set_level(logging.INFO, "otel_usage")
    results = [report(), report()]

    said = (
        f"myengine reports anonymous usage to {receiver.url}/v1/traces: see it with `otel-usage --app myengine preview`, "
        "stop it with DO_NOT_TRACK=1 or `otel-usage --app myengine off`"
    )

    assert (results, len(receiver.received)) == ([True, True], 2)
    assert caplog.record_tuples == [("otel_usage", logging.INFO, said)]
    assert os.stat(home / ".config/myengine/usage_notice").st_mode & 0o777 == 0o600


def test_before_send_the_first_run_stays_local(report, receiver, lines):
    """Its line is written; only later runs send."""
    first = report(notice="before-send"), len(receiver.received)
    second = report(notice="before-send"), len(receiver.received)

    assert (first, second) == ((True, 0), (True, 1))
    assert len(lines()) == 2


def test_before_send_the_first_run_sends_nothing_that_waits_either(report, receiver):
    """What was left before, by hand for instance, goes out with the second run, flushed or not."""
    app = App("myengine", endpoint=receiver.url)
    gate = Gate(app, resolve(app, endpoint=receiver.url))
    left = PendingReport(Report(app, {}), gate.destinations[0], gate)
    left.keep()
    left.leave()
    first = report(notice="before-send"), len(receiver.received)
    second = report(notice="before-send"), len(receiver.received)

    assert (first, second) == ((True, 0), (True, 2))


def test_before_send_a_second_report_of_the_first_run_does_not_leave_either(receiver, lines):
    """Though the notice has been given by then."""
    usage = UsageReporter("myengine", endpoint=receiver.url, notice="before-send")
    usage.report()
    usage.report(force=True)
    flushed = usage.flush(10)

    assert flushed is True
    assert (receiver.received, len(lines())) == ([], 2)


def test_before_send_nothing_leaves_where_it_can_not_be_recorded(report, receiver, home, caplog):
    """The notice is given again each time, to the adopter's own logger."""
    (home / ".config").touch()
    caplog.set_level(logging.INFO, "mine")
    for _ in range(2):
        report(notice="before-send", logger=logging.getLogger("mine"))

    assert (receiver.received, [name for name, _, _ in caplog.record_tuples]) == ([], ["mine", "mine"])


@pytest.mark.parametrize("environment", [{"OTEL_USAGE_EXPORTER": "none"}, {"DO_NOT_TRACK": "1"}])
def test_where_nothing_leaves_there_is_no_notice(report, home, caplog, monkeypatch, environment):
    """Neither in local mode nor when off."""
    caplog.set_level(logging.INFO)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    report()

    assert caplog.records == []
    assert not (home / ".config/myengine/usage_notice").exists()


def test_nothing_of_it_reaches_the_terminal_by_default(run_python, receiver):
    """At default log levels there is no line."""
    done = run_python(f"""
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", endpoint={receiver.url!r})
        usage.report()
        print(usage.flush(10))
    """)  # fmt: skip

    assert (done.stdout, done.stderr) == ("True\n", "")


def test_another_word_is_refused():
    """When it is declared."""
    with pytest.raises(ValueError, match='notice= must be "before-send" or None'):
        UsageReporter("myengine", notice="never")
