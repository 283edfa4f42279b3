"""A run sends its report, its heartbeats and the reports of earlier runs, on a clock that the test moves."""

import os
import threading

import pytest
from myengine_app import APP

from otel_usage.delivery import pending_report
from otel_usage.delivery.destination import Destination
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.outbox import waiting
from otel_usage.delivery.pending_report import PendingReport
from otel_usage.facts.builtin import HEARTBEAT
from otel_usage.facts.report import Report
from otel_usage.run import job as job_module
from otel_usage.run import run as run_module
from otel_usage.run.job import Job
from otel_usage.run.run import Run

HERE = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)
BOUNDS = {"lowest": lambda low, high: low, "middle": lambda low, high: (low + high) / 2, "highest": lambda low, high: high}
TAKEN, AWAY, BUSY = Outcome("taken", ok=True), Outcome("no answer"), Outcome("busy", after=6000)
DAY = 86_400


class WorkerByHand:
    """A worker that runs tasks on the caller's thread: those for now at once, the others when the test moves its clock.

    alive: whether it has a thread; without one it keeps all tasks until `run_here`.
    """

    def __init__(self):
        self.now, self.alive, self._due, self._stopped, self._running = 0.0, True, [], False, False

    def soon(self, task):
        """Append a task to those that are due."""
        self._due.append((self.now, task))
        if self.alive:
            self.run_here()

    def later(self, seconds, task):
        """Keep a task until the clock reaches its time."""
        if not self._stopped:
            self._due.append((self.now + seconds, task))

    def stop(self):
        """Drop every task that is not due."""
        self._stopped = True
        self._due = [(due, task) for due, task in self._due if due <= self.now]

    def run_here(self):
        """Run every task that is due."""
        if not self._running:
            self._running = True
            while due := [item for item in self._due if item[0] <= self.now]:
                self._due.remove(due[0])
                due[0][1]()
            self._running = False

    def move(self, seconds):
        """Move the clock, and run each task at its own time."""
        end = self.now + seconds
        while self._due and min(due for due, _ in self._due) <= end:
            self.now = max(self.now, min(due for due, _ in self._due))
            self.run_here()
        self.now = end

    @property
    def planned(self):
        """The seconds until each task, in order."""
        return sorted(due - self.now for due, _ in self._due)


@pytest.fixture
def worker():
    """A worker whose clock the test moves."""
    return WorkerByHand()


@pytest.fixture(autouse=True)
def bound(monkeypatch):
    """Every random draw is the middle of its range, unless a test chooses another place."""

    def choose(name):
        for module in (job_module, run_module):
            monkeypatch.setattr(module, "jitter", BOUNDS[name])

    choose("middle")
    monkeypatch.setattr("otel_usage.detect.Detection", lambda known: Nothing())
    return choose


class Nothing:
    """Detectors that find nothing."""

    def facts(self):
        """Return none."""
        return {}

    def hurry(self):
        """Do nothing."""


@pytest.fixture
def sent(monkeypatch, worker):
    """The time and fact `batch` of each report that was sent; the server gives `answers` in order, then `answer` for good."""

    class Sent(list):
        answers, answer = iter(()), TAKEN

        def send(self, report, destination, gate, **_):
            beat = report.name == HEARTBEAT
            self.append((worker.now, ("heartbeat", report.facts.get("requests")) if beat else report.facts["batch"]))
            return next(self.answers, self.answer)

    found = Sent()
    monkeypatch.setattr(pending_report, "send", found.send)
    return found


@pytest.fixture
def errors():
    """The exceptions of the exit handler."""
    return []


@pytest.fixture
def run(worker, errors):
    """A run without heartbeats."""
    return Run(0, worker, errors.append)


@pytest.fixture
def left(home):
    """Read which reports are left in the outbox."""
    return lambda: len(waiting(str(home / ".config" / "myengine")))


def job(batch=0, *destinations, **more):
    """Return a job of the made-up app whose fact `batch` tells its report from others."""
    given = {"batch": batch, "quantization": "awq"}
    asks = {"picked": lambda gate: True, "may_leave": lambda gate: True, **more}
    return Job(given, Gate(APP, destinations or (HERE,)), **asks)


def leave_earlier(count):
    """Leave that many reports of earlier runs in the outbox: 1, 2, 3, ..., the oldest first."""
    for number in range(1, count + 1):
        made = PendingReport(Report(APP, {"batch": number}), HERE, Gate(APP, (HERE,)))
        made.keep()
        made.leave()


