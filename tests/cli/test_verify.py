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
from otel_usage.delivery import outbox

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

    assert (status, out.count("  the check itself failed: it did not end within 0.01 s\n")) == (3, 2)
    assert out.endswith("It could not be watched, so nothing is proven.\n")


def test_for_programs_it_prints_json(broken, shell):
    """The verdict, and what was done by each check."""
    failed, passed = json.loads(broken("--json")[1]), json.loads(shell("verify-off", "--json")[1])

    assert passed == {
        "app": "vllm", "verdict": "nothing", "unwatched": [], "would_delete": 0,
        "checks": {"opted out by DO_NOT_TRACK": [], "opted out by a do_not_track file": []},
    }  # fmt: skip
    assert failed["verdict"] == "something"
    assert "a thread is started" in failed["checks"]["opted out by DO_NOT_TRACK"]


def test_it_needs_a_place_of_its_own(command, monkeypatch):
    """Without one nothing is proven, and the exit status is that of what could not be watched."""

    def nowhere(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(verify.tempfile, "TemporaryDirectory", nowhere)

    assert command("verify-off") == (
        3, "", "otel-usage: can't watch anything without a temporary directory: No space left on device\n",
    )  # fmt: skip


def test_a_command_is_run_opted_out_and_watched(shell, home):
    """It may do what it likes; what otel_usage does in it is looked at."""
    code = f"import socket, subprocess, threading{REPORTS}open('mine', 'w')\nsubprocess.run(['true'])\nsocket.socket()"
    status, out, err = shell("verify-off", "--", sys.executable, "-c", code)

    assert (status, out.splitlines(), err) == (0, ["the command, opted out: nothing was done", "off does nothing."], "")


def snapshot(place):
    """Return every file below a place with what it holds, when it changed, and each directory."""
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in sorted(place.rglob("*"))}


def test_in_a_command_a_broken_gate_is_noticed_too_and_does_nothing(broken, home):
    """By the same watch, which prevents each act."""
    status, out, _ = broken("--", sys.executable, "-c", REPORTS)

    assert (status, out.splitlines()[-1]) == (1, "OFF DOES SOMETHING: please report this as a bug.")
    assert "a thread is started" in out
    assert snapshot(home) == {}


DIRECT = """
from otel_usage.system.private_files import append_line
from otel_usage.delivery.outbox import clear, put
from otel_usage.consent import config_directory
from otel_usage.cli.settings import forget, set_mode
place = config_directory("vllm")
for act in (lambda: append_line(place + "/usage_stats.json", "{}"), lambda: forget(place), lambda: set_mode(place, "on"),
            lambda: put(place, {}, collected=1, kind="report", run="new"), lambda: clear(place)):
    try:
        act()
    except OSError as error:
        print(error.strerror)
"""


def test_whatever_the_package_would_write_or_remove_is_prevented(shell, home):
    """The operator's history, mode and outbox are as they were."""
    config = home / ".config" / "vllm"
    outbox.put(str(config), {}, collected=1, kind="report", run="r").leave()
    for name in ("usage_stats.json", "usage_deliveries.json"):
        (config / name).write_text("{}\n")
    before = snapshot(home)
    status, out, _ = shell("verify-off", "--json", "--", sys.executable, "-c", DIRECT)
    found = json.loads(out)
    acts = found["checks"]["the command, opted out"]

    assert (status, found["verdict"], found["would_delete"], snapshot(home)) == (1, "something", 1, before)
    assert [act for act in acts if "usage_stats.json" in act] == [
        "open 'usage_stats.json'", "os.remove 'usage_stats.json'", "os.remove 'usage_stats.json.1'",
    ]  # fmt: skip


@pytest.mark.usefixtures("made_up_app")
def test_what_waits_stays_and_is_counted(shell, home):
    """Opting out deletes it, which is no bug; a check does not."""
    config = home / ".config" / "vllm"
    for number in range(3):
        outbox.put(str(config), {}, collected=number, kind="report", run="r").leave()
    (config / "usage_outbox" / "mine").touch()
    before = snapshot(home)
    status, out, err = shell("verify-off", "--", sys.executable, "-c", REPORTS)

    assert (status, out.splitlines(), err) == (0, [
        "the command, opted out: nothing was done",
        "  3 unsent would be deleted, as whenever the mode is not on; here they stay",
        "off does nothing.",
    ], "")  # fmt: skip
    assert snapshot(home) == before


