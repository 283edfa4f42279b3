"""`on`, `local`, `off`: set the mode, say what changed, and whether it holds."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def test_off_stops_everything(shell, config, receiver):
    """It leaves a file that other reporters of the app know as well, and deletes what waits."""
    (config / "usage_outbox").mkdir(parents=True)
    name = f"{1:020d}.1.report.r.json"
    (config / "usage_outbox" / name).touch()
    status, out, err = shell("off")
    report = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, err, out.splitlines()) == (0, "", [
        f"created {config}/do_not_track",
        f"wrote off to {config}/usage_mode",
        f"deleted {config}/usage_outbox/{name}",
        "vllm reports are off.",
    ])  # fmt: skip
    assert (report[0], receiver.received) == (1, [])
    assert [stat.S_IMODE((config / name).stat().st_mode) for name in ("do_not_track", "usage_mode")] == [0o600, 0o600]


def test_on_takes_back_what_off_did(shell, config):
    """And notes the time, before which nothing is ever sent."""
    shell("off")
    status, out, _ = shell("on")

    assert (status, sorted(os.listdir(config))) == (0, ["usage_mode"])
    assert re.fullmatch(f"on {TIME}\n", (config / "usage_mode").read_text())
    assert out.splitlines()[1:] == [
        f"removed {config}/do_not_track",
        "vllm reports are on.",
        "An engine's own run sends to https://stats.vllm.ai (project, json).",
    ]
    found = json.loads(shell("status", "--json")[1])

    assert (found["mode"], found["decided_by"]) == ("on", str(config / "usage_mode"))
    assert shell("status")[1].splitlines()[0] == "vllm reports are on, turned on here."


def test_local_keeps_the_file_and_sends_nothing(shell, config, receiver):
    """Until it is set again."""
    shell("local")
    status, _, _ = shell("report", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert (status, receiver.received, (config / "usage_mode").read_text()) == (0, [], "local\n")
    assert (config / "usage_stats.json").exists()


@pytest.mark.parametrize("text", ["", "mine", "written by otel-usage off; otel-usage on removes it\nand more"])
def test_an_opt_out_that_off_did_not_create_stays(shell, config, text):
    """It is named, since it still wins, and the exit status is 1."""
    config.mkdir(parents=True)
    (config / "do_not_track").write_text(text)
    status, _, err = shell("on")

    assert (status, (config / "do_not_track").read_text()) == (1, text)
    assert err == f"vllm reports stay off all the same, because {config}/do_not_track exists.\n"


def test_off_does_not_touch_an_opt_out_that_is_there(shell, config):
    """Nor does a link in its place lead anywhere."""
    config.mkdir(parents=True)
    (config / "do_not_track").symlink_to(config / "nowhere")
    status, out, _ = shell("off")

    assert (status, os.readlink(config / "do_not_track")) == (0, str(config / "nowhere"))
    assert sorted(os.listdir(config)) == ["do_not_track", "usage_mode"]
    assert "created" not in out


def test_another_signal_that_still_wins_is_named(shell):
    """Here, one of the environment."""
    status, _, err = shell("local", DO_NOT_TRACK="1")

    assert (status, err) == (1, "vllm reports stay off all the same, because DO_NOT_TRACK is '1'.\n")


@pytest.mark.usefixtures("made_up_app")
def test_each_app_has_a_mode_of_its_own(shell, home):
    """Turning one off leaves the other on."""
    shell("--app", "myengine", "off")
    modes = [json.loads(shell("--app", name, "status", "--json")[1])["mode"] for name in ("myengine", "vllm")]

    assert modes == ["off", "on"]


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_a_directory_that_can_not_be_written_is_one_line_with_the_cure(shell, home, mode):
    """The environment works without a file."""
    (home / ".config").touch()
    status, out, err = shell(mode)

    assert (status, out) == (1, "")
    assert err == (
        f"otel-usage: can't write {home}/.config/vllm: Not a directory; DO_NOT_TRACK=1 in the environment works without\n"
    )


@pytest.mark.parametrize("mode", ["on", "local"])
def test_what_stands_in_the_place_of_the_mode_is_named(command, config, mode):
    """Not the draft that could not be put there; none is left, and it still counts as off."""
    (config / "usage_mode").mkdir(parents=True)
    status, out, err = command(mode)

    assert (status, out, [name for name in os.listdir(config) if name.endswith(".tmp")]) == (1, "", [])
    assert err.startswith(f"otel-usage: can't write {config}/usage_mode: Is a directory; ")


def test_off_is_done_by_one_file_where_the_other_can_not_be_written(command, config):
    """What could not be done is said beside it."""
    (config / "usage_mode").mkdir(parents=True)

    assert command("off") == (
        0, f"created {config}/do_not_track\nvllm reports are off.\n", f"can't write {config}/usage_mode: Is a directory\n",
    )  # fmt: skip


DISK = """
import os, subprocess, sys
from otel_usage.delivery.outbox import put
home, config, before = os.environ["HOME"], os.path.join(os.environ["HOME"], ".config", "vllm"), set(sys.argv[2:])
subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[1], "tmpfs", home], check=True)
if "mode" in before:
    os.makedirs(config, 0o700)
    with open(os.path.join(config, "usage_mode"), "w") as file:
        file.write("on 2026-01-01T00:00:00Z")
