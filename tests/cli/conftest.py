"""The command line, in this process and in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_usage import cli


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command in this process, where pytest runs; return its exit status, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["otel-usage", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture
def shell(tmp_path):
    """Run the installed command in a process of its own, as a user does; return its exit status, output and errors."""

    def run(*arguments, **environment):
        done = subprocess.run(
            [Path(sys.executable).with_name("otel-usage"), *arguments],
            env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def config(home):
    """The directory that vLLM's reports are written to."""
    return home / ".config" / "vllm"