def test_a_commands_own_options_and_output_are_its_own(shell):
    """Whether `--` stands before it or not; beside JSON, what it prints is not on the output."""
    code = f"import sys; print(sys.argv[1:]){REPORTS}"
    results = [shell("verify-off", "--json", *dashes, sys.executable, "-c", code, "--json", "--help") for dashes in ([], ["--"])]
    found = {"app": "vllm", "verdict": "nothing", "unwatched": [], "would_delete": 0, "checks": {"the command, opted out": []}}

    assert [(status, json.loads(out), err) for status, out, err in results] == [(0, found, "['--json', '--help']\n")] * 2


def test_a_command_that_never_loads_it_is_said_so(shell):
    """Nothing was done, and nothing was proven."""
    status, _, err = shell("verify-off", "--", sys.executable, "-c", "pass")

    assert (status, err) == (0, "The command never loaded otel_usage (exit status 0).\n")


@pytest.mark.parametrize(("end", "said"), [("import sys; sys.exit(7)", "exit status 7"), ("import os; os._exit(7)", "exit status 7"),
                                           ("import os; os.kill(os.getpid(), 9)", "ended by signal 9")])  # fmt: skip
def test_a_command_that_fails_was_watched_until_then(shell, end, said):
    """However it ends; that it loaded otel_usage is known all the same."""
    results = [shell("verify-off", "--", sys.executable, "-c", REPORTS + end), shell("verify-off", "--", sys.executable, "-c", DIRECT + end)]

    assert [(status, err) for status, _, err in results] == [(status, f"The command failed ({said}): it was watched until then.\n") for status in (0, 1)]


CHILD = "import os, subprocess, sys; subprocess.run([sys.executable, *{options}, '-c', 'pass'], env={environment})"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["true"], "the command starts no Python that reads PYTHONPATH"),
        ([sys.executable, "-I", "-c", "pass"], "the command starts no Python that reads PYTHONPATH"),
        ([sys.executable, "-S", "-c", "pass"], "the command starts no Python that reads PYTHONPATH"),
        (["/nonexistent"], "can't run /nonexistent: No such file or directory"),
        ([sys.executable, "-c", CHILD.format(options=[], environment={})], "it starts {python} without the environment that it was given"),
        ([sys.executable, "-c", CHILD.format(options=["-Es"], environment=None)], "it starts {python} so that it ignores its environment"),
        ([sys.executable, "-c", "import os, sys; os.execve(sys.executable, ['python', '-c', 'pass'], {})"],
         "it starts {python} without the environment that it was given"),
        ([sys.executable, "-c", "import os; open(os.path.expanduser('~/.config/vllm/usage_mode'), 'w')"], "changed meanwhile, by no process that was watched"),
    ],
    ids=["no Python", "-I", "-S", "nothing", "a child without it", "a child that ignores it", "in its place", "a change"],
)  # fmt: skip
def test_a_command_that_can_not_be_watched_proves_nothing(shell, home, command, reason):
    """It has an exit status of its own."""
    (home / ".config" / "vllm").mkdir(parents=True)
    status, out, _ = shell("verify-off", "--json", "--", *command)
    found = json.loads(out)

    assert (status, found["verdict"], found["checks"]) == (3, "unwatched", {"the command, opted out": []})
    assert [gap for gap in found["unwatched"] if not gap.startswith(reason.format(python=os.path.basename(sys.executable)))] == []


def test_what_can_not_be_watched_is_said_to_people_too(shell):
    """With the reason."""
    assert shell("verify-off", "--", "true")[:2] == (3, (
        "the command, opted out: it could not be watched\n  the command starts no Python that reads PYTHONPATH\n"
        "It could not be watched, so nothing is proven.\n"
    ))  # fmt: skip


