"""Nothing is written or removed through another user's link, and no file that is not ours is removed."""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time

import pytest

from otel_usage import UsageReporter
from otel_usage.cli.settings import forget, set_mode
from otel_usage.delivery import outbox
from otel_usage.delivery.outbox import put
from otel_usage.run.marker import elect
from otel_usage.system import directory, trusted_path
from otel_usage.system.directory import APPEND, CREATE, READ, Directory
from otel_usage.system.private_files import append_line

NOBODY = 65534
NOW = time.time_ns()


def report(_):
    """Report as a program does, in a run of its own."""
    os.environ.pop("MYENGINE_USAGE_RUN", None)
    usage = UsageReporter("myengine", endpoint="http://127.0.0.1:9", logger=logging.getLogger("mine"))
    usage.report()
    usage.flush(5)


def opted_out(place):
    """Report while opted out, which deletes what waits."""
    os.environ["DO_NOT_TRACK"] = "1"
    report(place)
    del os.environ["DO_NOT_TRACK"]


ACTS = {
    "a report": report,
    "a report that is opted out": opted_out,
    "a line": lambda place: append_line(f"{place}/usage_stats.json", '{"new": 1}', max_bytes=4),
    "an entry": lambda place: put(place, {}, collected=NOW, kind="report", run="new").leave(),
    "on": lambda place: set_mode(place, "on"),
    "local": lambda place: set_mode(place, "local"),
    "off": lambda place: set_mode(place, "off"),
    "forget": forget,
    "a lock": lambda place: elect(str(place), os.getpid()),
    "clear": outbox.clear,
}
REMOVES = ["a report that is opted out", "local", "off", "forget", "clear"]


def do(act, place):
    """Do the act, and ignore the OSError of a refusal."""
    with contextlib.suppress(OSError):
        ACTS[act](str(place))


def tree(place):
    """Return every file below a place with what it holds, and each directory."""
    return {
        str(path.relative_to(place)): os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in sorted(place.rglob("*"))
    }


@pytest.fixture
def config(home):
    """The app's directory, which exists."""
    place = home / ".config" / "myengine"
    place.mkdir(parents=True, mode=0o700)
    return place


def fill(place):
    """Put every kind of file that we make there, and a file of somebody else."""
    entry = put(str(place), {}, collected=1, kind="report", run="old")
    entry.leave()
    for name in ("usage_stats.json", "usage_stats.json.1", "usage_deliveries.json", "usage_run.999999999.5.lock", "mine", "usage_outbox/mine"):
        (place / name).write_text("{}\n")
        (place / name).chmod(0o600)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("link", ["config", "app"])