@pytest.mark.parametrize(("waits", "go_out"), [(0, 0), (1, 1), (3, 3), (4, 4), (5, 4), (20, 4)])
def test_the_oldest_four_reports_that_earlier_runs_left_are_sent(run, worker, sent, left, waits, go_out):
    """Each is sent once after the run's own report, however long the run lives; the others wait for later runs."""
    leave_earlier(waits)
    run.add(job())
    worker.move(30 * DAY)

    assert [number for _, number in sent] == [0, *range(1, go_out + 1)]
    assert left() == waits - go_out


@pytest.mark.parametrize(("name", "seconds"), [("lowest", 10), ("middle", 305), ("highest", 600)])
def test_reports_of_earlier_runs_are_sent_after_ten_seconds_to_ten_minutes(run, worker, sent, bound, name, seconds):
    """The times are spread, so that many processes that start together do not flood a server."""
    bound(name)
    leave_earlier(2)
    run.add(job())
    worker.move(DAY)

    assert sent == [(0, 0), (seconds, 1), (seconds, 2)]


def test_each_report_of_an_earlier_run_has_a_time_of_its_own(run, worker, sent, monkeypatch):
    """No two are sent one right after the other."""
    times = iter([400, 20, 500])
    monkeypatch.setattr(run_module, "jitter", lambda low, high: next(times))
    leave_earlier(3)
    run.add(job())
    worker.move(DAY)

    assert sent == [(0, 0), (20, 2), (400, 1), (500, 3)]


def test_an_earlier_report_that_is_not_taken_waits_for_the_next_run(run, worker, sent, left):
    """A run tries the report of an earlier run once."""
    leave_earlier(2)
    run.add(job())
    sent.answer = AWAY
    worker.move(30 * DAY)

    assert sent == [(0, 0), (305, 1), (305, 2)]
    assert left() == 2


def test_a_second_report_of_a_run_sends_no_earlier_report_again(run, worker, sent):
    """The bound of four is for a run and not for a report."""
    leave_earlier(6)
    run.add(job())
    worker.move(DAY)
    run.add(job(99))
    worker.move(DAY)

    assert [number for _, number in sent] == [0, 1, 2, 3, 4, 99]


@pytest.mark.parametrize("why", ["not picked", "nothing leaves"])
def test_a_run_that_sends_nothing_of_its_own_sends_nothing_of_others(run, worker, sent, left, why):
    """Neither a plan nor a flush sends them: another process of the run does, or a run after the notice."""
    leave_earlier(2)
    run.add(job(picked=lambda gate: why != "not picked", may_leave=lambda gate: why != "nothing leaves"))
    worker.move(DAY)
    flushed = run.flush(1)

    assert flushed is True
    assert (sent, left(), worker.planned) == ([], 2, [])


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        ([TAKEN], [0]),
        ([AWAY, TAKEN], [0, 30]),
        ([AWAY] * 9 + [TAKEN], [0, 30, 90, 210, 450, 930, 1890, 3810, 7410, 11010]),
        ([BUSY, AWAY, BUSY, TAKEN], [0, 6000, 6060, 12060]),
        ([AWAY, Outcome("refused", again=False)], [0, 30]),
    ],
    ids=["taken", "taken later", "away for long", "asks to wait", "refused"],
)
def test_a_report_goes_out_by_the_back_off_until_it_is_taken_or_refused(run, worker, sent, left, answers, times):
    """Its own entry is not taken for an earlier run's, which would be sent sooner."""
    sent.answers, sent.answer = iter(answers), None
    run.add(job())
    worker.move(30 * DAY)

    assert sent == [(time, 0) for time in times]
    assert (left(), worker.planned) == (0, [])


def test_two_reports_of_a_run_are_each_sent_until_they_are_taken(run, worker, sent):
    """The second, forced report neither hurries nor ends the first."""
    sent.answers = iter([AWAY, AWAY])
    run.add(job(1))
    worker.move(20)
    run.add(job(2))
    worker.move(DAY)

    assert sent == [(0, 1), (20, 2), (30, 1), (50, 2)]


@pytest.mark.parametrize("flushes", [1, 5])
def test_flushing_sends_at_once_and_the_back_off_goes_on_from_there(run, worker, sent, flushes):
    """After any number of flushes one more attempt follows, after the pause for that many attempts."""
    sent.answer = AWAY
    run.add(job())
    flushed = [run.flush(0) for _ in range(flushes)]
    at_once = len(sent)
    planned = len(worker.planned)
    worker.move(30 * 2**flushes)

    assert flushed == [False] * flushes
    assert (at_once, planned) == (1 + flushes, 1 + flushes)
    assert [time for time, _ in sent[at_once:]] == [30 * 2**flushes]


