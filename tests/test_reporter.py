"""UsageReporter reports at once, once in a run, and never disturbs the host."""

import errno
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from myengine_app import APP

import otel_usage
from otel_usage import Fact, UsageReporter
from otel_usage.detect import Detection
from otel_usage.run import job


@pytest.fixture(autouse=True)
def quick_detectors(monkeypatch):
    """Detectors that find a small machine at once."""
    monkeypatch.setattr(job, "_detection", lambda _: Detection({"host": lambda: iter([("num_cpu", 2), ("gpu_count", 1)])}))


def test_the_six_lines_of_adoption_make_one_report(lines):
    """They have a name, a version, an endpoint and a declared fact; the report has the detected facts as well."""
    usage = UsageReporter("myengine", version="1.2.0", endpoint="https://stats.example.org",
                          facts=[Fact("quantization", str, why="which kernels to optimise first")])  # fmt: skip
    usage.report(context="API_SERVER", quantization="awq")
    usage.close()
    (line,) = lines()

    assert list(line) == list(usage.app.report_keys)
    assert {key: line[key] for key in ("num_cpu", "quantization", "context", "myengine_version", "source", "provider")} == {
        "num_cpu": 2, "quantization": "awq", "context": "API_SERVER", "myengine_version": "1.2.0", "source": "production",
        "provider": None,
    }  # fmt: skip


def test_a_second_call_in_the_same_run_does_nothing_unless_forced(lines):
    """One uuid names one reported configuration; `force` makes another report with another uuid."""
    with UsageReporter(APP) as usage:
        usage.report(quantization="awq")
        usage.report(quantization="gptq")
        usage.report(quantization="gptq", force=True)
    reports = lines()

    assert [report["quantization"] for report in reports] == ["awq", "gptq"]
    assert len({report["uuid"] for report in reports}) == 2


def test_threads_that_race_on_first_use_make_one_report(lines):
    """The thread that comes first reports."""
    usage = UsageReporter(APP)
    barrier = threading.Barrier(16)

    def race():
        barrier.wait()
        usage.report()

    threads = [threading.Thread(target=race) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    usage.close()

    assert len(lines()) == 1


def test_a_fact_that_is_passed_wins_over_its_detector_even_as_none(lines):
    """The app knows better than a detector."""
    with UsageReporter(APP) as usage:
        usage.report({"gpu_count": None}, num_cpu=4)
    (line,) = lines()

    assert (line["gpu_count"], line["num_cpu"]) == (None, 4)


def test_facts_are_those_known_at_the_call(lines):
    """Later changes of the mapping that was passed do not change the report."""
    facts = {"quantization": "awq"}
    usage = UsageReporter(APP)
    usage.report(facts)
    facts["quantization"] = "gptq"
    usage.close()

    assert lines()[0]["quantization"] == "awq"


def test_what_is_not_declared_is_dropped_and_counted(lines):
    """The host notices nothing, the other facts are reported, and the adopter can read the count."""
    usage = UsageReporter(APP)
    usage.report(secret="x", batch="eight", note="x" * 257, quantization="awq", scheduler="a/path")
    usage.flush()
    (line,) = lines()

    assert (usage.dropped, [line[key] for key in ("quantization", "scheduler", "batch", "note")]) == (4, ["awq", "a/path", None, None])


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"secret": "x"}, "usage of myengine: secret is not declared for a report of myengine"),
        ({"batch": "8"}, "usage of myengine: batch must be int, not str"),
        ({"quantization": "mine"}, "usage of myengine: myengine.config.quantization: 'mine' is not among the declared values"),
        ({"context": "X"}, "usage of myengine: context must be one of UNKNOWN_CONTEXT, API_SERVER, BATCH_RUNNER"),
    ],
)
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_strict_raises_what_production_drops(monkeypatch, lines, facts, problem, how):
    """strict=True or OTEL_USAGE_STRICT=1 raises, and nothing is reported then."""
    if how == "environment":
        monkeypatch.setenv("OTEL_USAGE_STRICT", "1")
    usage = UsageReporter(APP, strict=True if how == "argument" else None)

    with pytest.raises(ValueError, match="usage of myengine") as caught:
        usage.report(facts)

    assert (str(caught.value), lines()) == (problem, [])


@pytest.mark.parametrize("facts", [7, "text", [("a", 1)]])
def test_nothing_raises_into_the_host(facts):
    """This holds for any argument and any failure inside."""
    usage = UsageReporter(APP)
    usage.report(facts)
    usage.close()

    assert usage.flush(1) is True


