"""Figures, as ratios within one run: each thing is measured in turn with what it is compared to, in fresh processes.

Nothing here passes or fails: machines differ. Run it with `make bench`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 9
TIMED = "import time; t = time.perf_counter(); {code}; print((time.perf_counter() - t) * 1e3)"
REPORTER = "from otel_usage import UsageReporter; usage = UsageReporter('myengine', endpoint='http://127.0.0.1:9')"
CALLS = """
import json, statistics, threading, time
{reporter}
facts = dict(context="API_SERVER")
def once(function):
    t = time.perf_counter(); function(); return (time.perf_counter() - t) * 1e6
ours = []
for _ in range(200):
    ours.append(once(lambda: usage.report(facts, force=True))); usage._run._jobs[-1].written.wait()
theirs = [once(threading.Thread(target=len, args=("",)).start) for _ in range(200)]
print(json.dumps([statistics.median(ours), sorted(ours)[197], statistics.median(theirs)]))
"""
DECISION = """
import json, statistics, time
from otel_usage.consent import decide
def once():
    t = time.perf_counter(); decide("myengine"); return (time.perf_counter() - t) * 1e6
print(json.dumps(statistics.median(once() for _ in range(1000))))
"""
LINE = "{reporter}; usage.report(); usage._run._jobs[0].written.wait()"


def run(code: str, **environment: str) -> float | list[float]:
    """Return what the code prints, as JSON, when it runs in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], "HOME": home, **environment},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return json.loads(done.stdout)


def medians(*codes: str, **environment: str) -> list[float]:
    """Run each code in turn, several times, and return their medians."""
    rounds = [[run(code, **environment) for code in codes] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def ended(work: str) -> float:
    """Return the milliseconds from the last statement of a program to its end."""
    with tempfile.TemporaryDirectory() as home:
        code = f"import time; {work}; print(time.time(), flush=True)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                                 env={"PATH": os.environ["PATH"], "HOME": home})  # fmt: skip
        last = float(child.stdout.readline())
        child.wait()
        return (time.time() - last) * 1e3


def main() -> None:
    """Print one line a figure."""
    ours, theirs = medians(TIMED.format(code="import otel_usage"), TIMED.format(code="import typing, dataclasses, enum, json"))
    print(f"import otel_usage                 {ours:7.1f} ms   {ours / theirs:5.2f} x typing, dataclasses, enum and json")
    line, plain = medians(TIMED.format(code=LINE.format(reporter=REPORTER)), TIMED.format(code="import psutil"))
    print(f"import, report, line in the file  {line:7.1f} ms   {line / plain:5.2f} x importing psutil alone")
    median, worst, start = run(CALLS.format(reporter=REPORTER), OTEL_USAGE_EXPORTER="none")
    print(f"report() on the caller's thread   {median:7.0f} us   {median / start:5.2f} x Thread.start; p99 {worst:.0f} us")
    off, on = run(DECISION, DO_NOT_TRACK="1"), run(DECISION)
    print(f"decision when opted out           {off:7.1f} us   {off / on:5.2f} x the decision when not")
    reported = statistics.median(ended(f"{REPORTER}; usage.report()") for _ in range(ROUNDS))
    nothing = statistics.median(ended("pass") for _ in range(ROUNDS))
    print(f"exit after report(), dead server  {reported:7.1f} ms   {reported - nothing:5.1f} ms more than without")


if __name__ == "__main__":
    main()