def test_children_that_take_the_environment_along_are_watched(shell, home):
    """As by most ways of starting them."""
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {DIRECT!r}])"
    status, out, _ = shell("verify-off", "--json", "--", sys.executable, "-c", code)
    (acts,) = json.loads(out)["checks"].values()

    assert (status, sorted(set(acts)), snapshot(home)) == (1, ["os.mkdir '.config'"], {})


def test_the_operators_own_sitecustomize_is_loaded_and_the_path_is_as_it_was(shell, tmp_path, monkeypatch):
    """The watch takes its place in the path, and gives way."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import sys\nsys.mine = __file__\n")
    code = "import sitecustomize, sys; print(sitecustomize.__file__ == sys.mine, [p for p in sys.path if 'verify' in p])"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "own"))
    status, out, _ = shell("verify-off", "--", sys.executable, "-c", code)

    assert (status, out.splitlines()[0]) == (0, "True []")


def test_without_one_of_the_operators_nothing_is_said(shell):
    """Neither is there an error at the start."""
    status, out, err = shell("verify-off", "--", sys.executable, "-X", "dev", "-W", "error", "-c", REPORTS)

    assert (status, out.splitlines()[-1], err) == (0, "off does nothing.", "")


def test_a_host_that_closes_all_descriptors_writes_into_no_file_of_its_own(shell, tmp_path):
    """As daemons do: the watch holds no descriptor that could become the host's."""
    code = f"import os\nos.closerange(3, 256)\nfile = os.open({str(tmp_path / 'hosts')!r}, os.O_RDWR | os.O_CREAT)\n{DIRECT}"
    status, _, _ = shell("verify-off", "--", sys.executable, "-c", code)

    assert (status, (tmp_path / "hosts").read_bytes()) == (1, b"")


def test_python_may_cache_its_bytecode(tmp_path, home):
    """Which is no act of ours, where an installer has left that to the first run."""
    copy = tmp_path / "fresh" / "otel_usage"
    shutil.copytree(Path(otel_usage.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    main = [sys.executable, "-B", "-c", "from otel_usage.cli import main; main()", "verify-off"]
    done = [
        subprocess.run([*main, *command], env={**os.environ, "PYTHONPATH": str(copy.parent)}, capture_output=True, text=True, timeout=60, check=False, cwd=copy.parent)
        for command in ([], ["--", sys.executable, "-c", REPORTS])
    ]  # fmt: skip

    assert [(one.returncode, one.stdout.splitlines()[-1], one.stderr) for one in done] == [(0, "off does nothing.", "")] * 2


def test_a_copy_in_another_environment_is_watched_as_well(shell, tmp_path, home):
    """The command may have a Python, and an otel_usage, of its own."""
    copy = tmp_path / "other" / "otel_usage"
    shutil.copytree(Path(otel_usage.__file__).parent, copy)
    code = f"import sys; sys.path.insert(0, {str(copy.parent)!r})\n{DIRECT}"
    status, out, _ = shell("verify-off", "--json", "--", sys.executable, "-c", code)
    (acts,) = json.loads(out)["checks"].values()

    assert (status, sorted(set(acts)), snapshot(home)) == (1, ["os.mkdir '.config'"], {})


WRAPPED = """
import subprocess, threading, types, sys
usage = sys.modules["vllm.usage.usage_lib"] = types.ModuleType("vllm.usage.usage_lib")
class UsageMessage:
    def report_usage(self):
        subprocess.run(["true"])
        thread = threading.Thread(target=print, args=("the host's own",))
        thread.start()
        thread.join()
usage.UsageMessage, usage.set_runtime_usage_data = UsageMessage, print
from otel_usage.integrations import vllm_plugin
vllm_plugin._may_run = lambda: True
vllm_plugin.register()
UsageMessage().report_usage()
"""


def test_what_the_host_does_in_a_function_that_we_have_wrapped_is_its_own(shell):
    """As vLLM's are by its plugin: it is neither prevented nor counted."""
    status, out, err = shell("verify-off", "--", sys.executable, "-c", WRAPPED)

    assert (status, out.splitlines(), err) == (0, ["the host's own", "the command, opted out: nothing was done", "off does nothing."], "")