def test_nothing_is_written_or_removed_through_another_users_link(tmp_path, monkeypatch, act, link):
    """Root works with another user's HOME, in which a link leads to a directory of root's own."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    (mine / "myengine").mkdir(parents=True, mode=0o700)
    fill(mine / "myengine")
    other.mkdir()
    if link == "config":
        (other / ".config").symlink_to(mine)
    else:
        (other / ".config").mkdir()
        (other / ".config" / "myengine").symlink_to(mine / "myengine")
    for path in (other, *other.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    monkeypatch.setenv("HOME", str(other))
    before = tree(mine)
    do(act, other / ".config" / "myengine")

    assert tree(mine) == before


@pytest.mark.parametrize("act", [*REMOVES, "a report", "an entry"])
def test_an_outbox_that_is_a_link_empties_no_other_directory(tmp_path, config, act):
    """It does not matter who made the link and how the files behind it are named."""
    fill(tmp_path / "elsewhere")
    (config / "usage_outbox").symlink_to(tmp_path / "elsewhere" / "usage_outbox")
    before = tree(tmp_path / "elsewhere")
    do(act, config)

    assert tree(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("act", REMOVES)
def test_only_what_we_have_put_into_the_outbox_is_removed(config, act):
    """A file under any other name stays and causes no error."""
    fill(config)
    foreign = ["mine", "1.json", "notes.tmp", f"{NOW}.5.ab.tmp", f"{NOW:020d}.5.report.u.json.bak", f"{NOW:020d}.²³.report.u.json", "x.unreadable"]
    for name in foreign:
        (config / "usage_outbox" / name).write_text("mine")
    for name in (f"{1:020d}.5.report.old.json.unreadable", f"{1:020d}.77.0a1b2c3d.tmp"):
        (config / "usage_outbox" / name).write_text("ours")
    ACTS[act](str(config))

    assert sorted(path.name for path in (config / "usage_outbox").iterdir()) == sorted(foreign)


def test_files_of_others_in_the_outbox_neither_count_nor_make_room(config):
    """It does not matter how many, large and old they are."""
    fill(config)
    for number in range(70):
        (config / "usage_outbox" / f"mine.{number}").write_text("x" * 2**15)
        os.utime(config / "usage_outbox" / f"mine.{number}", (1, 1))
    put(str(config), {}, collected=NOW, kind="report", run="new").leave()

    assert len(outbox.waiting(str(config))) == 2
    assert len(list((config / "usage_outbox").glob("mine.*"))) == 70


@pytest.mark.parametrize("target", ["absolute", "relative", "up"])
def test_a_link_of_our_own_is_followed(tmp_path, home, target):
    """A user may keep settings elsewhere; missing directories behind the link are made."""
    (tmp_path / "elsewhere").mkdir()
    (home / ".config").symlink_to({"absolute": tmp_path / "elsewhere", "relative": "../elsewhere", "up": "../home/.././/elsewhere"}[target])
    append_line(str(home / ".config" / "myengine" / "usage_stats.json"), "one")

    assert (tmp_path / "elsewhere" / "myengine" / "usage_stats.json").read_text() == "one\n"


def test_a_link_of_roots_is_followed_by_everybody():
    """On some machines /home is such a link. A directory on the way that can't be listed stops nobody."""
    code = f"""
import os, sys
from otel_usage.system.directory import CREATE, Directory
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
with Directory.open(sys.argv[1] + "/link/account/config", create=True) as folder:
    print(folder.open_file("file", CREATE) > 0, folder.names())
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o711)
        os.makedirs(f"{folder}/homes/account")
        os.chmod(f"{folder}/homes", 0o711)
        os.symlink(f"{folder}/homes", f"{folder}/link")
        os.chown(f"{folder}/homes/account", NOBODY, NOBODY)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("True ['file']\n", "")


OTHERS = "a link on the way belongs to another user"


@pytest.mark.parametrize(("owner", "said"), [(0, "opened"), (NOBODY, "opened"), (NOBODY - 1, OTHERS), (1, OTHERS)])
def test_a_link_is_followed_where_it_is_ours_or_roots(tmp_path, monkeypatch, owner, said):
    """The test runs as nobody, who owns the directory behind the link."""
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to("place")
    os.chown(tmp_path / "place", NOBODY, NOBODY)
    os.chown(tmp_path / "link", owner, owner, follow_symlinks=False)
    monkeypatch.setattr(directory.os, "geteuid", lambda: NOBODY)
    try:
        Directory.open(str(tmp_path / "link")).close()
        found = "opened"
    except PermissionError as error:
        found = error.strerror

    assert found == said


def test_another_users_directory_is_refused_and_stays_open_nowhere(tmp_path):
    """It is refused at the end of a path, inside a directory of ours, and as the parent of a new directory."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    before = len(os.listdir("/proc/self/fd"))
    with Directory.open(str(tmp_path)) as folder:
        opens = [
            lambda: Directory.open(str(tmp_path / "theirs")),
            lambda: Directory.open(str(tmp_path / "theirs" / "new"), create=True),
            lambda: folder.folder("theirs"),
        ]
        for refused in opens:
            with pytest.raises(PermissionError, match="the directory belongs to another user"):
                refused()

    assert len(os.listdir("/proc/self/fd")) == before
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_link_of_roots_in_another_users_directory_is_not_followed(tmp_path):
    """The owner of the directory can rename root's link, and root would then write to the wrong place."""
    (tmp_path / "roots").mkdir()
    (tmp_path / "home" / "account").mkdir(parents=True)
    (tmp_path / "home" / "account" / "backup").symlink_to(tmp_path / "roots")
    (tmp_path / "home" / "account" / "backup").rename(tmp_path / "home" / "account" / ".config")
    os.chown(tmp_path / "home" / "account", NOBODY, NOBODY)

    with pytest.raises(PermissionError, match="in another user's directory"):
        append_line(str(tmp_path / "home" / "account" / ".config" / "usage_stats.json"), "one")
    assert list((tmp_path / "roots").iterdir()) == []


