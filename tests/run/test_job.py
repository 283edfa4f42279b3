"""A job makes and sends one report: what each attempt does, and how long the pause is."""

import pytest
from myengine_app import APP

from otel_usage.delivery import pending_report
from otel_usage.delivery.destination import Destination
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.outbox import claim, waiting
from otel_usage.facts.builtin import HEARTBEAT
from otel_usage.facts.report import Report
from otel_usage.run import job as job_module
from otel_usage.run.job import Job
from otel_usage.system.shutdown import Shutdown

PROJECT = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)
OPERATORS = Destination("otlp", "http://127.0.0.1:9/v1/traces", "http/protobuf", by_operator=True)
KNOWN = {"num_cpu": 2, "quantization": "awq", "context": "API_SERVER"}
BOUNDS = {"lowest": lambda low, high: low, "middle": lambda low, high: (low + high) / 2, "highest": lambda low, high: high}
TAKEN, AWAY, REFUSED = Outcome("taken", ok=True), Outcome("no answer"), Outcome("refused", again=False)


@pytest.fixture(autouse=True)
def detected(monkeypatch):
    """The facts that the detectors find, none by default, and how often they were hurried."""

    class Detected(dict):
        hurried, meanwhile = 0, staticmethod(lambda: None)

        def __call__(self, known):
            self.known = known
            return self

        def hurry(self):
            self.hurried += 1

        def facts(self):
            self.meanwhile()
            return self

    found = Detected()
    monkeypatch.setattr("otel_usage.detect.Detection", found)
    return found


@pytest.fixture
def answers(monkeypatch):
    """The answers of each destination, by its kind, and the destinations that were asked, in order."""

    class Answers(dict):
        def send(self, report, destination, gate, **_):
            self.asked.append((destination.kind, report.facts["uuid"]))
            return self[destination.kind]

    found = Answers(project=AWAY, otlp=AWAY)
    found.asked = []
    monkeypatch.setattr(pending_report, "send", found.send)
    return found


@pytest.fixture
def names(home):
    """Read the names of the entries in the outbox."""
    return lambda: waiting(str(home / ".config" / "myengine"))


def new_job(*destinations, given=KNOWN, picked=lambda gate: True, may_leave=lambda gate: True):
    """Return a job of the made-up app."""
    return Job(given, Gate(APP, destinations), picked=picked, may_leave=may_leave)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_pause_doubles_up_to_an_hour_give_or_take_a_half(answers, monkeypatch, bound):
    """It begins at 30 s and never overflows, also after six weeks."""
    monkeypatch.setattr(job_module, "jitter", BOUNDS[bound])
    job, pauses = new_job(PROJECT), []
    for _ in range(9):
        job.run()
        pauses.append(job.pause)
    job.attempts = 1_100

    assert pauses == {
        "lowest": [15, 30, 60, 120, 240, 480, 960, 1800, 1800],
        "middle": [30, 60, 120, 240, 480, 960, 1920, 3600, 3600],
        "highest": [45, 90, 180, 360, 720, 1440, 2880, 5400, 5400],
    }[bound]
    assert job.pause == pauses[-1]


def test_no_two_processes_wait_equally_long(answers):
    """Each pause is drawn anew from the whole of its range."""
    job = new_job(PROJECT)
    job.run()
    pauses = [job.pause for _ in range(1_000)]

    assert len(set(pauses)) > 990
    assert 15 <= min(pauses) < 18
    assert 42 < max(pauses) <= 45


@pytest.mark.parametrize(
    ("attempts", "asked", "pause"),
    [(1, None, 30), (1, 0, 30), (1, 29, 30), (1, 31, 31), (1, 6000, 6000), (1, 86400, 86400), (8, 31, 3600), (8, 6000, 6000)],
)
def test_a_server_that_asks_to_wait_longer_is_left_alone_for_so_long(answers, monkeypatch, attempts, asked, pause):
    """A server that asks for less than the back-off still gets the back-off."""
    monkeypatch.setattr(job_module, "jitter", BOUNDS["middle"])
    answers["project"] = Outcome("busy", after=asked)
    job = new_job(PROJECT)
    for _ in range(attempts):
        job.run()

    assert job.pause == pause


