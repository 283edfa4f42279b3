"""Which quick tests reach which line of the package, and how long each takes; as a script it writes that as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import coverage
import pytest

QUICK = 3.0  # seconds; slower tests do not run on mutants


def function(test: str) -> str:
    """Return the id of a test without its parameters, which may hold a time or a process number of this run."""
    return test.partition("[")[0]


class Durations:
    """Notes how long each test function takes with all its parameters, and which did not pass."""

    def __init__(self):
        self.seconds, self.failed = {}, set()

    def pytest_runtest_logreport(self, report):
        """Note one phase of a test."""
        test = function(report.nodeid)
        self.seconds[test] = self.seconds.get(test, 0.0) + report.duration
        if not report.passed:
            self.failed.add(test)


def main(output: str) -> None:
    """Run the quick tests under coverage in the present directory, and write what they reach to `output`."""
    durations = Durations()
    pytest.main(
        ["-q", "-m", "not slow", "-p", "no:randomly", "-p", "no:cacheprovider", "--no-cov-on-fail",
         "--cov=otel_usage", "--cov-context=test", "--cov-report="],
        plugins=[durations],
    )  # fmt: skip
    data = coverage.CoverageData()
    data.read()
    quick = {test for test, taken in durations.seconds.items() if taken <= QUICK} - durations.failed
    lines = {}
    for file in data.measured_files():
        module = str(Path(file).relative_to(Path.cwd()))
        reached = data.contexts_by_lineno(file)
        lines[module] = {
            str(line): sorted(quick & {function(context.rpartition("|")[0]) for context in contexts})
            for line, contexts in reached.items()
        }
    Path(output).write_text(json.dumps({"seconds": durations.seconds, "quick": sorted(quick), "lines": lines}), encoding="utf-8")
    print(f"{len(durations.seconds)} tests, {len(durations.failed)} of them left out since they fail here")


if __name__ == "__main__":
    main(sys.argv[1])
