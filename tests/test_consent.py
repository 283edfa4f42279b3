"""Consent follows from every signal of docs/design.md, "Signals", alone and together with others."""

import os
import socket
import sys

import pytest

from otel_usage import consent
from otel_usage.consent import LOCAL, OFF, ON, decide, signals


@pytest.fixture
def no_pytest(monkeypatch):
    """A process in which pytest does not run."""
    monkeypatch.delitem(sys.modules, "pytest")


pytestmark = pytest.mark.usefixtures("no_pytest")


@pytest.mark.parametrize("value", ["1", "0", "", "false", "no", " "])
@pytest.mark.parametrize("name", ["DO_NOT_TRACK", "VLLM_DO_NOT_TRACK", "VLLM_NO_USAGE_STATS", "OTEL_USAGE_SUPPRESSED_VLLM"])
def test_an_opt_out_variable_means_off_whatever_its_value(monkeypatch, name, value):
    """The variable only has to exist, with any value, also with an empty one or 0."""
    monkeypatch.setenv(name, value)
    decision = decide("vllm")

    assert (decision.mode, decision.decided_by, decision.signal.value) == (OFF, name, value)


@pytest.mark.parametrize(
    ("value", "mode"),
    [("true", OFF), (" TRUE ", OFF), ("1", OFF), ("yes", OFF), ("maybe", OFF), ("false", ON), (" False ", ON), ("", ON)],
)
def test_a_disabled_sdk_means_off_unless_it_says_false(monkeypatch, value, mode):
    """OTEL_SDK_DISABLED means off unless it is empty or false, stripped and in any case."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", value)

    assert decide("vllm").mode == mode


@pytest.mark.parametrize(
    ("value", "mode"),
    [("none", LOCAL), ("otlp,none", LOCAL), ("console", LOCAL), ("project,prject", LOCAL), ("NONE", LOCAL),
     ("", ON), (" , ", ON), ("project", ON), ("otlp , project", ON)],
)  # fmt: skip
def test_no_exporter_or_an_unknown_one_means_local(monkeypatch, value, mode):
    """One `none` or unknown word in OTEL_USAGE_EXPORTER is enough; an empty value counts as unset."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", value)

    assert decide("vllm").mode == mode


@pytest.mark.parametrize(
    ("exporter", "loopback", "mode"), [(None, False, LOCAL), (None, True, ON), ("otlp", False, ON), ("", False, LOCAL)]
)
def test_a_process_that_runs_pytest_stays_local_unless_it_was_pointed_somewhere(monkeypatch, exporter, loopback, mode):
    """A test run sends only to a chosen destination or to this machine."""
    monkeypatch.setitem(sys.modules, "pytest", pytest)
    if exporter is not None:
        monkeypatch.setenv("OTEL_USAGE_EXPORTER", exporter)

    assert decide("vllm", loopback=loopback).mode == mode


DIRECTORIES = {
    "VLLM_CONFIG_ROOT": "root", "XDG_CONFIG_HOME": "xdg/vllm", "HOME": "home/.config/vllm",
    "/etc/vllm": "etc/vllm", "/etc/otel-usage": "etc/otel-usage",
}  # fmt: skip


@pytest.fixture(params=DIRECTORIES)
def directory(request, tmp_path, monkeypatch):
    """One of the directories that are read, with all of them set."""
    for variable, place in list(DIRECTORIES.items())[:3]:
        (tmp_path / place).mkdir(parents=True)
        monkeypatch.setenv(variable, str(tmp_path / place.removesuffix("/.config/vllm").removesuffix("/vllm")))
    folder = tmp_path / DIRECTORIES[request.param]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def make_dangling(path):
    """Put a dangling symbolic link at `path`."""
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize("make", [lambda p: p.touch(), lambda p: p.mkdir(), make_dangling, os.mkfifo])
def test_an_opt_out_file_in_any_directory_means_off(directory, make):
    """do_not_track may be any kind of file."""
    make(directory / "do_not_track")
    decision = decide("vllm")

    assert (decision.mode, decision.decided_by) == (OFF, str(directory / "do_not_track"))