if "entry" in before:
    put(config, {}, collected=1, kind="report", run="r").leave()
try:
    for number in range(999):
        with open(os.path.join(home, f"full.{number}"), "wb") as file:
            file.write(bytes(2**20 if "size" in sys.argv[1] else 0))
except OSError:
    pass
command = [os.path.join(os.path.dirname(sys.executable), "otel-usage")]
said = []
for words in (["off"], ["on"]):
    done = subprocess.run([*command, *words], capture_output=True, text=True)
    said.append([done.returncode, done.stdout, done.stderr])
    if words == ["off"]:
        mode = json.loads(subprocess.run([*command, "status", "--json"], capture_output=True, text=True).stdout)["mode"]
print(json.dumps([mode, *said]))
"""


@pytest.fixture
def on_full_disk(run_python):
    """Fill a disk of a process's own, where there is nothing but what is named; turn it off, then on again.

    Return the mode in between, and of both commands the exit status, output and errors.
    """

    def run(options, *before):
        done = subprocess.run(["unshare", "--mount", sys.executable, "-c", "import json" + DISK, options, *before], env=os.environ,
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip

        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run


NO_SPACE = "No space left on device"
BLOCKS, INODES = "size=64k", "nr_inodes=12"


def test_on_a_full_disk_an_empty_file_turns_it_off(on_full_disk, config):
    """It takes no block; turning it on later is refused for lack of room, and nothing is undone."""
    mode, off, on = on_full_disk(BLOCKS)

    assert (mode, off) == ("off", [
        0, f"created {config}/do_not_track\nvllm reports are off.\n",
        f"can't mark {config}/do_not_track as ours: {NO_SPACE}; `on` will not remove it\ncan't write {config}/usage_mode: {NO_SPACE}\n",
    ])  # fmt: skip
    assert on == [1, "", f"otel-usage: can't write {config}/usage_mode: {NO_SPACE}; DO_NOT_TRACK=1 in the environment works without\n"]


def test_an_empty_opt_out_that_bears_no_mark_is_named_by_on(on_full_disk, config):
    """Where the mode could be written over what was there, which takes no room."""
    mode, off, on = on_full_disk(BLOCKS, "mode")

    assert (mode, off) == ("off", [
        0, f"created {config}/do_not_track\nwrote off to {config}/usage_mode\nvllm reports are off.\n",
        f"can't mark {config}/do_not_track as ours: {NO_SPACE}; `on` will not remove it\n",
    ])  # fmt: skip
    assert (on[0], on[1]) == (1, "")


def test_without_a_free_inode_the_mode_that_is_there_is_written_over(on_full_disk, config):
    """No file can be made."""
    mode, off, on = on_full_disk(INODES, "mode")

    assert (mode, off) == ("off", [
        0, f"wrote off to {config}/usage_mode\nvllm reports are off.\n", f"can't create {config}/do_not_track: {NO_SPACE}\n",
    ])  # fmt: skip
    assert on == [1, "", f"otel-usage: can't write {config}/usage_mode: {NO_SPACE}; DO_NOT_TRACK=1 in the environment works without\n"]


def test_what_waits_makes_room_first(on_full_disk, config):
    """It is to be deleted anyway."""
    mode, off, _ = on_full_disk(INODES, "entry")

    assert (mode, off[0], off[1].splitlines()[0], off[2].count("usage_mode")) == ("off", 0, f"created {config}/do_not_track", 1)


def test_where_nothing_can_be_written_the_file_and_the_cure_are_named(on_full_disk, config):
    """And it is told that it failed."""
    mode, off, _ = on_full_disk(INODES)

    assert (mode, off) == ("on", [1, "", f"otel-usage: can't write {config}: {NO_SPACE}; DO_NOT_TRACK=1 in the environment works without\n"])


def test_going_from_mode_to_mode_leaves_one_word(command, config, monkeypatch):
    """Whatever was set before."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    said = [command(mode) for mode in ("off", "off", "local", "on", "local", "off", "on")]

    assert [(status, [line for line in out.splitlines() if line.startswith("vllm")], err) for status, out, err in said] == [
        (0, [f"vllm reports are {mode}."], "") for mode in ("off", "off", "local", "on", "local", "off", "on")
    ]
    assert [path.name for path in config.iterdir()] == ["usage_mode"]


def test_without_a_directory_it_says_what_to_set(command, monkeypatch):
    """In one line."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr("otel_usage.consent._account_home", lambda: "")

    assert command("off") == (1, "", "otel-usage: there is no directory to write to: set HOME to an absolute path\n")