def test_flushing_sends_all_that_earlier_runs_left_each_once(run, worker, sent, left):
    """All of them are sent, whatever was planned; a report of this run that waits is sent once as well."""
    leave_earlier(6)
    sent.answers = iter([AWAY])
    run.add(job())
    flushed = run.flush(1)
    worker.move(30 * DAY)

    assert flushed is True
    assert sent == [(0, number) for number in (0, 0, 1, 2, 3, 4, 5, 6)]
    assert left() == 0


def test_flushing_tries_what_this_run_could_not_send_once(run, worker, sent, left):
    """Its entry in the outbox gets no second attempt, and the flush returns False."""
    sent.answer = AWAY
    run.add(job(1))
    run.add(job(2))
    flushed = run.flush(1)

    assert flushed is False
    assert [number for _, number in sent] == [1, 2, 1, 2]
    assert left() == 2


def test_flushing_hurries_no_report_that_has_not_had_its_turn(run, worker, sent):
    """Such a report is due anyway, and is sent once."""
    sent.answer = AWAY
    worker.alive = False
    run.add(job())
    flushed = run.flush(0)
    worker.alive = True
    worker.run_here()

    assert flushed is False
    assert sent == [(0, 0)]


def test_flushing_tells_whether_every_report_is_done(run, sent):
    """One accepted report does not make up for another that is not."""
    sent.answers, sent.answer = iter([AWAY, TAKEN, AWAY]), TAKEN
    run.add(job(1))
    run.add(job(2))

    assert [run.flush(1), run.flush(1)] == [False, True]


def test_without_a_report_there_is_nothing_to_flush(run, worker, sent, left):
    """The reports of earlier runs are not sent by this one."""
    leave_earlier(1)
    flushed = run.flush(1)

    assert flushed is True
    assert (sent, left(), run.is_new) == ([], 1, True)


def test_flushing_waits_no_longer_than_it_is_told(run, worker, sent, monkeypatch):
    """The time-out is for all reports and for the reports of earlier runs together."""
    clock = [0.0]
    waited = []

    class Never(threading.Event):
        def wait(self, timeout=None):
            waited.append(timeout)
            clock[0] += 2
            return False

    monkeypatch.setattr(run_module, "now", lambda: clock[0])
    worker.alive = False
    for number in (1, 2):
        made = job(number)
        made.attempted = Never()
        run.add(made)
    monkeypatch.setattr("threading.Event", Never)
    flushed = [run.flush(5), run.flush(1)]

    assert flushed == [False, False]
    assert waited == [5, 3, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("interval", "name", "times"),
    [(600, "lowest", [540, 1080, 1620]), (600, "middle", [600, 1200, 1800]), (600, "highest", [660, 1320, 1980]), (0.5, "middle", [0.5, 1, 1.5])],
)
def test_heartbeats_are_an_interval_apart_give_or_take_a_tenth(worker, sent, errors, bound, interval, name, times):
    """Processes that start together drift apart; each heartbeat says what the run has done so far."""
    bound(name)
    run = Run(interval, worker, errors.append)
    run.add(job())
    run.runtime["requests"] = 7
    worker.move(interval * 3.33)

    assert sent == [(0, 0), *((pytest.approx(time), ("heartbeat", 7)) for time in times)]


@pytest.mark.parametrize("interval", [0, -1])
def test_without_an_interval_nothing_follows_upon_the_report(worker, sent, errors, interval):
    """The thread ends."""
    run = Run(interval, worker, errors.append)
    run.add(job())

    assert (worker.planned, sent) == ([], [(0, 0)])


def test_heartbeats_are_one_runs_however_many_reports_it_makes(worker, sent, errors, lines):
    """They have the ids of the first report and begin with it, also where a task of a heartbeat raises."""
    run = Run(600, worker, errors.append)
    run.add(job(1))
    worker.move(300)
    run.add(job(2))
    worker.move(700)
    uuids = [line["uuid"] for line in lines()]

    assert [(time, what) for time, what in sent if what not in (1, 2)] == [(600, ("heartbeat", None))]
    assert (len(uuids), uuids[0]) == (3, uuids[2])