SCRIPT = """
    from otel_usage import Fact, UsageReporter

    usage = UsageReporter("myengine", version="1.2.0", endpoint="http://127.0.0.1:9",
                          facts=[Fact("quantization", str, why="which kernels to optimise first")])
    usage.report(context="API_SERVER", quantization="awq")
"""
WITH = """
    from otel_usage import Fact, UsageReporter

    with UsageReporter("myengine", version="1.2.0", endpoint="http://127.0.0.1:9",
                       facts=[Fact("quantization", str, why="which kernels to optimise first")]) as usage:
        usage.report(context="API_SERVER", quantization="awq")
"""


def waiting(home):
    """Return what waits in the outbox, each entry as its values."""
    return [json.loads(path.read_text()) for path in sorted((home / ".config/myengine/usage_outbox").iterdir())]


def test_a_script_that_uses_the_block_reports_the_hardware(run_python, home):
    """The first snippet of the README, run as a script: the block waits for the detectors, and none is unfinished."""
    done = run_python(WITH)
    (entry,) = waiting(home)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {key: entry.get(key) for key in ("num_cpu", "detect_failed", "detect_unfinished")} == {
        "num_cpu": os.cpu_count(), "detect_failed": None, "detect_unfinished": None,
    }  # fmt: skip
    assert [key for key in ("cpu_type", "total_memory", "platform", "architecture") if entry.get(key) is None] == []


@pytest.mark.parametrize("alive", [0, 0.005, 0.01, 0.02, 0.03])
def test_a_script_that_ends_early_names_its_detectors_as_unfinished(run_python, home, alive):
    """None that had no time counts as failed, wherever in its work the end finds it."""
    done = run_python(f"{SCRIPT}    import time; time.sleep({alive})\n")
    (entry,) = waiting(home)
    unfinished = (entry.get("detect_unfinished") or "").split(",")

    assert (done.returncode, done.stderr, entry.get("detect_failed")) == (0, "", None)
    assert "num_cpu" in entry or "host" in unfinished


TOOL = """
    import sys
    from otel_usage import App, Fact, UsageReporter

    APP = App("myengine", version="1.2.0", endpoint=sys.argv[1], contexts=["COMMAND_LINE"],
              facts=[Fact("command", str, values=["build", "upgrade"], why="which commands to make faster")])

    with UsageReporter(APP, heartbeat=0) as usage:
        usage.report(context="COMMAND_LINE", command=sys.argv[2])
        if sys.argv[2] == "upgrade":
            usage.flush(timeout=20)
"""


def test_what_a_tool_that_ends_at_once_can_not_send_a_later_run_delivers(receiver, home, lines):
    """One report a run; each is delivered once, by the run of a command that can wait for the network."""
    for command in ("build", "build", "upgrade"):
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(TOOL), receiver.url, command],
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    sent = [resource for request in receiver.received for resource, _, _ in request.spans]

    assert [line["command"] for line in lines()] == ["build", "build", "upgrade"]
    assert sorted(resource["service.instance.id"] for resource in sent) == sorted(line["uuid"] for line in lines())
    assert [resource for resource in sent if "otel_usage.cpu.logical_count" not in resource] == []
    assert list((home / ".config/myengine/usage_outbox").iterdir()) == []


def test_nothing_of_an_app_whose_default_is_local_is_sent_until_a_setting_says_on(receiver, home, lines):
    """The file is written, and what it holds by then never leaves; a report after `on` is sent."""
    found = []
    for _ in range(2):
        usage = UsageReporter("myengine", endpoint=receiver.url, default="local")
        usage.report(force=True)
        flushed = usage.flush(20)
        usage.close()
        found.append((flushed, len(receiver.received), len(lines())))
        (home / ".config/myengine/usage_mode").write_text("on 2026-01-01T00:00:00Z")

    assert found == [(True, 0, 1), (True, 1, 2)]
    assert [resource["service.instance.id"] for resource, _, _ in receiver.only.spans] == [lines()[1]["uuid"]]


def test_a_runtime_fact_may_have_any_key():
    """Even that of a method's own parameter."""
    usage = UsageReporter("myengine", facts=[Fact("self", int, on="heartbeat", why="x")])
    usage.set_runtime(self=1)

    assert usage.dropped == 0


def test_an_app_is_declared_once():
    """A value that the App declares can't be passed again."""
    with pytest.raises(ValueError, match="what an App declares is not given a second time"):
        UsageReporter(APP, version="2")


@pytest.mark.parametrize("signal", ["DO_NOT_TRACK", "MYENGINE_NO_USAGE_STATS"])
def test_opted_out_nothing_is_done(monkeypatch, home, signal):
    """There is no thread, file or detector, and nothing to wait for."""
    monkeypatch.setenv(signal, "0")
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: pytest.fail("a thread was started"))
    usage = UsageReporter(APP)
    usage.report(quantization="awq")
    usage.close()

    assert (usage.flush(1), list(home.iterdir())) == (True, [])