def test_links_in_a_circle_are_an_error(tmp_path):
    """The walk stops after 40 links."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(OSError, match="too many links"):
        Directory.open(str(tmp_path / "a"))


@pytest.mark.parametrize(("links", "said"), [(40, "opened"), (41, "too many links on the way")])
def test_forty_links_are_followed_and_no_more(tmp_path, links, said):
    """Linux has the same bound."""
    (tmp_path / "0").mkdir()
    for number in range(links):
        (tmp_path / str(number + 1)).symlink_to(str(number))
    try:
        Directory.open(str(tmp_path / str(links))).close()
        found = "opened"
    except OSError as error:
        found = error.strerror

    assert found == said


def test_a_link_that_is_replaced_while_it_is_read_is_not_followed(tmp_path, monkeypatch):
    """Between the check of its owner and the reading of its target, another user's link could take its place."""
    (tmp_path / "link").symlink_to(tmp_path)
    readlink = os.readlink

    def replaced(name, *, dir_fd):
        os.rename(tmp_path / "link", tmp_path / "away")
        target = readlink("away", dir_fd=dir_fd)
        os.rename(tmp_path / "away", tmp_path / "link")
        return target

    monkeypatch.setattr(directory.os, "readlink", replaced)

    with pytest.raises(PermissionError, match="is being replaced"):
        Directory.open(str(tmp_path / "link"))


def test_what_is_opened_stays_the_same_directory(tmp_path):
    """A link that takes the place of an open directory leads nothing there."""
    (tmp_path / "config").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with Directory.open(str(tmp_path / "config")) as folder:
        (tmp_path / "config").rename(tmp_path / "moved")
        (tmp_path / "config").symlink_to("elsewhere")
        os.close(folder.open_file("file", CREATE))
        names = folder.names()
        folder.unlink("file")

    assert (names, list((tmp_path / "elsewhere").iterdir()), list((tmp_path / "moved").iterdir())) == (["file"], [], [])


def test_the_look_at_a_link_does_not_follow_it(tmp_path):
    """It tells of the link and not of its target."""
    (tmp_path / "link").symlink_to("nowhere")
    with Directory.open(str(tmp_path)) as folder:
        found = folder.lstat("link")

    assert found.st_ino == (tmp_path / "link").lstat().st_ino


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    """A relative path begins in the current directory."""
    monkeypatch.chdir(tmp_path)
    append_line("usage_stats.json", "one")
    append_line("more/usage_stats.json", "two")

    assert [(tmp_path / name).read_text() for name in ("usage_stats.json", "more/usage_stats.json")] == ["one\n", "two\n"]


