"""The notice is given once on a machine, before anything is sent."""

import io
import logging
import os
import subprocess
import sys

import pytest

from otel_usage import App, UsageReporter
from otel_usage.delivery.destination import resolve
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.facts.report import Report


@pytest.fixture
def report(receiver, monkeypatch):
    """Report to the receiver in a run of its own, and return what `flush` returns."""

    def run(**more):
        monkeypatch.delenv("MYENGINE_USAGE_RUN", raising=False)
        usage = UsageReporter("myengine", endpoint=receiver.url, **more)
        usage.report()
        return usage.flush(10)

    return run


def text(url):
    """Return the whole notice of the made-up app."""
    return (
        "myengine reports its version, the settings that it declares and this machine's hardware to "
        f"{url}/v1/traces, each run under a random id of its own: see all of it with `otel-usage --app myengine preview`, "
        "stop it with DO_NOT_TRACK=1 or `otel-usage --app myengine off`"
    )


@pytest.fixture
def shown(caplog):
    """Have the log show level INFO."""
    caplog.set_level(logging.INFO, "otel_usage")
    return caplog


def test_the_first_report_that_leaves_is_announced_once_on_a_machine(report, receiver, home, shown):
    """One line at level INFO, which names the destination and the cure; and it is recorded."""
    results = [report(), report()]

    assert (results, len(receiver.received)) == ([True, True], 2)
    assert shown.record_tuples == [("otel_usage", logging.INFO, text(receiver.url))]
    assert os.stat(home / ".config/myengine/usage_notice").st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("shown")
def test_before_send_the_first_run_stays_local(report, receiver, lines):
    """It writes its line; only later runs send."""
    first = report(notice="before-send"), len(receiver.received)
    second = report(notice="before-send"), len(receiver.received)

    assert (first, second) == ((True, 0), (True, 1))
    assert len(lines()) == 2


@pytest.mark.usefixtures("shown")
def test_before_send_the_first_run_sends_nothing_that_waits_either(report, receiver):
    """A report that already waited is sent by the second run, flushed or not."""
    app = App("myengine", endpoint=receiver.url)
    gate = Gate(app, resolve(app, endpoint=receiver.url))
    left = PendingReport(Report(app, {}), gate.destinations[0], gate)
    left.keep()
    left.leave()
    first = report(notice="before-send"), len(receiver.received)
    second = report(notice="before-send"), len(receiver.received)

    assert (first, second) == ((True, 0), (True, 2))


@pytest.mark.usefixtures("shown")
def test_before_send_a_second_report_of_the_first_run_does_not_leave_either(receiver, lines):
    """It is kept back although the notice was given by then."""
    usage = UsageReporter("myengine", endpoint=receiver.url, notice="before-send")
    usage.report()
    usage.report(force=True)
    flushed = usage.flush(10)

    assert flushed is True
    assert (receiver.received, len(lines())) == ([], 2)


def test_before_send_nothing_leaves_where_it_can_not_be_recorded(report, receiver, home, caplog):
    """Each run gives the notice again to the adopter's own logger."""
    (home / ".config").touch()
    caplog.set_level(logging.INFO, "mine")
    for _ in range(2):
        report(notice="before-send", logger=logging.getLogger("mine"))

    assert (receiver.received, [name for name, _, _ in caplog.record_tuples]) == ([], ["mine", "mine"])