@pytest.mark.parametrize(
    ("text", "mode"),
    [("on", ON), ("on 2026-11-24T10:00:00Z\n", ON), (" local \n", LOCAL), ("off", OFF), ("", OFF), ("On", OFF),
     ("on yesterday", OFF), ("local 2026-11-24", OFF), ("onn", OFF), ("on\nlocal", OFF), ("\xff\xfe", OFF), ("on" * 1000, OFF)],
)  # fmt: skip
def test_a_mode_file_in_any_directory_is_heeded(directory, text, mode):
    """It holds one of three words, stripped; any other word means off."""
    (directory / "usage_mode").write_text(text, encoding="latin-1")

    assert decide("vllm").mode == mode


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), make_dangling, os.mkfifo])
def test_a_mode_file_that_is_no_regular_file_means_off(directory, make):
    """A directory, a link and a FIFO mean off, and a FIFO is not waited for."""
    make(directory / "usage_mode")
    decision = decide("vllm")

    assert (decision.mode, decision.decided_by) == (OFF, str(directory / "usage_mode"))


def test_a_link_to_a_mode_file_means_off(home, tmp_path):
    """The word must be in `usage_mode` itself and not in another file."""
    (home / ".config/vllm").mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("on")
    (home / ".config/vllm/usage_mode").symlink_to(tmp_path / "elsewhere")

    assert decide("vllm").mode == OFF


def test_a_socket_in_place_of_a_mode_file_means_off(home, monkeypatch):
    """A socket can't be opened, so the file counts as unreadable."""
    (home / ".config/vllm").mkdir(parents=True)
    monkeypatch.chdir(home / ".config/vllm")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("usage_mode")

        assert decide("vllm").mode == OFF


@pytest.mark.parametrize("error", [PermissionError(13, "EACCES"), OSError(5, "EIO"), OSError(40, "ELOOP"), OSError(36, "x")])
@pytest.mark.parametrize("call", ["lstat", "open"])
def test_a_file_that_can_not_be_looked_at_counts_as_there(home, monkeypatch, call, error):
    """Every error but ENOENT and ENOTDIR means off."""
    (home / ".config/vllm").mkdir(parents=True)
    (home / ".config/vllm/usage_mode").write_text("on")

    def fail(*_):
        raise error

    monkeypatch.setattr(consent.os, call, fail)

    assert decide("vllm").mode == OFF


@pytest.mark.parametrize(
    ("error", "value"), [(OSError(13, "x"), "EACCES"), (OSError(99999, "x"), "unreadable"), (OSError("x"), "unreadable")]
)
def test_what_kept_a_file_from_being_looked_at_is_shown(monkeypatch, error, value):
    """The signal has the name of the error number, where it has one."""

    def fail(_):
        raise error

    monkeypatch.setattr(consent.os, "lstat", fail)
    shown = {(s.value, s.means) for s in signals("vllm", os.environ) if s.name.endswith(("do_not_track", "usage_mode"))}

    assert shown == {(value, OFF)}


def test_that_there_is_no_mode_file_is_known_without_a_descriptor(monkeypatch):
    """A process that has no descriptor left has not opted out."""
    monkeypatch.setattr(consent.os, "open", lambda *_: pytest.fail("a file was opened"))

    assert decide("vllm").mode == ON


def test_a_file_in_place_of_a_directory_counts_as_nothing_there(home):
    """ENOTDIR means the same as ENOENT."""
    (home / ".config").touch()

    assert decide("vllm").mode == ON


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({"HOME": "relative", "XDG_CONFIG_HOME": "relative", "VLLM_CONFIG_ROOT": "relative"}, OFF),
        ({}, OFF),
        ({"HOME": ""}, OFF),
        ({"HOME": "", "VLLM_CONFIG_ROOT": "/nonexistent"}, ON),
        ({"HOME": "/nonexistent"}, ON),
        ({"HOME": "/none\0existent"}, OFF),
    ],
)
def test_without_a_directory_that_is_an_absolute_path_it_is_off(monkeypatch, environ, mode):
    """There is no place to look for an opt-out, since the account has no home either."""
    monkeypatch.setattr(consent, "_account_home", lambda: "")

    assert decide("vllm", environ).mode == mode


