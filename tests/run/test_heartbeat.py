"""A heartbeat tells what a run has done so far, under the ids of its report."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from myengine_app import APP

from otel_usage.delivery import pending_report
from otel_usage.delivery.destination import Destination, resolve
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.outbox import waiting
from otel_usage.facts.report import Report
from otel_usage.run.heartbeat import Heartbeat

PROJECT = Destination("project", "http://127.0.0.1:9/v1/traces", "otlp", by_operator=False)
OPERATORS = Destination("otlp", "http://127.0.0.1:9/v1/traces", "http/protobuf", by_operator=True)
TAKEN, AWAY = Outcome("taken", ok=True), Outcome("no answer")


@pytest.fixture
def clock():
    """A clock that the test moves."""

    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def beating(clock, receiver):
    """A heartbeat of the made-up app to a receiver."""
    gate = Gate(APP, resolve(APP, {"MYENGINE_USAGE_STATS_SERVER": receiver.url}, endpoint=None))
    report = Report(APP, {"context": "API_SERVER", "batch": 8, "num_cpu": 2})
    return report, Heartbeat(report, [(report, gate.destinations[0])], gate, 600.0, clock)


def test_a_heartbeat_has_the_runs_resource_its_uptime_and_its_runtime_facts(beating, clock, receiver, lines):
    """In the file it has the run's uuid, the time and the runtime facts; over OTLP it is a span in a trace of its own."""
    report, heartbeat = beating
    clock.now += 620.9
    heartbeat.beat({"requests": 7})
    ((resource, span, attributes),) = receiver.only.spans
    (line,) = lines()
    hour = line["log_time"] - line["log_time"] % (3600 * 10**9)

    assert line == {"uuid": report.facts["uuid"], "log_time": line["log_time"], "requests": 7}
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (hour, hour)
    assert (span.name, span.parent_span_id, len(span.events)) == ("otel_usage.heartbeat", b"", 0)
    assert int.from_bytes(span.trace_id, "big") != report.trace_id
    assert attributes == {"otel_usage.uptime": 600, "myengine.runtime.requests": 7}
    assert resource == {"service.name": "myengine", "service.instance.id": report.facts["uuid"], "myengine.config.batch": 8,
                        "otel_usage.cpu.logical_count": 2}  # fmt: skip


def test_two_destinations_get_the_ids_that_they_know(clock, receiver):
    """Neither destination can join its data with the other's."""
    gate = Gate(APP, [*resolve(APP, {"MYENGINE_USAGE_STATS_SERVER": receiver.url}, endpoint=None), OPERATORS])
    report = Report(APP, {})
    own = report.renamed()
    heartbeat = Heartbeat(report, [(report, gate.destinations[0]), (own, OPERATORS)], gate, 600.0, clock)
    made = [heartbeat._made(one, {}) for one in (report, own)]

    assert [one.facts["uuid"] for one in made] == [report.facts["uuid"], own.facts["uuid"]]
    assert made[0].trace_id != made[1].trace_id


