"""A run makes one report, whichever of its processes comes first, and an embedder can turn it off for all of them."""

import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading

import psutil
import pytest

from otel_usage import UsageReporter, child_env, suppress
from otel_usage.consent import decide
from otel_usage.run import marker
from otel_usage.run.marker import claim, is_marked, mark, start_time

REPORT = """
import multiprocessing, os, subprocess, sys, time
from otel_usage import UsageReporter
usage = UsageReporter("myengine", version="1")
def report():
    usage.report(context="API_SERVER")
    usage.flush(5)
def fresh():
    other = UsageReporter("myengine", version="1")
    other.report()
    other.flush(5)
def fork(function, times=1):
    pids = []
    for _ in range(times):
        pid = os.fork()
        if pid == 0:
            function()
            time.sleep(0.5 * (times > 1))
            sys.exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
"""
WORKER = "from otel_usage import UsageReporter; u = UsageReporter('myengine'); u.report(); u.flush(5)"


@pytest.fixture
def reports(tmp_path, home):
    """Run a program in a process of its own, and return the reports that it leaves."""

    def run(code, *, before="", **environment):
        program = tmp_path / "program.py"
        program.write_text(before + REPORT + code)
        done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", program], env={**os.environ, **environment}, capture_output=True,
                              text=True, timeout=600, check=False)  # fmt: skip
        path = home / ".config/myengine/usage_stats.json"

        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return run


@pytest.mark.parametrize(
    "code",
    [
        "report(); report()",
        "report()\nfor name in [name for name in sys.modules if name.startswith('otel_usage')]:\n    del sys.modules[name]\nfrom otel_usage import UsageReporter\nfresh()",
        "[report() for _ in range(1000)]",
        "report(); fresh()",
        "report(); fork(report); fork(fresh)",
        "report(); fork(lambda: fork(report))",
        f"report(); subprocess.run([sys.executable, '-c', {WORKER!r}], check=True)",
        f"report(); subprocess.run(['sh', '-c', sys.executable + ' -c \"$0\"; true', {WORKER!r}], check=True)",
        "fork(report, 4)",
        "report(); fork(report, 4); report()",
        "import threading\nthreads = [threading.Thread(target=report) for _ in range(8)]\n[t.start() for t in threads]\n[t.join() for t in threads]",
        "if __name__ == '__main__':\n    report()\n    for m in ('fork', 'spawn', 'forkserver'):\n        p = multiprocessing.get_context(m).Process(target=fresh)\n        p.start(); p.join()",
    ],
    ids=["twice", "loaded twice", "a thousand times", "another reporter", "fork", "fork of a fork", "subprocess", "shell", "siblings forked before", "siblings after",
         "threads", "multiprocessing"],
)  # fmt: skip
def test_a_run_makes_one_report(reports, code):
    """It does not matter which of its processes and threads comes first."""
    assert len(reports(code)) == 1


RACE = """
import threading
sys.setswitchinterval(1e-5)
usages = [UsageReporter("myengine", version="1", heartbeat=0) for _ in range(8)]
def race():
    barrier = threading.Barrier(8)
    def run(other):
        barrier.wait()
        other.report({force})
    threads = [threading.Thread(target=run, args=(other,)) for other in usages]
    [t.start() for t in threads]
    [t.join() for t in threads]
    [other.flush(10) for other in usages]
"""
RACE_AGAIN = """
for _ in range(10):
    os.environ["MYENGINE_USAGE_RUN"] = ""
    usages = [UsageReporter("myengine", version="1", heartbeat=0) for _ in range(8)]
    race()
"""


@pytest.mark.parametrize(("code", "count"), [
    (RACE + RACE_AGAIN, 10),
    (RACE + "report(); race(); fork(race)", 1),
    (RACE + "fork(race, 4)", 1),
    (RACE.format(force="force=True") + "race()", 8),
], ids=["ten runs", "after a report and in a child", "in children", "forced"])  # fmt: skip
def test_reporters_of_one_app_that_race_in_eight_threads_make_one_report(reports, code, count):
    """The process reads and sets the mark in one step; an empty mark begins a new run."""
    assert len(reports(code.replace("{force}", ""))) == count


