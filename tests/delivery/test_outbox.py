"""The outbox holds whole entries, each claimed by one process, within bounds, and touches no other file."""

import errno
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_usage.delivery import outbox
from otel_usage.delivery.outbox import claim, clear, depth, put, waiting
from otel_usage.system.file_names import entry_name

VALUES = {"uuid": "u", "log_time": 1, "note": "x"}
NOW = time.time_ns()


@pytest.fixture
def directory(tmp_path):
    """The app's directory, which exists."""
    (tmp_path / "config").mkdir(mode=0o700)
    return str(tmp_path / "config")


@pytest.fixture
def leave(directory):
    """Put an entry, give up its claim, and return its name."""

    def run(values=None, collected=NOW, kind="report", run="u"):
        entry = put(directory, values or VALUES, collected=collected, kind=kind, run=run)
        entry.leave()
        return entry.name

    return run


def box(directory):
    """Return the names in the outbox's folder."""
    return sorted(os.listdir(os.path.join(directory, "usage_outbox")))


def test_an_entry_is_a_private_file_that_names_its_time_inode_kind_and_run(directory, leave):
    """It lies in a directory of its own, and no draft is left."""
    name = leave()
    path = os.path.join(directory, "usage_outbox", name)
    found = os.stat(path)

    assert name == f"{NOW:020d}.{found.st_ino}.report.u.json"
    assert (json.loads(Path(path).read_text()), stat.S_IMODE(found.st_mode), box(directory)) == (VALUES, 0o600, [name])
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_what_was_put_can_be_claimed_once(directory, leave):
    """One process at a time has the claim; an entry that is left can be claimed again, and one that is removed is gone."""
    name = leave()
    first = claim(directory, name)
    second = claim(directory, name)
    first.leave()
    third = claim(directory, name)
    third.remove()

    assert (first.values, first.time, second, third.values) == (VALUES, NOW, None, VALUES)
    assert (claim(directory, name), waiting(directory)) == (None, [])


def test_an_entry_is_claimed_from_the_moment_it_has_its_name(directory):
    """No other process sends an entry that its maker is about to send."""
    entry = put(directory, VALUES, collected=NOW, kind="report", run="u")

    assert (waiting(directory), claim(directory, entry.name)) == ([entry.name], None)
    entry.leave()


def test_a_dead_processs_claim_is_taken_over(directory, leave):
    """The lock of a process ends with the process."""
    name = leave()
    code = "import sys, os; from otel_usage.delivery.outbox import claim; claim(*sys.argv[1:]); print('claimed', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code, directory, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    while_alive = claim(directory, name)
    child.kill()
    child.communicate()
    after = claim(directory, name)
    after.leave()

    assert (while_alive, after.values) == (None, VALUES)


def test_entries_are_listed_oldest_first_and_what_is_none_is_not(directory, leave):
    """Drafts, unreadable entries that were set aside, and other files are not listed."""
    names = [leave(collected=NOW + n) for n in (2, 1, 3)]
    for stranger in ("x.json", "1.json", f"{NOW}.5.report.u.json.unreadable", f"{NOW}.5.ab.tmp", "a.b.c.d.json"):
        open(os.path.join(directory, "usage_outbox", stranger), "w").close()

    assert waiting(directory) == [names[1], names[0], names[2]]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"7", b"[" * 60_000, b'{"a":' * 10_000, b"9" * 5_000, b"\x00", b'"\\ud800"', b"NaN"],
                         ids=lambda content: repr(content[:9]))
def test_what_can_not_be_read_is_set_aside_and_blocks_nothing(directory, leave, content):
    """The file keeps its content for a person to look at."""
    broken, whole = leave(collected=NOW), leave(collected=NOW + 1)
    with open(os.path.join(directory, "usage_outbox", broken), "wb") as file:
        file.write(content)
    found = claim(directory, broken), claim(directory, whole)
    found[1].leave()

    assert (found[0], found[1].values) == (None, VALUES)
    assert box(directory) == sorted([broken + ".unreadable", whole])


