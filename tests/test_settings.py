"""What a user sets or deletes in an app's directory."""

import os

import pytest

from otel_usage import settings
from otel_usage.settings import forget, set_mode


def test_a_mode_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """No draft is left where the disk is full."""
    folder = tmp_path / "config"
    set_mode(str(folder), "local")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(settings.os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        set_mode(str(folder), "on")

    assert {path.name: path.read_text() for path in folder.iterdir()} == {"usage_mode": "local\n"}


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