def test_while_the_server_does_not_answer_ever_fewer_are_sent(beating, receiver, lines):
    """The pause grows to an hour; every line is written, and one heartbeat waits."""
    _, heartbeat = beating
    receiver.reply = (503, {}, b"")
    sent = []
    for _ in range(30):
        before = len(receiver.received)
        heartbeat.beat({})
        sent.append(len(receiver.received) - before)

    assert sent[:12] == [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert (len(lines()), sum(sent)) == (30, 6)


def test_a_server_that_asks_to_wait_is_left_alone_for_so_long(beating, receiver):
    """After that time heartbeats are sent again."""
    _, heartbeat = beating
    receiver.reply = (429, {"retry-after": "6000"}, b"")
    heartbeat.beat({})
    for _ in range(10):
        heartbeat.beat({})
    quiet = len(receiver.received)
    heartbeat.beat({})

    assert (quiet, len(receiver.received)) == (1, 2)


@pytest.mark.parametrize(
    ("project", "operators", "sent_to_project", "sent_to_operators"),
    [
        ([AWAY], [TAKEN], [0, 2, 6, 13, 20], list(range(21))),
        ([TAKEN], [AWAY], list(range(21)), [0, 2, 6, 13, 20]),
        ([AWAY], [AWAY], [0, 2, 6, 13, 20], [0, 2, 6, 13, 20]),
        ([Outcome("busy", after=6000), TAKEN], [AWAY, TAKEN], [0, *range(11, 21)], [0, *range(2, 21)]),
        ([Outcome("busy", after=600.5), TAKEN], [TAKEN], [0, *range(3, 21)], list(range(21))),
        ([Outcome("busy", after=60), AWAY, TAKEN], [TAKEN], [0, 2, *range(6, 21)], list(range(21))),
        ([AWAY, AWAY, AWAY, TAKEN, AWAY, TAKEN], [TAKEN], [0, 2, 6, 13, 14, 16, 17, 18, 19, 20], list(range(21))),
        ([Outcome("refused", again=False)], [AWAY], list(range(21)), [0, 2, 6, 13, 20]),
    ],
    ids=["the project is away", "the operator's is away", "both are away", "the project asks to wait", "it asks for a little more than one",
         "it asks for less than the back-off", "it comes back and begins anew", "it refuses"],
)  # fmt: skip
def test_each_destination_has_its_own_back_off(clock, monkeypatch, project, operators, sent_to_project, sent_to_operators):
    """A destination that is away or asks to wait delays no other; the table says which of 21 heartbeats each one gets."""
    answers, sent, beat = {"project": list(project), "otlp": list(operators)}, {"project": [], "otlp": []}, [0]

    def send(report, destination, gate, **_):
        sent[destination.kind].append(beat[0])
        left = answers[destination.kind]
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(pending_report, "send", send)
    gate = Gate(APP, [PROJECT, OPERATORS])
    report = Report(APP, {})
    heartbeat = Heartbeat(report, [(report, PROJECT), (report.renamed(), OPERATORS)], gate, 600.0, clock)
    for beat[0] in range(21):
        heartbeat.beat({})

    assert sent == {"project": sent_to_project, "otlp": sent_to_operators}


def test_only_the_newest_heartbeat_that_waits_is_kept(beating, receiver, home):
    """A heartbeat is cumulative, so the newest one says everything."""
    _, heartbeat = beating
    receiver.reply = (503, {}, b"")
    for _ in range(20):
        heartbeat.beat({})

    assert len(waiting(str(home / ".config/myengine"))) == 1


def test_after_an_opt_out_there_is_no_heartbeat(beating, receiver, home, monkeypatch):
    """Nothing is in the file, and nothing is sent."""
    _, heartbeat = beating
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    heartbeat.beat({"requests": 7})

    assert (receiver.received, list(home.iterdir())) == ([], [])


def test_the_last_heartbeat_waits_for_a_later_run(beating, receiver, home, lines):
    """At exit nothing is sent."""
    _, heartbeat = beating
    heartbeat.beat({"requests": 9}, final=True)

    assert (receiver.received, len(waiting(str(home / ".config/myengine"))), lines()[0]["requests"]) == ([], 1, 9)


def test_uptime_is_never_negative(beating, clock, receiver):
    """This holds whatever the clock does."""
    _, heartbeat = beating
    clock.now -= 5000
    heartbeat.beat({})

    assert receiver.only.spans[0][2]["otel_usage.uptime"] == 0


# This runs in a process without coverage, which keeps memory for each thread that ever ran.
MANY = """
import gc, json, logging, os, sys, threading, time
from myengine_app import APP
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.destination import resolve
from otel_usage.run.heartbeat import Heartbeat
from otel_usage.facts.report import Report

def state():
    gc.collect()
    end = time.monotonic() + 5
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return {"threads": len(os.listdir("/proc/self/task")), "descriptors": len(os.listdir("/proc/self/fd")),
            "blocks": sys.getallocatedblocks(), "resident": pages * os.sysconf("SC_PAGE_SIZE")}

records = []
class Keep(logging.Handler):
    def emit(self, record):
        records.append(record)
logging.getLogger().addHandler(Keep())
logging.getLogger().setLevel(logging.INFO)
clock = [0.0]
gate = Gate(APP, resolve(APP, {"MYENGINE_USAGE_STATS_SERVER": "http://127.0.0.1:9"}, endpoint=None))
report = Report(APP, {})
heartbeat = Heartbeat(report, [(report, gate.destinations[0])], gate, 600.0, lambda: clock[0])
states = []
for beats in (1_000, int(sys.argv[1])):
    for _ in range(beats):
        clock[0] += 600
        heartbeat.beat({"requests": 1})
    states.append(state())
print(json.dumps([*states, len(records)]))
"""


@pytest.mark.slow
@pytest.mark.soak
def test_many_heartbeats_grow_nothing(home, size):
    """The server is away for years: memory, threads, descriptors and files stay within bounds, and nothing is printed."""
    support = str(Path(__file__).parents[1] / "support")
    done = subprocess.run([sys.executable, "-c", MANY, str(size(30_000, 1_000_000))], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": support})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    before, after, records = json.loads(done.stdout)
    kept = {path.name: path.stat().st_size for path in (home / ".config/myengine").iterdir() if path.is_file()}

    assert (after["threads"], after["descriptors"]) == (before["threads"], before["descriptors"])
    assert after["blocks"] - before["blocks"] < 2_000
    assert after["resident"] - before["resident"] < 2**20
    assert sorted(kept) == ["usage_deliveries.json", "usage_deliveries.json.1", "usage_stats.json", "usage_stats.json.1"]
    assert max(kept.values()) <= 2 * 2**20
    assert len(waiting(str(home / ".config/myengine"))) == 1
    assert records <= 1


ENDS_WHILE_IT_SENDS = """
import os, time
from otel_usage import Fact, UsageReporter
facts = [Fact("requests", int, on="heartbeat", why="how much a run serves")]
usage = UsageReporter("myengine", facts=facts, endpoint=os.environ["SILENT"])
usage.report()
file = os.path.expanduser("~/.config/myengine/usage_stats.json")
while not os.path.exists(file) or not os.path.exists(os.path.expanduser("~/.config/myengine/usage_outbox")):
    time.sleep(0.01)
usage.set_runtime(requests=7)
"""


def test_a_run_that_ends_while_its_report_is_sent_has_its_last_heartbeat(run_python, lines):
    """The heartbeat is written even where a server does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run_python(ENDS_WHILE_IT_SENDS, SILENT=f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert (done.stdout, done.stderr) == ("", "")
    assert [line.get("requests") for line in lines()] == [None, 7]
