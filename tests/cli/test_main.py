"""The command line as a whole: help, and errors of one line with the cure."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_usage.cli import cli
from otel_usage.version import __version__


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_has_help_with_an_example(command, name):
    """That fits in a hundred columns."""
    status, out, err = command(name, "--help")

    assert (status, err, "\n  Example:\n" in out) == (0, "", True)
    assert max(len(line) for line in out.splitlines()) <= 100


def test_the_version_is_the_packages(command):
    """One line."""
    assert command("--version") == (0, f"otel-usage, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--app", "nope", "status"], "no app 'nope' is installed; the known ones are: vllm (see otel-usage status --help)"),
        (["--app", "\x1b[31m", "status"], "no app '\\x1b[31m' is installed; the known ones are: vllm (see otel-usage status --help)"),
        (["nope"], "No such command 'nope'. (see otel-usage --help)"),
        (["report", "--set"], "Option '--set' requires an argument. (see otel-usage --help)"),
        (["preview", "--format", "xml"], "Invalid value for '--format': 'xml' is not one of 'table', 'json', 'otlp'. (see otel-usage preview --help)"),
        (["report", "extra"], "Got unexpected extra argument (extra) (see otel-usage report --help)"),
    ],
)  # fmt: skip
def test_misuse_is_one_line_and_exit_status_2(command, arguments, said):
    """The cause, and where the cure is."""
    status, out, err = command(*arguments)

    assert (status, out, err.count("\n"), err) == (2, "", 1, f"otel-usage: {said}\n")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise RuntimeError('broken')", "app 'myengine' can't be loaded from myengine_app:APP: RuntimeError: broken"),
        ("APP = 7", "app 'myengine' can't be loaded: myengine_app:APP is no otel_usage.App"),
    ],
)
@pytest.mark.usefixtures("made_up_app")
def test_an_app_that_can_not_be_loaded_is_one_line(shell, tmp_path, module, said):
    """Another package's fault is named as such."""
    (tmp_path / "myengine_app.py").write_text(module)
    status, out, err = shell("--app", "myengine", "facts", PYTHONPATH=f"{tmp_path}:{os.environ['PYTHONPATH']}")

    assert (status, out, err) == (2, "", f"otel-usage: {said} (see otel-usage facts --help)\n")


def test_a_reader_that_goes_away_is_no_error():
    """As with `| head`."""
    script = Path(sys.executable).with_name("otel-usage")
    done = subprocess.run(f"{script} facts --format json | head -1", shell=True, capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout, done.stderr) == ("[\n", "")


@pytest.mark.slow
def test_an_interrupt_is_one_line(home):
    """No traceback, and the status that a shell gives."""
    child = subprocess.Popen([Path(sys.executable).with_name("otel-usage"), "verify-off", "--", sys.executable, "-c", "import time; time.sleep(30)"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    time.sleep(1)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=10)

    assert (child.returncode, err.splitlines()[-1]) == (130, "otel-usage: interrupted")
