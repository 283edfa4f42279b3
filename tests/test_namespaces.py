"""Two containers share a home: process numbers mean nothing across them, and no code relies on them."""

import os
import subprocess
import sys

import pytest
from receiver import ACCEPTS

from otel_usage.delivery.outbox import put, waiting

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
HOLD = """
import sys
from otel_usage.delivery.outbox import claim
entry = claim(*sys.argv[1:])
print(entry is not None, flush=True)
sys.stdin.read()
"""
REPORT = """
import os, sys
from otel_usage import UsageReporter
usage = UsageReporter("myengine", version="1", heartbeat=0)
usage.report()
print(os.getpid(), usage.flush(10))
"""
SIBLINGS = """
import os, sys
from otel_usage.run.marker import elect
parent, turns = os.getpid(), []
for _ in range(2):
    ours, theirs = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.read(ours[0], 1)
        os.write(theirs[1], b"%d" % elect(os.path.expanduser("~/.config/myengine"), parent))
        os.read(ours[0], 1)  # it lives on, as a worker does
        os._exit(0)
    turns.append((ours[1], theirs[0]))
for ask, answer in turns:
    sys.stdin.readline()
    os.write(ask, b"?")
    print(os.getpid(), os.read(answer, 1).decode(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def container():
    """Start Python in a pid namespace of its own with its own /proc; every container ends with the test."""
    started = []

    def start(code, *arguments):
        process = subprocess.Popen([*UNSHARE, sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=os.environ)  # fmt: skip
        started.append(process)
        return process

    probe = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    assert probe.returncode == 0, f"a pid namespace can't be made, which takes root or CAP_SYS_ADMIN: {probe.stderr.strip()}"
    yield start
    for process in started:
        process.kill()
        process.communicate()


def say(process, text=""):
    """Write a line to a process, and return its answer."""
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_what_a_process_in_another_container_is_sending_is_not_sent_twice(container, home, receiver, monkeypatch):
    """Both have number 1. A claim holds across containers, blocks nobody, and ends with its process."""
    monkeypatch.setenv("MYENGINE_USAGE_STATS_SERVER", receiver.url)
    receiver.reply = (503, {}, b"")
    first = container(REPORT).communicate(timeout=30)
    receiver.reply = ACCEPTS
    ((uuid,),) = [{resource["service.instance.id"] for one in receiver.received for resource, _, _ in one.spans}]
    directory = str(home / ".config/myengine")
    (name,) = waiting(directory)
    holder = container(HOLD, directory, name)
    held = holder.stdout.readline()
    receiver.received.clear()
    second = container(REPORT).communicate(timeout=30)
    meanwhile = [resource["service.instance.id"] for one in receiver.received for resource, _, _ in one.spans]
    left = waiting(directory)
    holder.kill()
    holder.communicate()
    third = container(REPORT).communicate(timeout=30)
    arrived = [resource["service.instance.id"] for one in receiver.received for resource, _, _ in one.spans]

    assert (first, held, second, third) == (("1 False\n", ""), "True\n", ("1 True\n", ""), ("1 True\n", ""))
    assert (len(meanwhile), meanwhile.count(uuid), left) == (1, 0, [name])
    assert (len(arrived), arrived.count(uuid), waiting(directory)) == (3, 1, [])


def test_the_siblings_of_one_container_pick_one_whatever_another_sweeps_away(container, home):
    """The lock of an invisible process is not taken for that of a finished run."""
    one = container(SIBLINGS)
    first = say(one)
    other = container(SIBLINGS)
    others = [say(other), say(other)]
    second = say(one)

    assert (first, second, others) == ("1 1", "1 0", ["1 1", "1 0"])


def test_many_containers_write_one_file_and_one_outbox(container, home):
    """Each leaves its line and its entry, whole."""
    started = [container(REPORT.replace('UsageReporter("myengine"', "UsageReporter(\"myengine\", endpoint='http://127.0.0.1:9'"))
               for _ in range(4)]  # fmt: skip
    said = [process.communicate(timeout=30) for process in started]
    lines = (home / ".config/myengine/usage_stats.json").read_text().splitlines()

    assert said == [("1 False\n", "")] * 4
    assert (len(lines), {line[-1] for line in lines}, len(waiting(str(home / ".config/myengine")))) == (4, {"}"}, 4)


def test_an_entry_of_this_process_is_held_against_a_container(container, tmp_path):
    """A container's entry is held against this process as well."""
    entry = put(str(tmp_path), {"uuid": "u"}, collected=1, kind="report", run="u")
    while_held = container(HOLD, str(tmp_path), entry.name).stdout.readline()
    entry.leave()

    assert (while_held, container(HOLD, str(tmp_path), entry.name).stdout.readline()) == ("False\n", "True\n")