@pytest.mark.parametrize("name", ["missing", "a/file", "a"])
def test_an_error_names_the_whole_path(tmp_path, name):
    """The error has the whole path instead of the bare name, and no descriptor stays open."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- the path is compared
        Directory.open(str(tmp_path / name / "b"))
    opened = caught.value.filename
    with Directory.open(str(tmp_path)) as folder, pytest.raises(OSError) as caught:  # noqa: PT011 -- the path is compared
        folder.open_file(name + "/b", READ)

    assert (opened, caught.value.filename) == (str(tmp_path / name / "b"), str(tmp_path / name / "b"))
    assert len(os.listdir("/proc/self/fd")) == before


MAKE = {
    "a FIFO": os.mkfifo,
    "a directory": os.mkdir,
    "a link": lambda place: os.symlink("elsewhere", place),
    "a second name": lambda place: os.link(place.with_name("elsewhere"), place),
    "another user's": lambda place: place.touch() or os.chown(place, NOBODY, NOBODY),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("flags", [READ, APPEND])
@pytest.mark.parametrize("there", MAKE)
def test_what_is_no_file_of_ours_alone_is_refused_at_once(tmp_path, flags, there):
    """To open a FIFO would wait for a process at its other end."""
    (tmp_path / "elsewhere").write_text("mine")
    MAKE[there](tmp_path / "file")
    before = len(os.listdir("/proc/self/fd"))
    with Directory.open(str(tmp_path)) as folder, pytest.raises(OSError):  # noqa: PT011 -- which one depends on what stands there
        folder.open_file("file", flags)

    assert (len(os.listdir("/proc/self/fd")), (tmp_path / "elsewhere").read_text()) == (before, "mine")


@pytest.mark.parametrize("there", ["a file", "a link to nothing"])
def test_a_new_file_takes_the_place_of_nothing(tmp_path, there):
    """A file under that name stays as it is, and nothing is made behind a link."""
    if there == "a file":
        (tmp_path / "new").write_text("mine")
    else:
        (tmp_path / "new").symlink_to("elsewhere")
    before = tree(tmp_path)
    with Directory.open(str(tmp_path)) as folder, pytest.raises(FileExistsError):
        folder.open_file("new", CREATE)

    assert tree(tmp_path) == before


@pytest.mark.parametrize("flags", [APPEND, CREATE])
def test_a_new_file_is_private_from_its_first_moment(tmp_path, monkeypatch, flags):
    """The umask does not matter: the file is created with mode 0600, and not narrowed afterwards."""
    monkeypatch.setattr(directory.os, "fchmod", lambda *_: None)
    before = os.umask(0)
    try:
        with Directory.open(str(tmp_path)) as folder:
            os.close(folder.open_file("file", flags))
    finally:
        os.umask(before)

    assert oct((tmp_path / "file").stat().st_mode & 0o777) == oct(0o600)


@pytest.mark.parametrize(("flags", "mode", "narrowed"), [
    (READ, 0o644, 0o644), (APPEND, 0o644, 0o600), (APPEND, 0o660, 0o600), (APPEND, 0o601, 0o600), (APPEND, 0o700, 0o600),
    (APPEND, 0o577, 0o600), (APPEND, 0o600, 0o600),
])  # fmt: skip
def test_a_file_that_others_may_use_is_narrowed_when_it_is_to_be_written(tmp_path, flags, mode, narrowed):
    """A file that is opened for writing gets mode 0600; a file that is only read keeps its mode."""
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    with Directory.open(str(tmp_path)) as folder:
        os.close(folder.open_file("file", flags))

    assert oct((tmp_path / "file").stat().st_mode & 0o777) == oct(narrowed)


@pytest.mark.parametrize(("lack", "relative"), [("", True), ("os.supports_dir_fd = set()", False), ("del os.O_DIRECTORY", False)])
def test_a_directory_is_held_open_where_the_system_has_both_the_calls_and_the_flag(run_python, lack, relative):
    """A system that lacks one of the two is reached by paths."""
    done = run_python(f"import os\n{lack}\nfrom otel_usage.system.directory import RELATIVE\nprint(RELATIVE)")

    assert (done.stdout, done.stderr) == (f"{relative}\n", "")


@pytest.mark.parametrize("relative", [True, False])
def test_what_is_missing_is_made_on_request_alone(tmp_path, monkeypatch, relative):
    """This holds for a path and for a directory inside another one."""
    monkeypatch.setattr(directory, "RELATIVE", relative)
    with Directory.open(str(tmp_path)) as folder:
        for opens in (lambda: Directory.open(str(tmp_path / "new")), lambda: folder.folder("new")):
            with pytest.raises(FileNotFoundError):
                opens()
        left = folder.names()
        folder.folder("new", create=True).close()
        Directory.open(str(tmp_path / "new" / "newer"), create=True).close()

    assert (left, tree(tmp_path)) == (["home"], {"home": None, "new": None, "new/newer": None})


@pytest.mark.parametrize("relative", [True, False])
def test_where_directories_can_not_be_held_open_paths_do(tmp_path, monkeypatch, relative):
    """Windows can't reach a file from an open directory, and the local file is written there too."""
    monkeypatch.setattr(directory, "RELATIVE", relative)
    path = tmp_path / "config" / "myengine" / "usage_stats.json"
    before = os.umask(0)
    try:
        for number in range(3):
            append_line(str(path), f"line {number}", max_bytes=8)
    finally:
        os.umask(before)
    with Directory.open(str(path.parent)) as folder:
        names = sorted(folder.names())
        sizes = [folder.lstat(name).st_size for name in names]
        folder.unlink("usage_stats.json")
        with folder.folder("more", create=True) as more:
            left = sorted(folder.names()), more.names()

    assert (names, sizes, left) == (["usage_stats.json", "usage_stats.json.1"], [7, 7], (["more", "usage_stats.json.1"], []))
    assert oct(path.parent.stat().st_mode & 0o777) == oct(0o700)


def test_a_system_that_can_not_open_a_directory_to_pass_alone_lists_it(tmp_path, monkeypatch):
    """One such system is macOS, which has no O_PATH; links are followed and refused by the same rules."""
    monkeypatch.setattr(trusted_path, "PASS", trusted_path.LIST)
    (tmp_path / "link").symlink_to("place")
    (tmp_path / "place").mkdir()
    append_line(str(tmp_path / "link" / "config" / "usage_stats.json"), "one")
    os.chown(tmp_path / "link", NOBODY, NOBODY, follow_symlinks=False)

    with pytest.raises(PermissionError, match="belongs to another user"):
        append_line(str(tmp_path / "link" / "config" / "usage_stats.json"), "two")

    assert (tmp_path / "place" / "config" / "usage_stats.json").read_text() == "one\n"