def test_only_the_last_answer_counts(answers, monkeypatch):
    """A server that asked to wait once, and no longer does, is asked as often as others."""
    monkeypatch.setattr(job_module, "jitter", BOUNDS["middle"])
    answers["project"] = Outcome("busy", after=6000)
    job = new_job(PROJECT)
    job.run()
    answers["project"] = AWAY
    job.run()

    assert job.pause == 60


@pytest.mark.parametrize("last", [TAKEN, REFUSED])
def test_a_destination_is_tried_until_it_has_taken_or_refused(answers, names, monkeypatch, last):
    """Each destination is tried by itself with the same ids; at the end there is no pause and nothing left to do."""
    monkeypatch.setattr(job_module, "jitter", BOUNDS["middle"])
    job, pauses = new_job(PROJECT, OPERATORS), []
    for answers["project"], answers["otlp"] in ((AWAY, AWAY), (last, AWAY), (AWAY, last), (AWAY, AWAY)):
        job.run()
        pauses.append(job.pause)
    job.attempted.set()

    assert pauses == [30, 60, None, None]
    assert [kind for kind, _ in answers.asked] == ["project", "otlp", "project", "otlp", "otlp"]
    assert len(set(answers.asked)) == 2
    assert names() == []
    assert job.done is True


@pytest.mark.parametrize(
    ("destinations", "away", "done"),
    [((), False, True), ((PROJECT,), False, True), ((PROJECT,), True, False), ((PROJECT, OPERATORS), True, False)],
)
def test_a_job_is_done_when_its_line_is_written_and_nothing_is_left_to_send(answers, destinations, away, done):
    """It also counts as attempted."""
    answers.update(project=TAKEN, otlp=AWAY if away else TAKEN)
    if away and len(destinations) == 1:
        answers["project"] = AWAY
    job = new_job(*destinations)
    job.run()
    early = job.done
    job.attempted.set()

    assert early is False
    assert job.done is done


def test_what_waits_is_named_as_it_is_in_the_outbox(answers, names):
    """The run uses the names to send no entry of its own twice."""
    job = new_job(PROJECT, OPERATORS)
    job.run()

    assert sorted(job.waiting) == sorted(names())
    assert len(names()) == 2


def test_a_report_is_in_the_outbox_before_it_is_sent(answers, names, monkeypatch):
    """The entries of all destinations are written before the first send: a process that is killed meanwhile loses none."""
    seen = []
    monkeypatch.setattr(pending_report, "send", lambda *_, **__: seen.append(len(names())) or TAKEN)
    new_job(PROJECT, OPERATORS).run()

    assert seen == [2, 1]


@pytest.mark.parametrize("why", ["told", "ending"])
def test_what_is_left_is_not_sent_but_may_be_claimed_at_once(answers, names, home, monkeypatch, why):
    """A later run claims it after interpreter shutdown, and the next attempt claims it where no thread could be started."""
    job = new_job(PROJECT, OPERATORS)
    monkeypatch.setattr(Shutdown, "begun", why == "ending")
    if why == "told":
        job.leave()
    job.run()
    left = names()
    entries = [claim(str(home / ".config" / "myengine"), name) for name in left]
    for entry in entries:
        entry.leave()
    before = len(answers.asked)
    monkeypatch.setattr(Shutdown, "begun", False)
    job.run()

    assert [entry.name for entry in entries] == left
    assert (len(left), before, len(answers.asked)) == (2, 0, 2)


def test_the_line_is_written_once_and_says_what_was_given(answers, lines):
    """Further sends write no line; a fact that the app passes wins over a detector's, even if it is null."""
    job = new_job(PROJECT)
    for _ in range(3):
        job.run()
    (line,) = lines()

    assert (line["uuid"], line["num_cpu"], line["quantization"], line["context"]) == (job.report.facts["uuid"], 2, "awq", "API_SERVER")
    assert line["myengine_version"] == "1.2.0"