def test_an_opt_out_during_a_run_takes_effect_before_the_line_is_written(monkeypatch, home):
    """Consent is asked again right before the file is opened."""
    release = threading.Event()

    def slow():
        release.wait(10)
        yield "num_cpu", 2

    monkeypatch.setattr(job, "_detection", lambda _: Detection({"host": slow}))
    usage = UsageReporter(APP)
    usage.report()
    (home / ".config" / "myengine").mkdir(parents=True)
    (home / ".config" / "myengine" / "do_not_track").touch()
    release.set()
    flushed = usage.flush(5)

    assert (flushed, [path.name for path in (home / ".config" / "myengine").iterdir()]) == (True, ["do_not_track"])


def test_without_a_thread_nothing_is_reported_and_nothing_raises(monkeypatch, lines):
    """A thread limit is the host's choice; `flush` says that the line is not written."""

    def fail(*_):
        raise RuntimeError

    usage = UsageReporter(APP)
    monkeypatch.setattr("_thread.start_new_thread", fail)
    usage.report()

    assert (usage.flush(0.01), lines()) == (False, [])


def test_a_report_that_is_made_later_asks_again_before_anything_is_detected_or_written(monkeypatch, home):
    """After an opt-out in between not even the lock is made by which forked siblings pick one of them."""
    detected = []

    def fail(*_):
        raise RuntimeError

    def detect(known):
        detected.append(known)
        return Detection({})

    usage = UsageReporter(APP)
    monkeypatch.setattr(usage, "_born", os.getppid())
    monkeypatch.setattr(job, "_detection", detect)
    monkeypatch.setattr("_thread.start_new_thread", fail)
    usage.report()
    (home / ".config" / "myengine").mkdir(parents=True)
    (home / ".config" / "myengine" / "do_not_track").touch()
    usage.close()

    assert detected == []
    assert [path.name for path in (home / ".config" / "myengine").iterdir()] == ["do_not_track"]


def test_a_report_that_could_not_be_made_is_made_later(monkeypatch, lines):
    """The cause may be over by then: no free descriptor, or no memory."""
    detections = iter([OSError(errno.EMFILE, "made to fail")])

    def detect(_known):
        for error in detections:
            raise error
        return Detection({"host": lambda: iter(())})

    monkeypatch.setattr(job, "_detection", detect)
    monkeypatch.setattr(job, "FIRST_PAUSE", 0.02)
    usage = UsageReporter(APP)
    usage.report(quantization="awq")
    deadline = time.monotonic() + 5
    while not lines() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert [line["quantization"] for line in lines()] == ["awq"]


def test_close_waits_for_the_line_for_a_quarter_of_a_second_at_most(monkeypatch):
    """A detector that hangs does not delay the host."""
    release = threading.Event()
    monkeypatch.setattr(job, "_detection", lambda _: Detection({"gpu": lambda: iter([("x", release.wait(10))])}))
    usage = UsageReporter(APP)
    usage.report()
    start = time.monotonic()
    usage.close()
    took = time.monotonic() - start
    release.set()
    usage.flush()

    assert took < 1


def test_a_logger_is_told_what_was_dropped(caplog):
    """Only the adopter's own logger gets it, at debug level."""
    import logging

    caplog.set_level(logging.DEBUG)
    usage = UsageReporter(APP, logger=logging.getLogger("mine"))
    usage.report(secret="x")
    usage.flush()

    assert caplog.record_tuples == [("mine", logging.DEBUG, "dropped: secret is not declared for a report of myengine")]


def test_runtime_facts_are_admitted_and_what_is_not_declared_is_counted():
    """Only the facts that are declared for heartbeats are admitted."""
    usage = UsageReporter(APP, strict=False)
    usage.set_runtime(requests=7, batch=8, nonsense=1)
    for wrong, problem in (({"batch": 8}, "batch is not declared for a heartbeat"), ({"requests": 10**12}, "requests is not from")):
        with pytest.raises(ValueError, match=problem):
            UsageReporter(APP, strict=True).set_runtime(**wrong)

    assert (usage._run.runtime, usage.dropped) == ({"requests": 7}, 2)


