"""How fast `otel-usage stats` counts a million collected spans, beside plain Python, in the same run, and in what memory.

Run it with `make bench-insights`; another number of reports may be given.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

REPORTS = 525_000
BY = "gpu_type", "model_architecture"
ATTRIBUTES = "otel_usage.gpu.model", "vllm.model.architecture"
PROGRAM = Path(sys.executable).with_name("otel-usage")


def counted(path):
    """Count as one would without a library: each line parsed, each span once."""
    seen, found = set(), Counter()
    with path.open("rb") as file:
        for line in file:
            for one in json.loads(line)["resourceSpans"]:
                attributes = {a["key"]: value for a in one["resource"]["attributes"] for value in a["value"].values()}
                for span in one["scopeSpans"][0]["spans"]:
                    ids = bytes.fromhex(span["traceId"] + span["spanId"])
                    if ids not in seen and span["name"] == "otel_usage.report":
                        seen.add(ids)
                        found[tuple(attributes.get(name, "(none)") for name in ATTRIBUTES)] += 1
    return found


def timed(function):
    """Return the seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def stats(path):
    """Run the command, and return what it counts, and the most memory that one of its processes had, in MiB."""
    child = subprocess.Popen([PROGRAM, "stats", path, "--by", ",".join(BY), "--source", "all", "--json"], stdout=subprocess.PIPE)
    output = child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    (question,) = json.loads(output)["questions"]
    return Counter({tuple(row[key] for key in BY): row["runs"] for row in question["rows"]}), usage.ru_maxrss / 1024


def main():
    """Print one line a figure."""
    reports = sys.argv[1] if len(sys.argv) > 1 else str(REPORTS)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([PROGRAM, "demo-data", "--reports", reports, "--out", directory], check=True, stdout=subprocess.DEVNULL)
        path = Path(directory, "usage.jsonl")
        size = path.stat().st_size / 1e6
        rounds = [(timed(lambda: stats(path)), timed(lambda: counted(path))) for _ in range(2)]
        (quick, (ours, memory)), (slow, theirs) = (min(column, key=lambda one: one[0]) for column in zip(*rounds, strict=True))
    assert ours == +theirs, "the counts differ"
    print(f"stats of {size:.0f} MB, {reports} reports  {quick:7.1f} s   {size / quick:.0f} MB/s, {slow / quick:.1f} x as fast as plain Python ({size / slow:.0f} MB/s)")
    print(f"memory of its largest process    {memory:7.0f} MiB  of this program {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


if __name__ == "__main__":
    main()
