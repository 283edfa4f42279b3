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
# The costly part of what vLLM's reporter does for its line: the same calls of the same libraries.
LIKE_VLLM = """
import json, os, platform, threading, uuid
import cpuinfo, psutil, requests
def report():
    info = cpuinfo.get_cpu_info()
    facts = {"uuid": str(uuid.uuid4()), "num_cpu": os.cpu_count(), "cpu_type": info.get("brand_raw"), "platform": platform.platform(),
             "architecture": platform.machine(), "total_memory": psutil.virtual_memory().total}
    path = os.path.expanduser("~/.config/like/usage_stats.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as file:
        json.dump(facts, file)
        file.write("\\n")
    try:
        requests.post("http://127.0.0.1:9", json=facts)
    except requests.exceptions.RequestException:
        pass
thread = threading.Thread(target=report)
thread.start()
thread.join()
"""
SECONDS = """
import json, os, time
start, before = time.perf_counter(), os.times()
{code}
after = os.times()
print(json.dumps([(time.perf_counter() - start) * 1e3, (sum(after[:4]) - sum(before[:4])) * 1e3]))
"""
DELIVERED = "{reporter}; usage.report(); usage.flush(10)"
# The private memory that a report adds to a host that has the SDK loaded.
MEMORY = """
import gc, json
import opentelemetry.sdk.trace.export, opentelemetry.sdk.resources, opentelemetry.exporter.otlp.proto.http.trace_exporter
def dirty():
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty")) / 1024
before = dirty()
{reporter}; usage.report(); usage.flush(10)
print(json.dumps(dirty() - before))
"""
SPANS = """
import json, os, time
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from otel_usage.integrations.vllm import APP
from otel_usage.standalone.exporter import LocalFileSpanExporter
kept = InMemorySpanExporter()
resource = Resource({{"service.name": "vllm", "service.version": "0.32.0", "otel_usage.cpu.logical_count": 24, "vllm.config.dtype": "torch.float16",
                      "host.cpu.model.name": "Intel(R) Xeon(R) CPU @ 2.20GHz", "otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2}})
provider = TracerProvider(resource=resource, shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(kept))
provider.get_tracer("otel_usage").start_span("otel_usage.report", attributes={{"otel_usage.context": "LLM_CLASS"}}).end()
(span,) = kept.get_finished_spans()
home = os.environ["HOME"]
{make}
start = time.perf_counter()
for _ in range(2000):
    exporter.export([span])
print(json.dumps(2000 / (time.perf_counter() - start)))
"""
OURS = "exporter = LocalFileSpanExporter(APP, directory=home)"
OFFICIAL = "from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter; exporter = FileSpanExporter(path=home + '/spans')"
LINE = "{reporter}; usage.report(); usage._run._jobs[0].written.wait()"


def run(code: str, **environment: str) -> float | list[float]:
    """Run the code in a process of its own, and return the JSON that it prints."""
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
    """Print one line for each figure."""
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


    compare_reporters()
    memory = statistics.median(run(MEMORY.format(reporter=REPORTER)) for _ in range(ROUNDS))
    print(f"private memory that it adds       {memory:7.1f} MiB  in a host that has the SDK and an exporter loaded")
    compare_exporters()


def compare_reporters() -> None:
    """Print what a report costs beside one that is made in vLLM's way."""
    codes = [SECONDS.format(code=code) for code in (DELIVERED.format(reporter=REPORTER), LIKE_VLLM)]
    rounds = [[run(code, OTEL_USAGE_EXPORTER="none") for code in codes] for _ in range(ROUNDS)]
    for number, name in enumerate(("import, report, line in the file", "CPU of that, children included")):
        ours, theirs = (statistics.median(row[which][number] for row in rounds) for which in range(2))
        print(f"{name:<34}{ours:7.1f} ms   1/{theirs / ours:.1f} of a reporter like vLLM's ({theirs:.0f} ms)")


def compare_exporters() -> None:
    """Print how many spans a second each file exporter writes, with one span in a call."""
    ours = statistics.median(run(SPANS.format(make=OURS)) for _ in range(3))
    try:
        theirs = statistics.median(run(SPANS.format(make=OFFICIAL)) for _ in range(3))
    except subprocess.CalledProcessError:
        beside = "not compared: install opentelemetry-exporter-otlp-json-file of the SDK's release"
    else:
        beside = f"{ours / theirs:.1f} x the official exporter of OTLP in JSON ({theirs:.0f})"
    print(f"spans written by the file exporter{ours:7.0f} /s   {beside}")


if __name__ == "__main__":
    main()