def test_a_run_beats_while_it_lasts_and_not_after_it_was_closed(lines):
    """Each heartbeat has the latest runtime facts; the interval varies by a tenth."""
    usage = UsageReporter(APP, heartbeat=0.1)
    usage.report()
    usage.set_runtime(requests=7)
    deadline = time.monotonic() + 5
    while len(lines()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    usage.close()
    time.sleep(0.05)
    after = len(lines())
    time.sleep(0.3)

    assert len(lines()) == after >= 3
    assert [line["requests"] for line in lines()[1:3]] == [7, 7]
    assert {line["uuid"] for line in lines()} == {lines()[0]["uuid"]}


def test_without_an_interval_there_are_no_heartbeats():
    """The interval is 0 then."""
    planned = {}
    for interval in (0, 600):
        with UsageReporter(APP, heartbeat=interval) as usage:
            usage.report(force=True)
            usage.flush()
            planned[interval] = len(usage._run._worker._due)

    assert planned == {0: 0, 600: 1}


LAST = """
    import sys
    sys.path.insert(0, {support!r})
    from myengine_app import APP
    from otel_usage import UsageReporter
    usage = UsageReporter(APP)
    usage.report()
    usage.flush()
    usage.set_runtime(requests=9)
"""


@pytest.mark.parametrize(("end", "heartbeats"), [("", 1), ("raise SystemExit", 1), ("import os; os._exit(0)", 0)])
def test_a_clean_exit_leaves_a_last_heartbeat(run_python, lines, end, heartbeats):
    """It is left where the app passed runtime facts; a process that is killed leaves only its report."""
    support = str(Path(__file__).parent / "support")
    done = run_python(LAST.format(support=support) + f"    {end}\n", OTEL_USAGE_EXPORTER="none")
    found = lines()

    assert (done.returncode, done.stdout, done.stderr, len(found)) == (0, "", "", 1 + heartbeats)
    assert [line["requests"] for line in found[1:]] == [9] * heartbeats


EXIT = """
    import threading, time
    from otel_usage import UsageReporter, detect
    hangs = threading.Event()
    def hanging():
        yield "gpu_count", 3
        hangs.set()
        time.sleep(60)
    detect.DETECTORS["gpu"] = hanging
    usage = UsageReporter("myengine", version="1.2.0")
    usage.report(context="API_SERVER")
"""


@pytest.mark.parametrize("wait", ["", "    hangs.wait(10)\n"], ids=["at once", "while a detector hangs"])
def test_a_process_that_ends_at_once_leaves_its_line(run_python, lines, wait):
    """The line is written at exit, with null for detectors that have not answered."""
    start = time.monotonic()
    done = run_python(EXIT + wait, "-X", "dev")
    took = time.monotonic() - start
    (line,) = lines()

    assert (done.returncode, done.stderr, line["context"], line["myengine_version"]) == (0, "", "API_SERVER", "1.2.0")
    assert line["gpu_type"] is None
    assert not wait or line["gpu_count"] == 3
    assert took < 5


def test_importing_the_package_loads_nothing_heavy(run_python):
    """It loads no OpenTelemetry, psutil, pynvml or HTTP library, and no module that takes longer than the package itself."""
    done = run_python(f"""
        import sys
        sys.path.insert(0, {str(Path(otel_usage.__file__).parents[1])!r})
        import otel_usage
        print(sorted({{name.partition(".")[0] for name in sys.modules}} & {{
            "opentelemetry", "psutil", "pynvml", "requests", "urllib3", "http", "ssl", "socket", "typing", "enum",
            "dataclasses", "re", "json", "logging", "inspect"}}))
    """, "-S", "-E")  # `site` may load some of these before, so it is left out  # fmt: skip

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_opted_out_report_loads_and_starts_nothing(run_python):
    """No module is loaded and no thread is started."""
    done = run_python("""
        import os, sys
        from otel_usage import UsageReporter
        usage = UsageReporter("myengine", endpoint="https://stats.example.org")
        def state():
            return {*sys.modules, *(f"{place}/{name}" for place in ("/proc/self/task", "/proc/self/fd") for name in os.listdir(place))}
        before = state()
        usage.report(context="API_SERVER")
        print(sorted(state() ^ before), len(before) > 30)
    """, DO_NOT_TRACK="")  # fmt: skip

    assert (done.stdout, done.stderr) == ("[] True\n", "")


@pytest.mark.parametrize("part", ["addHandler", "addFilter"])
def test_a_logger_that_raises_costs_its_own_records_alone(receiver, lines, part):
    """The host's call, the line and the send go on: a handler of the host need not catch its exceptions."""

    class Raises(logging.Handler):
        def emit(self, record):
            raise OSError(record)

        filter = emit

    logger = logging.Manager(logging.RootLogger(logging.DEBUG)).getLogger("raises")
    getattr(logger, part)(Raises())
    usage = UsageReporter("myengine", endpoint=receiver.url, logger=logger)
    usage.report(undeclared=1)
    taken = usage.flush(10)

    assert taken
    assert len(lines()) == 1
    assert len(receiver.received) == 1
