"""The command line as a whole: help, and errors of one line with the cure."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_usage.cli import cli, status
from otel_usage.facts.scope import __version__


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_has_help_with_an_example(command, name):
    """That fits in a hundred columns."""
    status, out, err = command(name, "--help")

    assert (status, err) == (0, "")
    assert "\n  Example:\n" in out
    assert max(len(line) for line in out.splitlines()) <= 100


def test_the_help_names_every_command_in_whole_sentences(command):
    """None is cut for want of room."""
    status, out, err = command("--help")
    listed = out.partition("Commands:\n")[2].splitlines()

    assert (status, err, [line.split()[0] for line in listed]) == (0, "", sorted(cli.commands))
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_the_version_is_the_packages(command):
    """One line."""
    assert command("--version") == (0, f"otel-usage, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--app", "nope", "status"], "no app 'nope' is installed; the known ones are: vllm (see otel-usage status --help)"),
        (["--app", "\x1b[31m", "status"], "no app '\\x1b[31m' is installed; the known ones are: vllm (see otel-usage status --help)"),
        ([], "Missing command. (see otel-usage --help)"),
        (["nope"], "No such command 'nope'. (see otel-usage --help)"),
        (["report", "--set"], "Option '--set' requires an argument. (see otel-usage --help)"),
        (["preview", "--format", "xml"], "Invalid value for '--format': 'xml' is not one of 'table', 'json', 'otlp'. (see otel-usage preview --help)"),
        (["report", "extra"], "Got unexpected extra argument (extra) (see otel-usage report --help)"),
    ],
)  # fmt: skip
def test_misuse_is_one_line_and_exit_status_2(command, arguments, said):
    """The cause, and where the cure is."""
    status, out, err = command(*arguments)

    assert (status, out, err) == (2, "", f"otel-usage: {said}\n")


@pytest.mark.parametrize("name", cli.commands)
def test_an_option_that_there_is_not_is_one_line(command, name):
    """With exit status 2, for every command."""
    status, out, err = command(name, "--nope=1")

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--nope" in err
    assert err.endswith(f"(see otel-usage {name} --help)\n")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise RuntimeError('broken')", "app 'myengine' can't be loaded from myengine_app:APP: RuntimeError: broken"),
        ("import nothing_of_that_name", "app 'myengine' can't be loaded from myengine_app:APP: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("APP = 7", "app 'myengine' can't be loaded: myengine_app:APP is no otel_usage.App"),
    ],
)
@pytest.mark.usefixtures("made_up_app")
def test_an_app_that_can_not_be_loaded_is_one_line(shell, tmp_path, module, said):
    """Another package's fault is named as such."""
    (tmp_path / "myengine_app.py").write_text(module)
    status, out, err = shell("--app", "myengine", "facts", PYTHONPATH=f"{tmp_path}:{os.environ['PYTHONPATH']}")

    assert (status, out, err) == (2, "", f"otel-usage: {said} (see otel-usage facts --help)\n")


@pytest.mark.parametrize(
    ("line", "out", "err"),
    [
        ("{} facts --format json | head -1", "[\n", ""),
        ("{} status | true", "", ""),
        ("{} status >&-", "", ""),
        ("{} status >/dev/full", "", "otel-usage: No space left on device\n"),
        ("{} status --json >/dev/full", "", "otel-usage: No space left on device\n"),
        ("{} nope 2>&-", "", ""),
    ],
)
def test_an_output_that_is_gone_or_full_is_no_traceback(line, out, err):
    """As with `| head`; what can't be written is named in one line."""
    script = Path(sys.executable).with_name("otel-usage")
    done = subprocess.run(line.format(script), shell=True, capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout, done.stderr) == (out, err)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError(24, "Too many open files", "/a/file"), BrokenPipeError])
def test_whatever_ends_a_command_is_no_traceback(command, monkeypatch, raised):
    """An interrupt, an error of the system, a reader that is gone."""

    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(status, "signals", fail)
    code, out, err = command("status")

    assert (out, code, err.strip()) == ("", *{
        KeyboardInterrupt: (130, "otel-usage: interrupted"), BrokenPipeError: (1, ""),
    }.get(raised, (1, "otel-usage: Too many open files: /a/file")))  # fmt: skip


