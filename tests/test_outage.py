"""A collector is away for a while: every report arrives once it is back, unless somebody opts out in between."""

import os
import socket
import subprocess
import sys

import pytest
from myengine_app import APP
from receiver import ACCEPTS, HttpReceiver
from signals import LOCAL, OFF, directories

from otel_usage import UsageReporter
from otel_usage.delivery.outbox import waiting

RUN = """
from otel_usage import UsageReporter
usage = UsageReporter("myengine", version="1", heartbeat=0)
usage.report(context="API_SERVER")
usage.flush(30)
"""


def run(processes=1, **environment):
    """Have that many processes report in parallel."""
    started = [subprocess.Popen([sys.executable, "-c", RUN], env={**os.environ, **environment}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True) for _ in range(processes)]  # fmt: skip
    output = [process.communicate(timeout=60)[0] for process in started]

    assert (output, [process.returncode for process in started]) == ([""] * processes, [0] * processes)


def ids(received):
    """Return the pair of ids by which each received report is counted."""
    return [(resource["service.instance.id"], span.span_id) for one in received for resource, span, _ in one.spans]


@pytest.fixture
def port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "runs", "processes"),
    [("MYENGINE_USAGE_STATS_SERVER", 20, 3), ("OTEL_EXPORTER_OTLP_ENDPOINT", 3, 3)],
    ids=["the project's", "the operator's own"],
)
def test_after_an_outage_every_report_arrives_once(home, port, variable, runs, processes):
    """Each run has several processes, and each report counts once."""
    server = {variable: f"http://127.0.0.1:{port}"}
    for _ in range(runs):
        run(processes, **server)
    left = len(waiting(str(home / ".config/myengine")))
    receiver = HttpReceiver(port)
    run(**server)
    receiver.close()
    arrived = ids(receiver.received)

    assert left == runs * processes
    assert len(arrived) == len(set(arrived)) == left + 1
    assert len({uuid for uuid, _ in arrived}) == left + 1
    assert waiting(str(home / ".config/myengine")) == []


@pytest.mark.parametrize("variable", ["MYENGINE_USAGE_STATS_SERVER", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_after_a_redirection_no_report_goes_to_the_other_destination(home, receiver, port, variable):
    """A report that waits for one destination is never sent to another; it is deleted where its destination is gone."""
    for _ in range(2):
        run(2, **{variable: f"http://127.0.0.1:{port}"})
    left = len(waiting(str(home / ".config/myengine")))
    run(**{variable: receiver.url})

    assert (left, len(ids(receiver.received)), waiting(str(home / ".config/myengine"))) == (4, 1, [])


@pytest.mark.parametrize("signal", [*OFF, *LOCAL])
def test_after_an_opt_out_none_of_the_old_reports_ever_arrives(tmp_path, monkeypatch, receiver, signal):
    """Each signal, in one run alone, deletes the reports that wait, and a later opt-in does not bring them back."""
    receiver.reply = (503, {}, b"")
    monkeypatch.setenv("MYENGINE_USAGE_STATS_SERVER", receiver.url)
    for name, value in directories(tmp_path).items():
        monkeypatch.setenv(name, value)
    for _ in range(3):
        report()
    old = set(ids(receiver.received))
    with monkeypatch.context() as patch:
        for name, value in {**OFF, **LOCAL}[signal](tmp_path).items():
            patch.setenv(name, value)
        report()
    between = set(ids(receiver.received)) - old
    take_back(tmp_path)
    receiver.received.clear()
    receiver.reply = ACCEPTS
    report()
    new = ids(receiver.received)

    assert (len(old), between, len(new), set(new) & old) == (3, set(), 1, set())


def report():
    """Report in a run of its own, and send what waits."""
    usage = UsageReporter(APP, heartbeat=0)
    usage.report(force=True)
    usage.flush(10)
    usage.close()


def take_back(world):
    """Remove every file that is a signal."""
    for path in [path for path in world.rglob("*") if path.name in ("do_not_track", "usage_mode")]:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