def test_a_claim_is_one_step_for_the_process(monkeypatch):
    """Here every thread reads the mark before any of them sets it."""
    barrier, won, slow = threading.Barrier(8), [], marker.is_marked

    def look(app):
        found = slow(app)
        barrier.wait(5)
        return found

    monkeypatch.setattr(marker, "is_marked", look)
    threads = [threading.Thread(target=lambda: won.append(claim("myengine"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 7 + [True]


def test_a_claim_is_made_once_until_the_mark_is_emptied(monkeypatch):
    """After that it is made once again."""
    first = [claim("myengine") for _ in range(3)]
    monkeypatch.setenv("MYENGINE_USAGE_RUN", "")
    again = [claim("myengine") for _ in range(3)]

    assert (first, again) == ([True, False, False], [True, False, False])


def test_a_report_that_strict_refuses_leaves_no_mark(monkeypatch):
    """The next report counts as the first."""
    usage = UsageReporter("myengine", strict=True)
    with pytest.raises(ValueError, match="secret is not declared"):
        usage.report(secret=1)

    assert "MYENGINE_USAGE_RUN" not in os.environ


@pytest.mark.parametrize(
    "code",
    [
        f"report(); subprocess.run([sys.executable, '-c', {WORKER!r}], env={{**os.environ, 'MYENGINE_USAGE_RUN': ''}}, check=True)",
        "fork(report); fork(report)",
        "report(); fork(lambda: usage.report(force=True) or usage.flush(5))",
    ],
    ids=["a mark that was emptied", "a replacement of a dead child", "forced"],
)
def test_a_new_run_reports_again(reports, code):
    """It is begun on purpose, forced, or begun after the process that reported has ended."""
    found = reports(code)

    assert len({report["uuid"] for report in found}) == len(found) == 2


def test_two_runs_side_by_side_both_report(reports, home):
    """Neither is an ancestor of the other, and both live while they report."""
    code = REPORT + "report()\nprint('reported', flush=True)\nsys.stdin.read()"
    first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = first.stdout.readline()
    found = reports("report()")
    still_running = first.poll()
    first.communicate(timeout=60)

    assert (said, still_running, first.returncode) == ("reported\n", None, 0)
    assert len({report["uuid"] for report in found}) == len(found) == 2


@pytest.mark.parametrize(
    ("value", "marked"),
    [("", False), ("x", False), ("a:b:c", False), ("a:1", False), ("a:999999999:5", False), ("a:0:0", True), ("a:1:wrong", False),
     ("a:{own}", True), ("a:{parents}", True), ("a:{pid}:7", False), ("a:²:b", False), ("a:٣:b", False), ("a:-1:b", False),
     (f"a:{'9' * 5000}:b", False), ("a:\udcff:b", False)],
)  # fmt: skip
def test_a_mark_is_heeded_while_its_process_lives_and_is_an_ancestor(value, marked):
    """A process is known by its number and start time together, since numbers are used again."""
    own, parents = (f"{pid}:{start_time(pid)}" for pid in (os.getpid(), os.getppid()))
    mark = value.format(own=own, parents=parents, pid=os.getpid())

    assert is_marked("myengine", {"MYENGINE_USAGE_RUN": mark}) is marked


@pytest.mark.parametrize(("generations", "marked"), [(0, True), (1, True), (2, True), (40, True), (63, True), (64, False), (90, False)])
def test_a_mark_is_heeded_up_to_sixty_four_generations_down(monkeypatch, generations, marked):
    """The number of looks at other processes is bounded; process 1 has no ancestor."""
    line = [os.getpid(), *range(5_000_100, 5_000_000, -1), 1]
    parents = dict(itertools.pairwise(line))
    monkeypatch.setattr(marker.os, "getppid", lambda: line[1])
    monkeypatch.setattr(marker, "_stat", lambda pid: ["S", str(parents[pid]), *["0"] * 17, f"start of {pid}"])
    ancestor = line[generations]

    assert is_marked("myengine", {"MYENGINE_USAGE_RUN": f"a:{ancestor}:start of {ancestor}"}) is marked


@pytest.mark.parametrize(("parents", "process", "marked"), [
    ({5_000_001: 2, 2: 1}, 1, True),
    ({5_000_001: 5_000_002, 5_000_002: 1, 1: 5_000_003}, 5_000_003, False),
    ({5_000_001: 5_000_002}, 5_000_002, True),
], ids=["process 1", "above process 1", "below one that can't be seen"])  # fmt: skip
def test_the_line_of_ancestors_ends_at_process_1_and_at_one_that_can_not_be_seen(monkeypatch, parents, process, marked):
    """In a container process 1 may be the launcher; a hidden process hides its ancestors, and nothing raises."""
    monkeypatch.setattr(marker.os, "getppid", lambda: 5_000_001)
    monkeypatch.setattr(marker, "start_time", lambda _: "5")
    monkeypatch.setattr(marker, "_stat", lambda pid: ["S", str(parents[pid])] if pid in parents else [])

    assert is_marked("myengine", {"MYENGINE_USAGE_RUN": f"a:{process}:5"}) is marked


def test_a_process_is_told_by_when_it_started_whatever_its_name_is(tmp_path):
    """The kernel gives the start in ticks since boot after the name, which may hold any text of that line."""
    program = tmp_path / "a) S 1 (b"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as child:
        ticks, unknown = start_time(child.pid), start_time(999999999)
        started = psutil.Process(child.pid).create_time() - psutil.boot_time()
        child.kill()

    assert (int(ticks) / os.sysconf("SC_CLK_TCK"), unknown) == (pytest.approx(started, abs=0.1), "")


def test_the_mark_is_random_and_never_the_reports_id(home):
    """It says only that there was a report."""
    mark("myengine")
    first = os.environ["MYENGINE_USAGE_RUN"]
    mark("myengine")
    token, pid, start = os.environ["MYENGINE_USAGE_RUN"].split(":")

    assert (len(token), int(pid), start) == (16, os.getpid(), start_time(os.getpid()))
    assert first != os.environ["MYENGINE_USAGE_RUN"]


def test_a_launcher_can_hand_the_mark_and_the_opt_outs_to_workers_elsewhere(monkeypatch):
    """Those workers inherit no environment and have no ancestor here."""
    before = child_env()
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "otlp")
    usage = UsageReporter("myengine")
    usage.report()
    usage.flush()
    monkeypatch.setenv("MYENGINE_NO_USAGE_STATS", "")
    monkeypatch.setenv("VLLM_USAGE_RUN", "a:999999999:5")
    handed = child_env()
    token = os.environ["MYENGINE_USAGE_RUN"].split(":")[0]

    assert (before, handed) == (
        {}, {"OTEL_USAGE_EXPORTER": "otlp", "MYENGINE_NO_USAGE_STATS": "", "MYENGINE_USAGE_RUN": f"{token}:0:0"},
    )  # fmt: skip
    assert is_marked("myengine", handed)


@pytest.mark.parametrize("value", ["a:²:b", f"a:{'9' * 5000}:b", ":::", "\udcff:\udcff:\udcff"])
def test_a_mark_that_is_none_is_not_handed_on(monkeypatch, value):
    """Nothing raises, neither here nor in a report."""
    monkeypatch.setenv("VLLM_USAGE_RUN", value)

    assert child_env() == {}


def test_an_embedder_turns_an_app_off_and_is_named(monkeypatch):
    """The app is off in this process and its children; other apps are as they were."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_USAGE_SUPPRESSED_MYENGINE", "")
    monkeypatch.delenv("OTEL_USAGE_SUPPRESSED_MYENGINE")
    suppress("myengine", by="ray")
    decision = decide("myengine")

    assert (decision.mode, decision.decided_by, decision.signal.value) == ("off", "OTEL_USAGE_SUPPRESSED_MYENGINE", "ray")
    assert decide("vllm").mode == "on"
    with pytest.raises(ValueError, match="is no app's name"):
        suppress("My Engine", by="ray")


@pytest.mark.parametrize("when", ["before", "after"])
def test_suppression_holds_before_and_after_import(reports, when):
    """Nothing is reported in either order, nor in any child."""
    suppress = "import otel_usage; otel_usage.suppress('myengine', by='ray')\n"
    code = f"report(); fork(fresh); subprocess.run([sys.executable, '-c', {WORKER!r}], check=True)"
    suppressed = reports(code, before=suppress) if when == "before" else reports(suppress + code)

    assert (suppressed, len(reports(code))) == ([], 1)


def test_without_a_directory_or_a_lock_each_reports(home):
    """There is no other way to pick one process."""
    with_both = [marker.elect(str(home / ".config/myengine"), 1) for _ in range(2)]
    nowhere = [marker.elect(None, 1) for _ in range(2)]
    without_a_lock = [marker.elect("/proc/nowhere", 1) for _ in range(2)]

    assert (with_both, nowhere, without_a_lock) == ([True, False], [True, True], [True, True])


def test_the_locks_of_runs_that_are_over_are_deleted(home):
    """They go at the next pick. The locks of a living run and of another container stay, and so do other files."""
    directory = home / ".config/myengine"
    directory.mkdir(parents=True)
    picked = f"usage_run.{os.getpid()}.{start_time(os.getpid())}.lock"
    living, held = f"usage_run.{os.getppid()}.{start_time(os.getppid())}.lock", "usage_run.999999998.5.lock"
    others = ["usage_run.x.1.lock", "usage_run.²³.1.lock", "usage_run.999999999.5.mine", "usage_run.999999999.x.lock"]
    for name in ("usage_run.999999999.5.lock", f"usage_run.{os.getppid()}.1.lock", living, held, *others):
        (directory / name).touch()
    with open(directory / held) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        marker.elect(str(directory), os.getpid())

    assert sorted(path.name for path in directory.iterdir()) == sorted([picked, living, held, *others])


def test_two_that_sweep_at_once_pick_one(home, monkeypatch):
    """A lock that the other process has already deleted is no error, and the next one is deleted."""
    directory = home / ".config/myengine"
    directory.mkdir(parents=True)
    (directory / "usage_run.999999998.5.lock").touch()
    with monkeypatch.context() as patch:
        patch.setattr(marker.os, "listdir", lambda _: ["usage_run.999999999.5.lock", "usage_run.999999998.5.lock"])
        picked = [marker.elect(str(directory), os.getpid()) for _ in range(2)]

    assert picked == [True, False]
    assert [path.name for path in directory.iterdir()] == [f"usage_run.{os.getpid()}.{start_time(os.getpid())}.lock"]


FORKS = """
import threading
report()
done = threading.Event()
def hammer():
    while not done.is_set():
        usage.report()
        usage.set_runtime()
thread = threading.Thread(target=hammer, daemon=True)
thread.start()
for _ in range({forks}):
    pid = os.fork()
    if pid == 0:
        usage.report()
        usage.close()
        usage.flush(0.1)
        os._exit(7)
    for _ in range(200):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.01)
    else:
        raise SystemExit("a forked child hangs")
    if os.waitstatus_to_exitcode(status) != 7:
        raise SystemExit("a forked child died")
done.set()
thread.join()
"""


@pytest.mark.soak
def test_many_forks_under_load_hang_nothing_and_report_once(reports, size):
    """A lock or a thread of the parent at the fork stops no child for more than 2 s."""
    assert len(reports(FORKS.format(forks=size(150, 1_000)))) == 1