def test_a_claim_that_fails_is_given_up(directory, leave, monkeypatch):
    """It leaves no descriptor and no lock: once the disk works again, the entry can be claimed."""
    name = leave()
    before = len(os.listdir("/proc/self/fd"))

    def fail(*_):
        raise OSError(errno.EIO, "made to fail")

    with monkeypatch.context() as patch:
        patch.setattr(outbox.os, "read", fail)
        with pytest.raises(OSError, match="made to fail"):
            claim(directory, name)
    after = len(os.listdir("/proc/self/fd"))
    entry = claim(directory, name)
    entry.leave()

    assert (after, entry.values) == (before, VALUES)


def test_a_copied_home_sends_nothing(directory, leave, tmp_path):
    """The inode of a copy is not the one in its name: the copy is deleted, and the original stays."""
    name = leave()
    shutil.copytree(directory, tmp_path / "copy")

    assert claim(str(tmp_path / "copy"), name) is None
    assert (box(str(tmp_path / "copy")), box(directory)) == ([], [name])


def a_hard_link(path):
    """Give the entry a second name."""
    os.link(path, path + ".second")


def another_user(path):
    """Give the entry to another user."""
    os.chown(path, 65534, 65534)


def too_large(path):
    """Make the entry too large."""
    os.truncate(path, 65 * 1024)


@pytest.mark.parametrize("spoil", [a_hard_link, another_user, too_large])
def test_what_is_not_ours_alone_is_passed_over(directory, leave, spoil):
    """It is neither sent nor changed."""
    name = leave()
    path = os.path.join(directory, "usage_outbox", name)
    if spoil is another_user and os.geteuid() != 0:
        os.chmod(path, 0)  # only root can give a file away; an unreadable file is passed over as well
    else:
        spoil(path)

    assert claim(directory, name) is None
    assert name in box(directory)


def a_link(path, elsewhere):
    """Put a symbolic link to a whole entry there."""
    elsewhere.write_text(json.dumps(VALUES))
    path.symlink_to(elsewhere)


def a_fifo(path, elsewhere):
    """Put a FIFO there."""
    os.mkfifo(path)


def a_directory(path, elsewhere):
    """Put a directory there."""
    path.mkdir()


@pytest.mark.parametrize("make", [a_link, a_fifo, a_directory])
def test_a_link_a_fifo_and_a_directory_are_passed_over(directory, leave, tmp_path, make):
    """No link is followed and no FIFO is waited for, even where the name is right in every part."""
    leave()
    made = Path(directory, "usage_outbox", "made")
    make(made, tmp_path / "elsewhere")
    name = entry_name(NOW, made.stat().st_ino, "report", "u")
    made.rename(made.with_name(name))

    assert claim(directory, name) is None
    assert name in box(directory)


def test_an_outbox_that_is_a_link_is_not_followed(directory, tmp_path):
    """It is neither read nor written."""
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", os.path.join(directory, "usage_outbox"))

    with pytest.raises(OSError):  # noqa: PT011 -- ENOTDIR or ELOOP
        put(directory, VALUES, collected=NOW, kind="report", run="u")

    assert (waiting(directory), list((tmp_path / "elsewhere").iterdir())) == ([], [])


def test_there_are_64_entries_at_most_and_the_oldest_go_first(directory, leave):
    """The bound holds for any app, however long it is offline."""
    names = [leave(collected=NOW + n) for n in range(70)]

    assert waiting(directory) == names[6:]


def test_what_is_not_ours_keeps_no_room_from_being_made(directory, leave):
    """Other files are neither counted nor deleted, and the entries after them still are."""
    planted = leave(collected=1)
    a_hard_link(os.path.join(directory, "usage_outbox", planted))
    names = [leave(collected=NOW + n) for n in range(66)]

    assert waiting(directory) == names[2:]
    assert planted in box(directory)