def test_a_report_that_could_not_be_made_has_no_heartbeats_until_it_is(worker, sent, errors):
    """It is made later, and the heartbeats begin then."""
    leave_earlier(1)
    run, fails = Run(600, worker, errors.append), iter([True, False])
    made = job(picked=lambda gate: not (next(fails) and 1 // 0))
    with pytest.raises(ZeroDivisionError):
        run.add(made)
    worker._running = False
    planned = list(worker.planned)
    worker.move(700)

    assert planned == [30]
    assert made.attempted.is_set()
    assert sent == [(30, 0), (335, 1), (630, ("heartbeat", None))]


def test_values_that_do_not_leave_as_given_are_counted_once_for_each_report(run, worker, sent):
    """Another send does not count them again."""
    sent.answers = iter([AWAY] * 3)
    for batch in (1, 2):
        given = {"batch": batch, "quantization": "mine"}
        run.add(Job(given, Gate(APP, (HERE,)), picked=lambda gate: True, may_leave=lambda gate: True))
    worker.move(DAY)

    assert run.misfits == 2


def test_a_closed_run_plans_nothing_more(worker, sent, errors, lines):
    """The line is written, and a report that is not accepted waits for a later run."""
    run = Run(600, worker, errors.append)
    sent.answer = AWAY
    run.add(job())
    run.close()
    worker.move(DAY)

    assert sent == [(0, 0)]
    assert len(lines()) == 1


@pytest.mark.parametrize("how", ["close", "end"])
def test_without_a_thread_the_line_is_written_by_the_caller_and_nothing_is_sent(run, worker, sent, left, lines, monkeypatch, how):
    """The caller would wait for the network, so the report waits in the outbox."""
    worker.alive = False
    run.add(job(1))
    run.add(job(2))
    getattr(run, how)()

    assert (len(lines()), sent, left()) == (2, [], 2)


def test_what_was_written_before_is_not_left_when_it_is_closed(run, worker, sent):
    """Without a thread only a report that has no line yet is kept from being sent."""
    sent.answer = AWAY
    run.add(job())
    worker.alive = False
    run.close()
    worker.alive = True
    run.flush(1)

    assert sent == [(0, 0), (0, 0)]


@pytest.mark.parametrize(("beats", "runtime", "last"), [(0, {}, 0), (0, {"requests": 7}, 1), (1, {}, 1)])
def test_at_the_end_a_last_heartbeat_waits_for_a_later_run(worker, sent, left, errors, lines, beats, runtime, last):
    """There is one only where it says more than the report did."""
    run = Run(600, worker, errors.append)
    run.add(job())
    worker.move(600 * beats)
    run.runtime.update(runtime)
    run.end()

    assert (len(sent), left(), len(lines())) == (1 + beats, last, 1 + beats + last)
    assert errors == []


def test_a_forked_child_ends_without_writing(worker, sent, errors, lines, monkeypatch):
    """The child runs the exit handlers of its parent as well."""
    run = Run(600, worker, errors.append)
    run.add(job())
    run.runtime["requests"] = 7
    child = os.getpid() + 1
    monkeypatch.setattr("os.getpid", lambda: child)
    run.end()

    assert len(lines()) == 1


def test_whatever_the_end_raises_is_told_to_the_adopter_alone(run, worker, errors, monkeypatch):
    """Python would print the traceback of an exit handler that raises."""
    monkeypatch.setattr(worker, "run_here", lambda: 1 // 0)
    worker.alive = False
    run.add(job())
    run.end()

    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_at_the_end_no_detector_is_waited_for(run, worker, monkeypatch):
    """Every report that has no line yet is hurried."""
    hurried = []
    monkeypatch.setattr(Nothing, "hurry", lambda _: hurried.append("told"))
    worker.alive = False
    run.add(job(1))
    run.add(job(2))
    run.end()

    assert hurried == ["told", "told"]


def test_the_end_waits_for_the_lines_of_all_reports_for_a_quarter_of_a_second(run, worker, monkeypatch):
    """It pauses for 2 ms at a time, whatever the clock does; busy threads get the rest of that time."""
    waited, idle = [], []

    class Never(threading.Event):
        def wait(self, timeout=None):
            waited.append(timeout)
            return False

    monkeypatch.setattr(run_module, "wait_until_idle", idle.append)
    worker.soon = lambda task: None
    for number in (1, 2):
        made = job(number)
        made.written = Never()
        run.add(made)
    run.end()

    assert (len(waited), set(waited), idle) == (125, {0.002}, [0])