def test_a_detector_fills_in_only_what_was_not_passed(detected, lines):
    """A key whose passed value is not admitted stays empty; the detectors know which keys were passed."""
    detected.update(num_cpu=64, total_memory=2**34, provider="GCP")
    Job({"num_cpu": 2, "provider": None}, Gate(APP, ()), picked=lambda gate: True, may_leave=lambda gate: True).run()
    (line,) = lines()

    assert (line["num_cpu"], line["total_memory"], line.get("provider")) == (2, 2**34, None)
    assert detected.known == {"num_cpu", "provider"}


@pytest.mark.parametrize("when", ["before", "meanwhile", "never"])
def test_a_hurried_job_does_without_facts_that_are_not_known_yet(detected, when):
    """It may be hurried before the detectors start and while they run."""
    job = new_job()
    if when == "before":
        job.hurry()
    if when == "meanwhile":
        detected.meanwhile = job.hurry
    job.run()

    assert detected.hurried == (0 if when == "never" else 1)


def test_a_process_that_is_not_picked_does_nothing(answers, lines):
    """Another process of the run reports; this one has no second attempt and nothing to flush."""
    job = new_job(PROJECT, picked=lambda gate: False)
    job.run()
    job.attempted.set()

    assert (job.report, job.pause, answers.asked, lines()) == (None, None, [], [])
    assert job.done is True


def test_a_report_that_could_not_be_made_is_made_later(answers, lines, monkeypatch):
    """The same back-off counts, whatever was raised."""
    monkeypatch.setattr(job_module, "jitter", BOUNDS["middle"])
    job, pauses = new_job(PROJECT, picked=lambda gate: 1 // 0), []
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            job.run()
        pauses.append(job.pause)
    job.attempted.set()
    early = job.done
    job._picked = lambda gate: True
    answers["project"] = TAKEN
    job.run()

    assert (pauses, job.pause, len(lines())) == ([30, 60], None, 1)
    assert early is False
    assert job.done is True


@pytest.mark.parametrize("may_leave", [True, False])
def test_whether_anything_leaves_is_asked_once_and_only_where_it_could(answers, names, monkeypatch, may_leave):
    """The notice depends on that question."""
    asked = []
    job = new_job(PROJECT, may_leave=lambda gate: asked.append(gate) or may_leave)
    for _ in range(3):
        job.run()
    nowhere = new_job(may_leave=lambda gate: asked.append("without a destination"))
    nowhere.run()
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "none")
    local = new_job(PROJECT, may_leave=lambda gate: asked.append("in local mode"))
    local.run()

    assert asked == [job.gate]
    assert (len(answers.asked), len(names()), len(job.pairs)) == ((3, 1, 1) if may_leave else (0, 0, 0))
    assert (nowhere.pause, local.pause, local.pairs) == (None, None, [])


@pytest.mark.parametrize(("written", "off", "done"), [(False, False, False), (False, True, True), (True, False, True)])
def test_a_line_that_is_missing_is_told_unless_it_must_not_be_there(answers, monkeypatch, written, off, done):
    """`flush` tells of a full disk, and does not tell of an opt-out that came in the middle."""

    def record(report, gate):
        if off:
            monkeypatch.setenv("DO_NOT_TRACK", "1")
        return written

    monkeypatch.setattr(job_module, "record", record)
    job = new_job()
    job.run()
    job.attempted.set()

    assert job.written.is_set()
    assert job.done is done
    assert job.pause is None


def test_where_the_line_is_missing_only_the_operators_own_collector_gets_the_report(answers, monkeypatch):
    """The project gets nothing that its operator can't see."""
    monkeypatch.setattr(job_module, "record", lambda report, gate: False)
    new_job(PROJECT, OPERATORS).run()

    assert [kind for kind, _ in answers.asked] == ["otlp"]


def test_values_that_do_not_leave_as_given_are_counted_and_named(answers):
    """This holds on the resource and on the span."""
    job = new_job(PROJECT, given={"quantization": "mine", "context": "API_SERVER", "scheduler": "/home/me", "batch": 8})
    job.run()
    named = Report(APP, {"quantization": "mine"}).misfits()
    of_the_span = Report(APP, {"requests": 10**12}, name=HEARTBEAT).misfits()

    assert job.misfits == 2
    assert [problem.split()[0].rstrip(":") for problem in (*named, *of_the_span)] == ["myengine.config.quantization", "myengine.runtime.requests"]
