"""Calls fail and processes are killed: nothing raises, and no acknowledged line is lost."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from otel_usage.delivery import outbox
from otel_usage.system.private_files import read_lines

FAULTS = """
import errno, os, shutil, sys, threading
import otel_usage.system.directory, otel_usage.system.trusted_path, otel_usage.system.private_files
import otel_usage.delivery.outbox, otel_usage.delivery.outbox_files
from otel_usage import UsageReporter
CALLS = ("open", "write", "fstat", "mkdir", "stat", "lseek", "read", "replace", "unlink", "listdir", "close")
ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "ESTALE", "EINTR", "EAGAIN", "ENOLCK",
          "ELOOP", "ENOMEM", "EFBIG")
FILES = (otel_usage.system.directory.__file__, otel_usage.system.trusted_path.__file__,
         otel_usage.system.private_files.__file__, otel_usage.delivery.outbox.__file__, otel_usage.delivery.outbox_files.__file__)
fault = [None, 0]
raised = set()
def failing(name):
    real = getattr(os, name)
    def call(*arguments, **more):
        if fault[0] == name and sys._getframe(1).f_code.co_filename in FILES:
            if name == "close":
                real(*arguments, **more)
            raised.add(name)
            raise OSError(getattr(errno, fault[1]), "made to fail")
        return real(*arguments, **more)
    return call
for name in CALLS:
    setattr(os, name, failing(name))
folder = os.path.expanduser("~/.config/myengine")
# What is needed for a call to be made at all: a directory to make, a file to rotate.
prepare = {"mkdir": lambda: shutil.rmtree(folder, ignore_errors=True), "replace": lambda: os.truncate(folder + "/usage_stats.json", 2**22)}
usage = UsageReporter("myengine", version="1", heartbeat=0)
sent = 0
for name in CALLS:
    for error in ERRORS:
        fault[:] = None, 0
        prepare.get(name, int)()
        fault[:] = name, error
        usage.report(context="API_SERVER", force=True)
        usage.flush(10)
        sent += 1
fault[:] = None, 0
print(sent, *sorted(raised))
"""


@pytest.mark.slow
def test_whatever_call_of_the_file_and_the_outbox_fails_the_report_is_sent(run_python, receiver, home, monkeypatch):
    """Each of 11 calls fails with each of 15 errors: nothing raises or prints, and the operator's server gets every report."""
    done = run_python(FAULTS, MYENGINE_USAGE_STATS_SERVER=receiver.url)
    uuids = {resource["service.instance.id"] for received in receiver.received for resource, _, _ in received.spans}

    assert (done.stderr, done.stdout) == (
        "", "165 close fstat listdir lseek mkdir open read replace stat unlink write\n",
    )  # fmt: skip
    assert len(uuids) == 165


MOST_KEPT = 2**28
WRITE = """
import sys
from otel_usage.system.private_files import append_line
number = 0
while True:
    text = f'{{"id": "{sys.argv[2]}-{number}", "pad": "{"x" * int(sys.argv[3])}"}}'
    append_line(sys.argv[1], text, max_bytes=0)
    print(f"{sys.argv[2]}-{number}", flush=True)
    number += 1
"""


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(("length", "ci"), [(1_100, 12), (64_000, 8)])
def test_no_acknowledged_line_is_lost_when_writers_are_killed(tmp_path, size, length, ci):
    """Eight writers are killed at random moments: every line that they acknowledged is in the file."""
    path = tmp_path / "usage_stats.json"
    acknowledged = torn = 0
    rounds = size(ci, 125)
    for number in range(rounds):
        whole, found, others = _kill_writers(path, number, length)
        acknowledged += len(whole)
        torn += others

        assert whole - found == set()
        if path.stat().st_size > MOST_KEPT:
            path.unlink()

    assert acknowledged > rounds
    assert torn <= 8 * rounds


def _kill_writers(path, number, length):
    """Kill eight writers; return the ids that they acknowledged, those in the file, and the number of torn lines."""
    before = path.stat().st_size if path.exists() else 0
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(path), f"{number}.{n}", str(length)], stdout=subprocess.PIPE, text=True)
               for n in range(8)]  # fmt: skip
    time.sleep(0.25 + random.Random(number).random() / 10)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    told = [line for writer in writers for line in writer.communicate(timeout=60)[0].splitlines(keepends=True)]
    found, torn = set(), 0
    with path.open() as file:
        file.seek(before)
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                torn += line != "\n"
                continue
            assert entry["pad"] == "x" * length
            found.add(entry["id"])
    return {line.strip() for line in told if line.endswith("\n")}, found, torn


REPORT = """
from otel_usage import UsageReporter
usage = UsageReporter("myengine", version="1", endpoint={url!r}, heartbeat=0)
while True:
    usage.report(context="API_SERVER", force=True)
    print("begun", flush=True)
    usage.flush(5)
"""


@pytest.mark.slow
@pytest.mark.soak
def test_what_a_killed_process_could_not_deliver_a_later_one_does(run_python, receiver, home, size):
    """Exactly the lines of the file arrive, and each counts once."""
    kills = size(10, 100)
    begun = []
    for number in range(kills):
        child = subprocess.Popen([sys.executable, "-c", REPORT.format(url=receiver.url)], stdout=subprocess.PIPE, text=True)
        first = child.stdout.readline()  # from here on the process is making a report
        time.sleep(random.Random(number).random() / 5)
        child.kill()
        begun.append((first + child.communicate()[0]).count("begun"))
    directory = str(home / ".config/myengine")
    left = outbox.waiting(directory)
    run_python(f"""
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", version="1", endpoint={receiver.url!r})
        usage.report()
        usage.flush(20)
    """)  # fmt: skip
    written = read_lines(f"{directory}/usage_stats.json")  # rotated files too
    lines = {json.loads(line)["uuid"] for line in written if line.endswith("}\n")}
    arrived = {resource["service.instance.id"] for received in receiver.received for resource, _, _ in received.spans}

    assert min(begun) >= 1
    assert left != []
    # A process that is killed between the line and the outbox loses at most that one report, which it had not sent.
    assert len(lines) >= sum(begun) - kills
    assert len(lines - arrived) <= kills
    assert arrived - lines == set()
    assert outbox.waiting(directory) == []
