"""A thread of ours starts only where it does the host no harm."""

import _thread
import contextlib
import json
import threading
import time

import pytest

from otel_usage import UsageReporter
from otel_usage.system.deadline import call
from otel_usage.system.threads import stack_size, start
from otel_usage.system.worker import Worker


def began(*, needed):
    """Start a thread and return whether it ran."""
    over = threading.Event()
    start(over.set, needed=needed)
    return over.wait(5)


def test_a_thread_starts_while_the_program_runs():
    """It does not matter whether the exit would wait for it."""
    assert began(needed=False)
    assert began(needed=True)


WAITS_FOR_ITS_THREADS = """
import threading, time
from otel_usage import UsageReporter, detect
def hangs():
    threading.current_thread()
    threading.Event().wait(60)
    yield from ()
def asks():
    yield "num_cpu", threading.current_thread().ident
detect.DETECTORS.update({detectors})
usage = UsageReporter("myengine", heartbeat=600)
usage.report()
usage.flush(10)
end = time.monotonic() + 5
while threading.active_count() > 1 and time.monotonic() < end:
    time.sleep(0.01)
print([thread.name for thread in threading.enumerate()])
"""


@pytest.mark.parametrize("detectors", ["", "asked=asks", "gpu=hangs"], ids=["as they are", "one asks for its thread", "one hangs"])
def test_a_host_that_waits_for_its_last_thread_ends(run_python, detectors):
    """Code such as psutil or logging registers our thread with `threading`; the host no longer counts it later on."""
    done = run_python(WAITS_FOR_ITS_THREADS.replace("{detectors}", detectors), OTEL_USAGE_EXPORTER="none")

    assert (done.stdout, done.stderr) == ("['MainThread']\n", "")


def listed(asked, patience=5):
    """Return whether a thread is still listed after some time."""
    end = time.monotonic() + patience
    while asked in threading.enumerate() and time.monotonic() < end:
        time.sleep(0.01)
    return asked.name if asked in threading.enumerate() else None


def test_no_thread_of_ours_stays_listed_once_its_task_is_done():
    """This holds for a worker that lives on for later tasks, for a helper, and for a thread that hangs."""
    worker, over, asked, release = Worker(print), threading.Event(), [], threading.Event()

    def hang():
        asked.append(threading.current_thread())
        release.wait(10)

    def task():
        asked.append(threading.current_thread())
        asked.append(call(threading.current_thread, 5))
        with contextlib.suppress(TimeoutError):
            call(hang, 0.05)
        over.set()

    worker.later(60, print)
    worker.soon(task)
    over.wait(5)
    found = [listed(thread) for thread in asked]
    release.set()
    worker.stop()

    assert found == [None] * 3


def test_a_stand_in_of_the_hosts_own_stays_listed():
    """Only entries of our own threads are removed."""
    asked, release, over = [], threading.Event(), threading.Event()

    def foreign():
        asked.append(threading.current_thread())
        over.set()
        release.wait(5)

    _thread.start_new_thread(foreign, ())
    over.wait(5)
    began(needed=False)
    found = asked[0] in threading.enumerate()
    release.set()

    assert found is True


SUB_INTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
if hasattr(interpreters, "new_config"):
    made = interpreters.create({config!r})
else:
    made = interpreters.create(isolated={config!r} == "isolated")
run = getattr(interpreters, "exec", None) or interpreters.run_string
run(made, '''
import logging, os, sys
from otel_usage import UsageReporter
from otel_usage.system.threads import NoThreadError, start
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(message)s")
usage = UsageReporter("myengine", logger=logging.getLogger("mine"))
usage.report()
usage.flush(1)
usage.close()
try:
    start(print)
except NoThreadError as error:
    print(error)
print(len(os.listdir("/proc/self/task")), flush=True)
''')
interpreters.destroy(made)
print("destroyed")
"""


@pytest.mark.parametrize("config", ["legacy", "isolated"])
def test_a_sub_interpreter_that_reports_can_be_destroyed(run_python, home, config):
    """It starts no thread of ours, since it could not end with one, and makes no report."""
    done = run_python(SUB_INTERPRETER.replace("{config!r}", repr(config)))

    assert (done.returncode, done.stdout, done.stderr, list(home.iterdir())) == (
        0, "usage is not reported: this is a sub-interpreter\na sub-interpreter with a thread can't be ended\n1\ndestroyed\n", "", [],
    )  # fmt: skip


SMALL_STACK = """
import threading
threading.stack_size({size})
from otel_usage import UsageReporter
usage = UsageReporter("myengine", heartbeat=0)
usage.report(context="API_SERVER")
print(usage.flush(20))
{end}
print(threading.stack_size())
"""


@pytest.mark.parametrize("end", ["", "usage.close()"], ids=["at the end", "closed"])
@pytest.mark.parametrize("variable", ["MYENGINE_USAGE_STATS_SERVER", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_where_threads_have_too_small_a_stack_the_line_is_written_and_the_report_waits(run_python, receiver, home, variable, end):
    """A thread with such a stack would crash the process; the host's setting stays as it is."""
    done = run_python(SMALL_STACK.format(size=32768, end=end), **{variable: receiver.url})
    directory = home / ".config" / "myengine"

    assert (done.returncode, done.stdout, done.stderr, receiver.received) == (0, "False\n32768\n", "", [])
    assert [json.loads(line)["context"] for line in (directory / "usage_stats.json").read_text().splitlines()] == ["API_SERVER"]
    assert len(list((directory / "usage_outbox").iterdir())) == 1


def test_a_host_that_closes_waits_for_no_network_where_no_thread_could_be_started(home, receiver, monkeypatch):
    """Threads may work again by then: one of ours writes the line, and the report waits in the outbox."""

    def fail(*_):
        raise RuntimeError

    monkeypatch.setenv("MYENGINE_USAGE_STATS_SERVER", receiver.url)
    usage = UsageReporter("myengine", heartbeat=0)
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", fail)
        usage.report()
    usage.close()
    directory = home / ".config" / "myengine"
    written, waits = (directory / "usage_stats.json").read_text().count("\n"), len(list((directory / "usage_outbox").iterdir()))

    assert (written, waits, receiver.received) == (1, 1, [])
    assert usage.flush(10) is True
    assert len(receiver.received) == 1


def test_a_stack_that_is_large_enough_is_used(run_python, receiver):
    """Small stacks are usual with musl and in hosts with many threads."""
    done = run_python(SMALL_STACK.format(size=262144, end=""), MYENGINE_USAGE_STATS_SERVER=receiver.url)

    assert (done.stdout, done.stderr, len(receiver.received)) == ("True\n262144\n", "", 1)


def test_asking_for_the_size_of_stacks_leaves_it_as_it_is():
    """Python's own function for it sets the size to the default."""
    before = threading.stack_size(524288)
    found = stack_size()
    after = threading.stack_size(before)

    assert (found, after) == (524288, 524288)


def test_without_heartbeats_no_thread_of_ours_is_left_once_all_is_done(run_python):
    """Python 3.12 and newer warn a host with threads when it forks."""
    done = run_python("""
        import os, time
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", heartbeat=0)
        usage.report()
        usage.flush(10)
        end = time.monotonic() + 5
        while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < end:
            time.sleep(0.01)
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        print(len(os.listdir("/proc/self/task")))
    """, "-W", "error", OTEL_USAGE_EXPORTER="none")  # fmt: skip

    assert (done.stdout, done.stderr) == ("1\n", "")