def test_there_is_one_mebibyte_at_most(directory, leave):
    """Large entries also make the oldest ones go."""
    names = [leave({"note": "x" * 60_000}, collected=NOW + n) for n in range(20)]
    count, size, _ = depth(directory)

    assert (count, waiting(directory)) == (17, names[3:])
    assert 17 * 60_000 < size <= 2**20


def of_size(size):
    """Return values whose entry has exactly that many bytes."""
    return {"note": "x" * (size - len(json.dumps({"note": ""})))}


def test_an_entry_of_64_kib_is_put_listed_and_claimed(directory, leave):
    """Sixteen entries of exactly 64 KiB fill the mebibyte, and the seventeenth takes the place of the oldest."""
    names = [leave(of_size(64 * 1024), collected=NOW + n) for n in range(17)]
    entry = claim(directory, names[1])
    entry.leave()

    assert entry.values == of_size(64 * 1024)
    assert (waiting(directory), depth(directory)[:2]) == (names[1:], (16, 2**20))


@pytest.mark.parametrize("spoil", [lambda path: os.truncate(path, 2**30), lambda path: os.link(path, path + ".second")],
                         ids=["a sparse file", "a hard link"])  # fmt: skip
def test_files_that_no_entry_can_be_push_no_entry_out(directory, leave, spoil):
    """Files under our names may be many and large: they stay, and so does every entry."""
    name = leave()
    planted = [f"{NOW + 1 + number:020d}.5.report.planted.json" for number in range(70)]
    for other in planted:
        path = os.path.join(directory, "usage_outbox", other)
        os.close(os.open(path, os.O_CREAT, 0o600))
        spoil(path)
    newer = leave()

    assert waiting(directory) == sorted([name, newer])
    assert set(planted) < set(box(directory))


def test_an_entry_over_64_kib_is_not_put(directory, leave):
    """One byte more is too much; no file is left and no entry is pushed out."""
    name = leave()
    with pytest.raises(OSError, match="does not fit"):
        put(directory, of_size(64 * 1024 + 1), collected=NOW, kind="report", run="u")

    assert box(directory) == [name]


@pytest.mark.parametrize("kind", ["report", "heartbeat"])
def test_an_entry_that_another_process_sends_meanwhile_is_in_nobodys_way(directory, leave, monkeypatch, kind):
    """It may disappear after the listing, or before it is replaced."""
    gone, stays = leave(collected=NOW), leave(collected=NOW + 1)
    listed = os.listdir
    with monkeypatch.context() as patch:
        patch.setattr(outbox.os, "listdir", lambda folder: [*listed(folder), f"{1:020d}.5.{kind}.u.json"])
        new = leave(collected=NOW + 2, kind=kind)

    assert waiting(directory) == [gone, stays, new]


@pytest.fixture
def clock(monkeypatch):
    """A time in seconds at which the clock stands still."""
    monkeypatch.setattr(outbox.time, "time", lambda: 2e9)
    return 2e9


@pytest.mark.parametrize(("seconds", "left"), [(0, 2), (1, 1)])
def test_what_is_older_than_30_days_goes(directory, leave, clock, seconds, left):
    """It is deleted when the next entry is put, and not before its time."""
    old = leave(collected=NOW)
    written = clock - 30 * 24 * 3600 - seconds
    os.utime(os.path.join(directory, "usage_outbox", old), (written, written))
    newest = leave(collected=NOW + 1)

    assert waiting(directory) == [old, newest][-left:]


def test_of_a_runs_heartbeats_only_the_newest_waits(directory, leave):
    """The report of the run and the heartbeats of other runs stay beside it."""
    names = [leave(kind="report"), leave(kind="heartbeat", collected=NOW + 1), leave(kind="heartbeat", run="v", collected=NOW + 2),
             leave(kind="heartbeat", collected=NOW + 3)]  # fmt: skip

    assert waiting(directory) == [names[0], names[2], names[3]]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "open", "draft", "write", "replace"])
