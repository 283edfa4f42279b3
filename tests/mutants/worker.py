"""Runs tests against one mutant after the other, in a copy of the repository of its own.

It reads a line of JSON for each: the module's path, its source, and the tests. It answers with a line of JSON. Each run
is a fork of this process, which has pytest and its plugins loaded already, and is killed when it takes too long.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

POLL = 0.01
MEMORY = 4 * 2**30  # bytes, for a mutant that appends without end
LOG = ".tests.log"
OPTIONS = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--no-cov", "--timeout", "30"]


def load() -> None:
    """Load pytest's plugins, which is most of a short run; no module of the repository is loaded."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*OPTIONS, "--collect-only", "--noconftest", str(Path(__file__).parent)])


def run(tests: list[str], limit: float) -> str:
    """Run tests; return "passed", "failed", or "late" where they took longer than that many seconds."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os._exit(int(pytest.main([*OPTIONS, *tests])))
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            _end_group(child)
            return "passed" if os.waitstatus_to_exitcode(status) == 0 else "failed"
        time.sleep(POLL)
    _end_group(child)
    os.waitpid(child, 0)
    return "late"


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> None:
    """Answer each line of the standard input."""
    load()
    for line in sys.stdin:
        asked = json.loads(line)
        module, original = Path(asked["module"]), None
        try:
            if asked["source"] is not None:
                original = module.read_bytes()
                module.write_text(asked["source"], encoding="utf-8")
            print(json.dumps(run(asked["tests"], asked["limit"])), flush=True)
        finally:
            if original is not None:
                module.write_bytes(original)


if __name__ == "__main__":
    main()