def test_the_account_is_asked_for_its_home_only_without_an_absolute_home(monkeypatch):
    """That look-up may go to the network."""
    asked = []
    monkeypatch.setattr(consent, "_account_home", lambda: asked.append(1) or "/nonexistent")
    decide("vllm", {"HOME": "/nonexistent", "VLLM_CONFIG_ROOT": "relative"})
    assert asked == []

    decide("vllm", {"HOME": "relative"})

    assert asked == [1]


def test_the_account_has_a_home():
    """The home in the passwd entry is a path, on any machine."""
    import pwd

    assert consent._account_home() == pwd.getpwuid(os.getuid()).pw_dir


@pytest.mark.parametrize(("error", "found"), [(ImportError, "~"), (KeyError, ""), (OSError, "")])
def test_an_account_that_can_not_be_asked_has_no_home(monkeypatch, error, found):
    """Without a passwd database the standard library's rule for this system counts."""

    def fail(_):
        raise error

    monkeypatch.setattr("pwd.getpwuid", fail)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(consent.os.path, "expanduser", lambda path: path)

    assert consent._account_home() == found


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({"VLLM_CONFIG_ROOT": "/r", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/r"),
        ({"VLLM_CONFIG_ROOT": "", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/vllm"),
        ({"VLLM_CONFIG_ROOT": "~/r", "HOME": "/h"}, "/h/r"),
        ({"XDG_CONFIG_HOME": "~/x", "HOME": "/h"}, "/h/x/vllm"),
        ({"VLLM_CONFIG_ROOT": "~ann/r", "HOME": "/h"}, "/h/.config/vllm"),
        ({"XDG_CONFIG_HOME": "x", "HOME": "/h"}, "/h/.config/vllm"),
        ({"HOME": "/"}, "/.config/vllm"),
    ],
)
def test_what_is_written_goes_to_the_first_directory_that_is_set(environ, directory):
    """The order is $<APP>_CONFIG_ROOT, $XDG_CONFIG_HOME/<app>, $HOME/.config/<app>."""
    assert consent.config_directory("vllm", environ) == directory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("on", 0), ("local", 0), ("on 2026-11-24T10:00:00Z", 1795514400), ("on 2026-11-24T10:00:00.500000Z", 1795514400.5),
     ("on 2026-11-24T10:00:00", 1795514400), ("on 2026-11-24", 1795478400)],
)  # fmt: skip
def test_the_time_at_which_it_was_turned_on_is_utc(home, text, seconds):
    """The Z may be missing; the time is 0 where nobody turned reporting on."""
    (home / ".config/vllm").mkdir(parents=True)
    (home / ".config/vllm/usage_mode").write_text(text)

    assert consent.since("vllm") == seconds


def test_any_off_wins_over_any_local_and_any_local_over_on(monkeypatch, home):
    """The order of the signals does not matter."""
    (home / ".config/vllm").mkdir(parents=True)
    (home / ".config/vllm/usage_mode").write_text("on 2026-11-24T10:00:00Z")
    modes = [decide("vllm").mode]
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "none")
    modes.append(decide("vllm").mode)
    (home / ".config/vllm/do_not_track").touch()
    modes.append(decide("vllm").mode)

    assert modes == [ON, LOCAL, OFF]


def test_an_apps_own_signals_are_no_one_elses(monkeypatch):
    """VLLM_DO_NOT_TRACK only counts for vllm; without an app only the signals that belong to no app count."""
    monkeypatch.setenv("VLLM_DO_NOT_TRACK", "1")

    assert (decide("vllm").mode, decide("myengine").mode, decide(None).mode) == (OFF, ON, ON)


def test_every_signal_is_listed_with_its_raw_value(monkeypatch, home, tmp_path):
    """`status` shows all signals, also those after the first that decides."""
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "otlp")
    config, etc = home / ".config/vllm", tmp_path / "etc"
    listed = [(s.name, s.value, s.means) for s in signals("vllm", os.environ)]

    assert listed == [
        ("DO_NOT_TRACK", "0", OFF),
        ("VLLM_DO_NOT_TRACK", None, None),
        ("VLLM_NO_USAGE_STATS", None, None),
        ("OTEL_USAGE_SUPPRESSED_VLLM", None, None),
        ("OTEL_SDK_DISABLED", None, None),
        ("OTEL_USAGE_EXPORTER", "otlp", None),
        ("pytest", None, None),
        *((str(d / name), None, None) for d in (config, etc / "vllm", etc / "otel-usage") for name in ("do_not_track", "usage_mode")),
    ]  # fmt: skip


