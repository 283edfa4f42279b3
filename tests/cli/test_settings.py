"""What a user sets or deletes in an app's directory."""

import os
import time

import pytest

from otel_usage.cli import settings
from otel_usage.cli.settings import forget, set_mode
from otel_usage.consent import since
from otel_usage.delivery import outbox


def test_what_is_written_is_the_users_alone(tmp_path):
    """Files of mode 0600 in a directory of mode 0700, and no draft beside them."""
    folder = tmp_path / "new" / "config"
    set_mode(str(folder), "off")

    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"do_not_track": "0o600", "usage_mode": "0o600"}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_turning_it_on_notes_the_time(home):
    """Nothing that was collected until then is ever sent."""
    before = time.time()
    changes, _ = set_mode(str(home / ".config/vllm"), "on")
    word, text = (home / ".config/vllm/usage_mode").read_text().split()

    assert changes == [f"wrote on {text} to {home}/.config/vllm/usage_mode"]
    assert word == "on"
    assert before - 1e-5 <= since("vllm") <= time.time() + 1e-5


@pytest.mark.parametrize("mode", ["local", "off"])
def test_any_mode_but_on_deletes_what_waits(tmp_path, mode):
    """It is named; in mode on it stays."""
    names = [outbox.put(str(tmp_path), {}, collected=1, kind="report", run=run) for run in ("a", "b")]
    for entry in names:
        entry.leave()
    set_mode(str(tmp_path), "on")
    left = sorted(path.name for path in (tmp_path / "usage_outbox").iterdir())
    changes, _ = set_mode(str(tmp_path), mode)

    assert left == sorted(entry.name for entry in names)
    assert sorted(change for change in changes if "deleted" in change) == [f"deleted {tmp_path}/usage_outbox/{name}" for name in left]
    assert list((tmp_path / "usage_outbox").iterdir()) == []


def test_forgetting_names_what_is_gone_and_leaves_the_mode(tmp_path):
    """The history, the ledger, both with what was rotated, and what waits."""
    names = ["usage_stats.json", "usage_stats.json.1", "usage_deliveries.json", "usage_deliveries.json.1"]
    folder = tmp_path / "config"
    entry = outbox.put(str(folder), {}, collected=1, kind="report", run="a")
    entry.leave()
    for name in [*names, "usage_mode", "do_not_track"]:
        (folder / name).touch()
    gone = forget(str(folder))

    assert gone == [str(folder / name) for name in [*names, f"usage_outbox/{entry.name}"]]
    assert sorted(path.name for path in folder.rglob("*")) == ["do_not_track", "usage_mode", "usage_outbox"]


def test_a_mode_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """No draft is left where the disk is full."""
    folder = tmp_path / "config"
    set_mode(str(folder), "local")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(settings.os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        set_mode(str(folder), "on")

    assert {path.name: path.read_text() for path in folder.iterdir()} == {"usage_mode": "local\n"}


def test_where_on_can_not_be_written_off_holds(tmp_path, monkeypatch):
    """Its do_not_track is removed last: else what was collected before might be sent."""
    set_mode(str(tmp_path), "off")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(settings.os, "replace", fail)
    with pytest.raises(OSError, match="No space") as caught:
        set_mode(str(tmp_path), "on")

    assert ({path.name for path in tmp_path.iterdir() if path.is_file()}, caught.value.filename) == (
        {"do_not_track", "usage_mode"}, str(tmp_path / "usage_mode"),
    )  # fmt: skip


def test_a_draft_that_a_killed_process_left_is_in_nobodys_way(tmp_path):
    """In a container each process has the same number."""
    (tmp_path / f"usage_mode.{os.getpid()}.tmp").touch()
    changes, failures = set_mode(str(tmp_path), "local")

    assert (changes, failures) == ([f"wrote local to {tmp_path}/usage_mode"], [])


def test_what_can_not_be_forgotten_keeps_nothing_else(tmp_path):
    """All else is deleted before it is said."""
    (tmp_path / "usage_stats.json").mkdir()
    (tmp_path / "usage_deliveries.json").touch()
    outbox.put(str(tmp_path), {}, collected=1, kind="report", run="a").leave()
    with pytest.raises(IsADirectoryError) as caught:
        forget(str(tmp_path))

    assert (caught.value.filename, [path.name for path in tmp_path.rglob("usage_[do]*")]) == (str(tmp_path / "usage_stats.json"), ["usage_outbox"])
    assert list((tmp_path / "usage_outbox").iterdir()) == []


def test_a_mode_file_that_is_a_link_is_replaced_not_followed(tmp_path):
    """What it led to is as it was."""
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "usage_mode").symlink_to(tmp_path / "elsewhere")
    set_mode(str(tmp_path), "local")

    assert ((tmp_path / "usage_mode").read_text(), (tmp_path / "elsewhere").read_text()) == ("local\n", "mine")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir()])
def test_an_opt_out_of_another_kind_is_not_removed(tmp_path, make):
    """Nor waited for."""
    make(tmp_path / "do_not_track")
    set_mode(str(tmp_path), "on")

    assert (tmp_path / "do_not_track").exists()


def test_forgetting_where_nothing_is_is_no_error(tmp_path):
    """Neither in an empty directory, nor in none."""
    assert (forget(str(tmp_path)), forget(str(tmp_path / "nowhere"))) == ([], [])