@pytest.mark.parametrize("words", [["status", "--json"], ["nope"], ["report", "--json"]], ids=lambda words: words[0])
@pytest.mark.parametrize("off", [False, True])
def test_the_package_is_the_command(shell, words, off):
    """By `python -m otel_usage`, with the same status, output and errors."""
    environment = {"DO_NOT_TRACK": "1"} if off else {"OTEL_USAGE_EXPORTER": "none"}
    module = subprocess.run([sys.executable, "-m", "otel_usage", *words], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    status, out, err = shell(*words, **environment)
    same = [re.sub(r'"(uuid|log_time)": [^,]+', "", text) for text in (out, module.stdout)]

    assert (module.returncode, module.stderr) == (status, err)
    assert same[0] == same[1]


INTERRUPTED = """
import sys, signal, threading, _thread
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from otel_usage.cli import main
sys.argv = ["otel-usage", *{words!r}]
main()
"""


@pytest.mark.parametrize("name", ["click", "otel_usage.cli.verify", "otel_usage.facts.registry", "rich.console", "psutil"])
def test_an_interrupt_at_any_moment_is_one_line(run_python, name):
    """Also while the command line itself is loaded."""
    done = run_python(INTERRUPTED.format(name=name, words=["preview"]))

    assert (done.returncode, done.stdout.partition("vllm")[0], done.stderr.strip()) == (130, "", "otel-usage: interrupted")


def test_a_second_interrupt_ends_it_at_once(run_python):
    """Without a traceback: by the signal, which a shell shows as 130 too."""
    done = run_python("""
        import signal, sys
        from otel_usage import cli
        class Twice:
            def __init__(self, stream):
                self.stream = stream
            def write(self, text):
                if "interrupted" in text:
                    signal.raise_signal(signal.SIGINT)
                return self.stream.write(text)
            def __getattr__(self, name):
                return getattr(self.stream, name)
        sys.stderr = Twice(sys.stderr)
        def interrupt(*_, **__):
            signal.raise_signal(signal.SIGINT)
        cli.status.signals = interrupt
        sys.argv = ["otel-usage", "status"]
        cli.main()
    """)

    assert (done.returncode, done.stdout, done.stderr.strip()) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("report", ["OTEL_EXPORTER_OTLP_ENDPOINT", "<APP>_USAGE_STATS_SERVER", "OTEL_USAGE_EXPORTER=otlp", "Exits with 1"]),
        ("preview", ["Exits with 0"]),
        ("status", ["DO_NOT_TRACK", "OTEL_SDK_DISABLED", "OTEL_USAGE_EXPORTER", "Exits with 0"]),
        ("apps", ["Exits with 0"]),
        ("show", ["$<APP>_CONFIG_ROOT", "$XDG_CONFIG_HOME", "Exits with 0"]),
        ("facts", ["Exits with 0"]),
        ("on", ["DO_NOT_TRACK", "Exits with 1"]),
        ("local", ["OTEL_USAGE_EXPORTER=none", "Exits with 1"]),
        ("off", ["DO_NOT_TRACK=1", "Exits with 1"]),
        ("verify-off", ["PYTHONPATH", "Exits with 0"]),
        ("stats", ["CLICKHOUSE_PASSWORD", "Exits with 0"]), ("demo-data", ["Exits with 1"]),
        ("forget", ["Exits with 1"]),
        ("collector", ["OTEL_USAGE_APPS", "Exits with 0"]),
    ],
)
def test_each_help_names_its_variables_and_exit_statuses(command, name, named):
    """Those that it depends on; with those, it takes --app and --json."""
    text = " ".join(command(name, "--help")[1].split())

    assert [word for word in [*named, *(["--app NAME"] if name != "apps" else []), "--json"] if word not in text] == []


def test_these_are_all_commands():
    """Else one could have a help that names nothing."""
    (mark,) = (mark for mark in test_each_help_names_its_variables_and_exit_statuses.pytestmark if mark.name == "parametrize")

    assert sorted(name for name, _ in mark.args[1]) == sorted(cli.commands)


@pytest.mark.slow
def test_an_interrupt_is_one_line(home):
    """No traceback, and the status that a shell gives."""
    child = subprocess.Popen([Path(sys.executable).with_name("otel-usage"), "verify-off", "--", sys.executable, "-c", "import time; time.sleep(30)"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    time.sleep(1)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=10)

    assert (child.returncode, err.splitlines()[-1]) == (130, "otel-usage: interrupted")