def test_a_path_that_is_none_is_listed_as_such():
    """The list has both of its files, so that `status` shows why the mode is off."""
    listed = [(s.name, s.value, s.means) for s in signals(None, {}) if "\0" in s.name]
    listed += [(s.name, s.value, s.means) for s in signals("vllm", {"HOME": "/a\0b"}) if "\0" in s.name]

    assert listed == [(f"/a\0b/.config/vllm/{name}", "not a path", OFF) for name in ("do_not_track", "usage_mode")]


@pytest.mark.parametrize("value", ["https://stats.example.org", "user:password@host"])
def test_a_url_in_place_of_a_destination_is_not_shown(monkeypatch, value):
    """It may hold a password; it is an unknown word, so nothing is sent."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", value)
    decision = decide("vllm")

    assert (decision.mode, decision.signal.value) == (LOCAL, "(a URL)")


def test_a_test_run_without_a_known_destination_stays_local(monkeypatch):
    """A test run sends only where its destination is known to be on this machine."""
    monkeypatch.setitem(sys.modules, "pytest", pytest)

    assert decide("vllm").mode == LOCAL
    assert [s.means for s in signals("vllm", os.environ) if s.name == "pytest"] == [LOCAL]


def test_the_directory_without_a_home_is_the_accounts_unless_it_must_not_be_asked(monkeypatch):
    """That look-up may go to the network."""
    monkeypatch.setattr(consent, "_account_home", lambda: "/account")
    asked, unasked = consent.config_directory("vllm", {}), consent.config_directory("vllm", {}, ask_account=False)

    assert (asked, unasked) == ("/account/.config/vllm", None)


def test_an_opt_out_in_the_environment_looks_at_no_file(monkeypatch):
    """The first such signal decides: no file is opened or listed, and no name is looked up."""
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setattr(consent, "_files", lambda *_: pytest.fail("a file was looked at"))

    assert decide("vllm").mode == OFF


@pytest.mark.parametrize(
    ("settings", "environment", "mode", "decided_by"),
    [
        ({}, {}, LOCAL, "the app's default"),
        ({"home": "on 2026-11-25T01:00:00Z"}, {}, ON, "home"),
        ({"etc": "on"}, {}, ON, "etc"),
        ({"home": "local", "etc": "on"}, {}, LOCAL, "home"),
        ({"home": "on", "etc": "local"}, {}, LOCAL, "etc"),
        ({"home": "on", "etc": "off"}, {}, OFF, "etc"),
        ({"home": "on"}, {"OTEL_USAGE_EXPORTER": "none"}, LOCAL, "OTEL_USAGE_EXPORTER"),
        ({"home": "on"}, {"DO_NOT_TRACK": ""}, OFF, "DO_NOT_TRACK"),
        ({}, {"OTEL_USAGE_EXPORTER": "project,otlp"}, LOCAL, "the app's default"),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, LOCAL, "the app's default"),
        ({}, {"DO_NOT_TRACK": "1"}, OFF, "DO_NOT_TRACK"),
    ],
)
def test_an_app_whose_default_is_local_sends_only_where_a_setting_says_on(
    home, tmp_path, environ, settings, environment, mode, decided_by
):
    """Any off wins, then any local, then any on, then the app's default; a destination says where, and not whether."""
    files = {"home": home / ".config/myengine/usage_mode", "etc": tmp_path / "etc/otel-usage/usage_mode"}
    for place, word in settings.items():
        files[place].parent.mkdir(parents=True)
        files[place].write_text(word)
    environ(environment)
    decision = decide("myengine", default=LOCAL)

    assert (decision.mode, decision.decided_by) == (mode, str(files.get(decided_by, decided_by)))


@pytest.mark.parametrize("default", [ON, LOCAL])
def test_a_setting_that_says_on_is_named(home, default):
    """Whatever the app's default is: the user has decided."""
    path = home / ".config/myengine/usage_mode"
    path.parent.mkdir(parents=True)
    unset = decide("myengine", default=ON).decided_by
    path.write_text("on 2026-11-25T01:00:00Z")

    assert (unset, decide("myengine", default=default).decided_by) == ("default", str(path))