UNSEEN = (
    "not sent: nobody could see the notice, since the program's log does not show level INFO; once a run has shown it, "
    "later ones send"
)
WAYS = {
    "its level is above": lambda log, m: m.setattr(log, "level", logging.WARNING),
    "it is disabled": lambda log, m: m.setattr(log, "disabled", True),
    "all logging is": lambda _, m: m.setattr(logging.root.manager, "disable", logging.CRITICAL),
    "no handler takes it": lambda log, m: (m.setattr(log, "propagate", False), m.setattr(log, "handlers", [])),
    "its handler throws it away": lambda log, m: (m.setattr(log, "propagate", False), m.setattr(log, "handlers", [logging.NullHandler()])),
    "its handler takes warnings": lambda log, m: (m.setattr(log, "propagate", False), m.setattr(log, "handlers", [logging.StreamHandler()]),
                                                  log.handlers[0].setLevel(logging.WARNING)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_notice_that_nobody_could_see_does_not_count(report, receiver, home, monkeypatch, way):
    """So under before-send nothing leaves, however many runs there are; without, the run sends as ever."""
    log = logging.getLogger(f"mine, where {way}")  # a logger remembers what it was once asked
    monkeypatch.setattr(log, "level", logging.INFO)
    WAYS[way](log, monkeypatch)
    held = [report(notice="before-send", logger=log) for _ in range(2)], len(receiver.received)
    sent = report(logger=log), len(receiver.received)

    assert (held, sent) == (([True, True], 0), (True, 1))
    assert not (home / ".config/myengine/usage_notice").exists()


def test_the_same_log_that_shows_it_counts(report, receiver, monkeypatch):
    """Else the test above would hold nothing: by a handler of a parent's, below its level."""
    log = logging.getLogger("mine.below")
    monkeypatch.setattr(logging.getLogger("mine"), "level", logging.INFO)
    monkeypatch.setattr(logging.getLogger("mine"), "handlers", [logging.StreamHandler(io.StringIO())])
    monkeypatch.setattr(logging.getLogger("mine"), "propagate", False)
    results = [report(notice="before-send", logger=log) for _ in range(2)]

    assert (results, len(receiver.received)) == ([True, True], 1)


@pytest.mark.parametrize(
    ("logs", "said"),
    [(False, UNSEEN), (True, "not sent: this run gave the notice; later ones send")],
)
def test_status_says_why_nothing_leaves(run_python, receiver, home, logs, said):
    """In a program without logging, as most are, and in one with; nothing is printed but by the log itself."""
    done = run_python(f"""
        import logging
        from otel_usage import UsageReporter
        if {logs}:
            logging.basicConfig(level="INFO", filename="log")
        usage = UsageReporter("myengine", endpoint={receiver.url!r}, notice="before-send")
        usage.report()
        print(usage.flush(10))
    """)  # fmt: skip
    status = subprocess.run([sys.executable, "-m", "otel_usage", "--app", "myengine", "status"], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr, receiver.received) == ("True\n", "", [])
    assert status.stdout.partition("last delivery  ")[2].splitlines()[0].partition(" to ")[2] == f"{receiver.url}/v1/traces: {said}"


def test_a_program_that_shows_the_text_itself_has_given_it(report, receiver, home, monkeypatch):
    """The run that takes the text sends nothing yet, the next one does, and has no more to show."""
    first = UsageReporter("myengine", endpoint=receiver.url, notice="before-send")
    taken = [first.notice(), first.notice()]
    first.report()
    flushed = first.flush(10), len(receiver.received)
    second = UsageReporter("myengine", endpoint=receiver.url, notice="before-send")
    monkeypatch.delenv("MYENGINE_USAGE_RUN")
    again = second.notice()
    second.report()

    assert (taken, flushed) == ([text(receiver.url)] * 2, (True, 0))
    assert (again, second.flush(10), len(receiver.received)) == ("", True, 1)
    assert os.stat(home / ".config/myengine/usage_notice").st_mode & 0o777 == 0o600


def test_the_text_is_empty_where_nothing_leaves(receiver, home, monkeypatch):
    """When off, in mode local and without a destination; and that counts as no notice."""
    usage = UsageReporter("myengine", endpoint=receiver.url)
    found = [UsageReporter("myengine").notice()]
    for name, value in {"OTEL_USAGE_EXPORTER": "none", "DO_NOT_TRACK": "1"}.items():
        monkeypatch.setenv(name, value)
        found.append(usage.notice())

    assert (found, list(home.iterdir())) == (["", "", ""], [])


def test_in_a_test_run_the_text_is_there_and_counts_for_nothing(home):
    """So that adopters can test that they show it, on a machine of their own."""
    usage = UsageReporter("myengine", endpoint="https://stats.example.org")

    assert (usage.notice(), list(home.iterdir())) == (text("https://stats.example.org"), [])


@pytest.mark.parametrize("environment", [{"OTEL_USAGE_EXPORTER": "none"}, {"DO_NOT_TRACK": "1"}])
def test_where_nothing_leaves_there_is_no_notice(report, home, caplog, monkeypatch, environment):
    """This holds in local mode and when off."""
    caplog.set_level(logging.INFO)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    report()

    assert caplog.records == []
    assert not (home / ".config/myengine/usage_notice").exists()


def test_nothing_of_the_notice_reaches_the_terminal_by_default(run_python, receiver):
    """The default log level shows no INFO."""
    done = run_python(f"""
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", endpoint={receiver.url!r})
        usage.report()
        print(usage.flush(10))
    """)  # fmt: skip

    assert (done.stdout, done.stderr) == ("True\n", "")


def test_another_word_for_the_notice_is_refused():
    """The declaration raises an error."""
    with pytest.raises(ValueError, match='notice= must be "before-send" or None'):
        UsageReporter("myengine", notice="never")