def test_a_disk_that_can_not_take_it_leaves_nothing_behind(directory, monkeypatch, call, code):
    """Neither a draft nor a descriptor is left, whether the directory, the draft, its content or its name fails."""
    before = len(os.listdir("/proc/self/fd"))
    name = "open" if call == "draft" else call
    real = getattr(os, name)

    def fail(*arguments, **more):
        if call == "draft" and not arguments[1] & os.O_CREAT:
            return real(*arguments, **more)
        raise OSError(code, "made to fail")

    with monkeypatch.context() as patch:
        patch.setattr(outbox.os, name, fail)
        with pytest.raises(OSError, match="made to fail") as caught:
            put(directory, VALUES, collected=NOW, kind="report", run="u")
    left = box(directory) if os.path.exists(os.path.join(directory, "usage_outbox")) else []

    assert (caught.value.errno, left, len(os.listdir("/proc/self/fd"))) == (code, [], before)


@pytest.mark.parametrize(("age", "claimed"), [(0, None), (59, None), (60, VALUES), (61, VALUES)])
def test_where_locks_do_not_work_an_entry_is_taken_over_after_a_lease(directory, leave, monkeypatch, age, claimed):
    """The lease is 60 s of the file's age and never depends on a process number; a claim begins a new lease."""

    def fail(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    name = leave()
    written = int(time.time())
    os.utime(os.path.join(directory, "usage_outbox", name), (written, written))
    with monkeypatch.context() as patch:
        patch.setattr(outbox.time, "time", lambda: float(written + age))
        entry = claim(directory, name)
    again = claim(directory, name)
    if entry is not None:
        entry.leave()

    found = None if entry is None else entry.values

    assert (found, again) == (claimed, None)


def test_looking_at_an_outbox_makes_none(directory):
    """A run that has nothing to send makes no directory."""
    found = waiting(directory), depth(directory), clear(directory)

    assert (found, os.listdir(directory)) == (([], (0, 0, None), []), [])


def test_an_entry_that_goes_between_the_listing_and_the_look_hides_no_other(directory, leave, monkeypatch):
    """The entries after it are listed."""
    names = [leave(collected=NOW + n) for n in range(2)]
    listed = os.listdir
    monkeypatch.setattr(outbox.os, "listdir", lambda folder: [f"{1:020d}.5.report.u.json", *listed(folder)])

    assert waiting(directory) == names


def test_a_heartbeat_that_is_sent_while_it_is_replaced_is_no_error(directory, leave, monkeypatch):
    """It is already gone when it is to be deleted, and the ones after it are deleted."""
    leave(kind="heartbeat", collected=NOW)
    with open(os.path.join(directory, "usage_outbox", f"{NOW + 1:020d}.5.heartbeat.u.json"), "w"):
        pass
    real, left = os.unlink, []

    def unlink(*arguments, **more):
        real(*arguments, **more)
        if not left:
            left.append(arguments)
            raise FileNotFoundError(errno.ENOENT, "gone meanwhile")

    with monkeypatch.context() as patch:
        patch.setattr(outbox.os, "unlink", unlink)
        newest = leave(kind="heartbeat", collected=NOW + 2)

    assert waiting(directory) == [newest]


def test_what_can_not_be_deleted_is_not_among_what_is_gone(directory, leave, monkeypatch):
    """The deletion goes on with the next entry."""
    names = [leave(collected=NOW + n) for n in range(3)]
    real = os.unlink

    def unlink(name, **more):
        if name == names[1]:
            raise PermissionError(errno.EPERM, "made to fail")
        real(name, **more)

    monkeypatch.setattr(outbox.os, "unlink", unlink)
    gone = clear(directory)

    assert [os.path.basename(path) for path in gone] == [names[0], names[2]]
    assert box(directory) == [names[1]]


def test_clearing_deletes_all_that_waits(directory, leave):
    """Entries that were set aside are deleted too; an empty or missing outbox is no error."""
    name = leave()
    open(os.path.join(directory, "usage_outbox", name + ".unreadable"), "w").close()
    gone = clear(directory)

    assert (len(gone), box(directory), clear(directory), clear(f"{directory}/nowhere")) == (2, [], [], [])


def test_the_depth_is_told_with_the_oldests_time(directory, leave):
    """`status` shows both."""
    leave(collected=NOW)
    leave(collected=NOW + 10**9)
    count, size, oldest = depth(directory)

    assert (count, size, oldest, depth(f"{directory}/nowhere")) == (2, 2 * len(json.dumps(VALUES)), NOW / 10**9, (0, 0, None))


CLAIM_ALL = """
import sys, time
from otel_usage.delivery.outbox import claim, waiting
print("ready", flush=True)
sys.stdin.readline()
while names := waiting(sys.argv[1]):
    for name in names:
        entry = claim(sys.argv[1], name)
        if entry is not None:
            print(name, flush=True)
            time.sleep(0.001)
            entry.remove()
"""


ODD = ["²³.1.report.x.json", f"{1:020d}.²³.report.x.json", f"{'9' * 220}.1.report.x.json", f"{1:020d}.{'9' * 200}.report.x.json", "٣.1.report.x.json",
       "\udcff.1.report.x.json", f"{1:020d}.5.report.\udcff.json", "....json", f"{1:020d}.-5.report.x.json"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_is_none_of_ours_is_no_entry_and_stops_nothing(directory, leave, name):
    """Odd digits, numbers beyond any clock, bytes that are no text: such a file is not listed, claimed, counted or removed."""
    ours = leave()
    path = os.path.join(directory, "usage_outbox", name)
    with open(path, "w"):
        pass
    newer = leave(kind="heartbeat", collected=NOW + 1)

    assert (waiting(directory), claim(directory, name), depth(directory)[0]) == ([ours, newer], None, 2)
    assert (clear(directory), os.listdir(os.path.dirname(path))) == ([os.path.join(os.path.dirname(path), n) for n in (ours, newer)], [name])


def locked(path):
    """Take every right to the file from everybody."""
    os.chmod(path, 0)


@pytest.mark.parametrize("spoil", [a_hard_link, another_user, too_large, locked, lambda path: os.unlink(path) or os.mkfifo(path),
                                   lambda path: os.unlink(path) or os.mkdir(path), lambda path: os.unlink(path) or os.symlink("/etc/passwd", path)],
                         ids=["a hard link", "another user's", "too large", "locked", "a FIFO", "a directory", "a link"])  # fmt: skip
def test_what_can_not_be_claimed_takes_nobodys_turn(directory, leave, spoil):
    """A run sends the four oldest entries of others, so a listed entry that nobody can claim would block them for good."""
    name = leave(collected=1)
    spoil(os.path.join(directory, "usage_outbox", name))
    newer = leave(collected=NOW)

    assert (waiting(directory), depth(directory)[0]) == ([newer], 1)


@pytest.mark.parametrize("run", ["../../../evil", "a.b", "\ud800", "\x00", "ü", "x" * 500, ""])
def test_no_id_that_an_app_passes_leads_out_of_the_outbox(directory, leave, run):
    """The name has only its letters and digits, and the heartbeats of the run are still recognised."""
    leave(kind="heartbeat", run=run, collected=1)
    newest = leave(kind="heartbeat", run=run, collected=2)

    assert (waiting(directory), [path for path in Path(directory).rglob("*") if path.is_file()]) == ([newest], [Path(directory, "usage_outbox", newest)])


def test_many_processes_claim_each_entry_exactly_once(directory, leave):
    """They run in parallel: no entry is sent twice, and none is forgotten."""
    names = [leave(collected=NOW + n, run=f"u{n}") for n in range(60)]
    children = [subprocess.Popen([sys.executable, "-c", CLAIM_ALL, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for _ in range(4)]  # fmt: skip
    ready = [child.stdout.readline() for child in children]
    for child in children:
        print(file=child.stdin, flush=True)
    claimed = [child.communicate(timeout=60)[0].split() for child in children]

    assert (ready, [child.returncode for child in children]) == (["ready\n"] * 4, [0] * 4)
    assert sorted(name for found in claimed for name in found) == names
    assert len([found for found in claimed if found]) > 1
