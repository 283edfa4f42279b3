"""`verify-off` proves that off does nothing, and notices when it does something."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import otel_usage
from otel_usage.cli import verify

REPORTS = """
from otel_usage import UsageReporter
usage = UsageReporter("vllm", endpoint="http://127.0.0.1:9")
usage.report()
usage.flush(2)
"""


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("name", ["vllm", "myengine"])
def test_off_does_nothing(shell, home, name):
    """By the environment and by a file: no thread, socket, subprocess, import, descriptor, library or file."""
    status, out, err = shell("--app", name, "verify-off")

    assert (status, out.splitlines(), err) == (0, [
        "opted out by DO_NOT_TRACK: nothing was done",
        "opted out by a do_not_track file: nothing was done",
        "off does nothing.",
    ], "")  # fmt: skip
    assert list(home.iterdir()) == []


@pytest.fixture
def broken(tmp_path):
    """A copy of the package whose gate is broken; run its verify-off."""
    copy = tmp_path / "broken" / "otel_usage"
    shutil.copytree(Path(otel_usage.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "consent.py").open("a") as consent:
        consent.write("\n\ndef decide(*_, **__):\n    return Decision(ON)\n")

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", "from otel_usage.cli import main; main()", "verify-off", *arguments],
            env={**os.environ, "PYTHONPATH": str(copy.parent)}, capture_output=True, text=True, timeout=60, check=False,
            cwd=copy.parent,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_broken_gate_is_noticed(broken):
    """Threads, modules and files are named, and the exit status is 1."""
    status, out, _ = broken()

    assert (status, out.splitlines()[-1]) == (1, "OFF DOES SOMETHING: please report this as a bug.")
    assert [act for act in ("a thread is started", "a new module: psutil", "usage_stats.json", "os.mkdir") if act not in out] == []
    assert "stats.vllm.ai" not in out


def test_a_report_that_does_not_end_proves_nothing(command, monkeypatch):
    """The check has failed, and says so."""
    monkeypatch.setattr(verify, "TIMEOUT", 0.01)
    status, out, _ = command("verify-off")

    assert (status, out.count("  the check itself failed: it did not end within 0.01 s\n")) == (1, 2)


def test_for_programs_it_prints_json(broken, shell):
    """Whether it passed, and what was done by each check."""
    failed, passed = json.loads(broken("--json")[1]), json.loads(shell("verify-off", "--json")[1])

    assert passed == {
        "app": "vllm", "passed": True, "checks": {"opted out by DO_NOT_TRACK": [], "opted out by a do_not_track file": []},
    }  # fmt: skip
    assert (failed["passed"], "a thread is started" in failed["checks"]["opted out by DO_NOT_TRACK"]) == (False, True)


def test_a_command_is_run_opted_out_and_watched(shell, home):
    """It may do what it likes; what otel_usage does in it is looked at."""
    code = f"import socket, subprocess, threading{REPORTS}open('mine', 'w')\nsubprocess.run(['true'])\nsocket.socket()"
    status, out, err = shell("verify-off", "--", sys.executable, "-c", code)

    assert (status, out.splitlines(), err) == (0, ["the command, opted out: nothing was done", "off does nothing."], "")


def test_in_a_command_a_broken_gate_is_noticed_too(broken):
    """By the same watch."""
    status, out, _ = broken("--", sys.executable, "-c", REPORTS)

    assert (status, "a thread is started" in out, "usage_stats.json" in out) == (1, True, True)


def test_a_commands_own_options_and_output_are_its_own(shell):
    """Whether `--` stands before it or not; beside JSON, what it prints is not on the output."""
    code = f"import sys; print(sys.argv[1:]){REPORTS}"
    results = [shell("verify-off", "--json", *dashes, sys.executable, "-c", code, "--json", "--help") for dashes in ([], ["--"])]

    assert [(status, json.loads(out), err) for status, out, err in results] == [
        (0, {"app": "vllm", "passed": True, "checks": {"the command, opted out": []}}, "['--json', '--help']\n")
    ] * 2


def test_a_command_that_never_loads_it_is_said_so(shell):
    """Nothing was done, and nothing was proven."""
    status, _, err = shell("verify-off", "--", sys.executable, "-c", "pass")

    assert (status, err) == (0, "The command never loaded otel_usage (exit status 0).\n")


def test_a_command_that_can_not_be_watched_proves_nothing(shell):
    """It is no Python, or a Python that ignores its environment."""
    results = [shell("verify-off", "--", *command)[:2] for command in (["true"], [sys.executable, "-I", "-c", "pass"])]

    assert [status for status, _ in results] == [1, 1]
    assert all("could not be watched" in out for _, out in results)


def test_a_command_that_there_is_not_is_one_line(shell):
    """With exit status 1."""
    assert shell("verify-off", "--", "/nonexistent") == (1, "", "otel-usage: can't run /nonexistent: No such file or directory\n")
