"""The local file has whole lines, is private and bounded, and is never written through a link."""

import errno
import fcntl
import json
import multiprocessing
import os
import stat
import subprocess
import sys

import pytest

from otel_usage.system import private_files
from otel_usage.system.private_files import append_line, append_lines, read_lines, read_objects


@pytest.fixture
def path(tmp_path):
    """A file that does not exist, in a directory that does not exist."""
    return tmp_path / "config" / "myengine" / "usage_stats.json"


def test_a_line_is_appended_to_a_private_file_in_a_private_directory(path):
    """The file has mode 0600 and each new directory has mode 0700, also with a umask of 0."""
    before = os.umask(0)
    try:
        append_line(str(path), "one")
        append_line(str(path), "two")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent, path.parent.parent)]

    assert (path.read_text(), modes) == ("one\ntwo\n", [0o600, 0o700, 0o700])


def test_a_file_that_is_made_can_be_written_again_whatever_the_umask(path):
    """It has mode 0600 also where the umask takes the owner's rights away."""
    path.parent.mkdir(parents=True)
    before = os.umask(0o777)
    try:
        append_line(str(path), "one")
    finally:
        os.umask(before)

    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("one\n", 0o600)


def test_a_file_of_ours_that_others_may_read_is_narrowed(path):
    """An existing file gets mode 0600."""
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    append_line(str(path), "one")

    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("one\n", 0o600)


def test_where_there_is_no_file_there_are_no_lines(path):
    """There are none either where the directory is missing or is a file."""
    lines = [list(read_lines(str(path)))]
    path.parent.mkdir(parents=True)
    lines.append(list(read_lines(str(path))))
    path.write_text("one\n")
    lines.append(list(read_lines(str(path / "usage_stats.json"))))

    assert lines == [[], [], []]


def test_a_torn_tail_is_closed_off_before_the_next_line(path):
    """The torn line of a killed process does not swallow the next line."""
    path.parent.mkdir(parents=True)
    path.write_text('whole\n{"torn": ')
    append_line(str(path), "next")

    assert path.read_text() == 'whole\n{"torn": \nnext\n'


def test_a_line_torn_at_any_byte_is_never_taken_for_another(path):
    """No part of an object parses as an object, and the next line is complete."""
    whole = json.dumps({"uuid": "a", "text": "{}\\n", "more": {"b": [1, 2]}})
    path.parent.mkdir(parents=True)
    for cut in range(1, len(whole)):
        path.write_text(f"{whole}\n{whole[:cut]}")
        append_line(str(path), '{"uuid": "next"}')
        parsed = [json.loads(line) for line in read_lines(str(path)) if _is_json(line)]

        assert parsed == [json.loads(whole), {"uuid": "next"}]


def _is_json(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_file_that_would_grow_too_large_is_rotated_and_one_old_one_kept(path):
    """The file stays within its size; the oldest lines go first."""
    for number in range(7):
        append_line(str(path), f"line {number}", max_bytes=16)

    assert (path.read_text(), path.with_name("usage_stats.json.1").read_text()) == ("line 6\n", "line 4\nline 5\n")
    assert list(read_lines(str(path))) == ["line 4\n", "line 5\n", "line 6\n"]


@pytest.mark.parametrize(("size", "files"), [(2 * 2**20 - 4, ["usage_stats.json"]), (2 * 2**20 - 3, ["usage_stats.json", "usage_stats.json.1"])])
def test_a_file_may_have_two_mebibytes(path, size, files):
    """A line that would exceed them rotates the file first."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * (size - 1) + b"\n")
    append_line(str(path), "one")

    assert sorted(os.listdir(path.parent)) == files


def test_rotation_can_be_turned_off(path):
    """With max_bytes=0 the file grows without bound."""
    for _ in range(3):
        append_line(str(path), "x" * 100, max_bytes=0)

    assert (path.stat().st_size, os.listdir(path.parent)) == (303, ["usage_stats.json"])


def test_a_line_larger_than_the_bound_is_written_whole(path):
    """Rotation bounds the file and never cuts a line."""
    append_line(str(path), "x" * 100, max_bytes=16)

    assert path.read_text() == "x" * 100 + "\n"


def a_link(path, elsewhere):
    """Make the path a symbolic link to another file."""
    path.symlink_to(elsewhere)


def a_dangling_link(path, elsewhere):
    """Make the path a symbolic link to nothing."""
    path.symlink_to(elsewhere.with_name("nowhere"))


def a_hard_link(path, elsewhere):
    """Make the path a second name of another file."""
    path.hardlink_to(elsewhere)


def a_fifo(path, elsewhere):
    """Put a FIFO there, which nobody reads."""
    os.mkfifo(path)


def a_directory(path, elsewhere):
    """Put a directory there."""
    path.mkdir()


def a_socket(path, elsewhere):
    """Put a socket there."""
    os.mknod(path, stat.S_IFSOCK | 0o600)


def a_device(path, elsewhere):
    """Put a device there that accepts every byte, or a link to one where the test has no right to make it."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        path.symlink_to("/dev/null")


def somebody_elses(path, elsewhere):
    """Put another user's file there, or an unreadable one where the test has no right to give it away."""
    path.touch(0)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)


@pytest.mark.parametrize("make", [a_link, a_dangling_link, a_hard_link, a_fifo, a_socket, a_directory, a_device, somebody_elses])
def test_nothing_is_written_through_what_is_no_regular_file_of_ours(path, tmp_path, make):
    """It is refused at once, and the file behind it stays as it was."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    path.parent.mkdir(parents=True)
    make(path, elsewhere)

    with pytest.raises(OSError):  # noqa: PT011 -- which one depends on what stands there
        append_line(str(path), "one")

    assert (elsewhere.read_text(), list(read_lines(str(path)))) == ("mine", [])


def test_nothing_is_created_below_another_users_directory(tmp_path):
    """If the nearest existing directory is not ours, no directory and no file is made in it."""
    if os.geteuid() == 0:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        os.chown(theirs, 65534, 65534)
    else:
        theirs = tmp_path / ".." / ".." / ".." / ".."  # the folder of temporary files belongs to root

    with pytest.raises(PermissionError):
        append_line(str(theirs / "config" / "usage_stats.json"), "one")

    assert not (theirs / "config").exists()


def test_a_file_in_place_of_a_directory_is_an_error(tmp_path):
    """The directory can't be made, and the file stays as it was."""
    (tmp_path / "config").write_text("mine")

    with pytest.raises(NotADirectoryError):
        append_line(str(tmp_path / "config" / "usage_stats.json"), "one")

    assert (tmp_path / "config").read_text() == "mine"


def test_a_full_disk_leaves_no_part_of_a_line(path, monkeypatch):
    """A write that was cut short is undone, and the caller gets an error."""
    append_line(str(path), "one")
    write = os.write
    monkeypatch.setattr(private_files.os, "write", lambda descriptor, data: write(descriptor, data[:5]))

    with pytest.raises(OSError, match="cut short"):
        append_line(str(path), "x" * 100)

    assert path.read_text() == "one\n"


@pytest.mark.parametrize("call", ["open", "stat", "fstat", "write", "lseek", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.EACCES])
def test_an_error_of_the_system_is_an_oserror_and_leaves_no_descriptor(path, monkeypatch, call, code):
    """Whichever call fails, the caller gets its error and no descriptor stays open."""
    path.parent.parent.mkdir()
    if call in ("lseek", "stat"):
        append_line(str(path), "one")

    def fail(*_, **__):
        raise OSError(code, "made to fail")

    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(private_files.os, call, fail)
        with pytest.raises(OSError) as caught:  # noqa: PT011 -- the code is compared
            append_line(str(path), "two")

    assert (caught.value.errno, len(os.listdir("/proc/self/fd"))) == (code, len(before))


def test_a_lock_that_a_stopped_process_holds_does_not_stop_us(path, monkeypatch):
    """After 0.2 s the line is written without it, and nothing is rotated."""
    pauses = []
    monkeypatch.setattr(private_files.time, "sleep", pauses.append)
    append_line(str(path), "one")
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    append_line(str(path), "two", max_bytes=4)
    os.close(holder)

    assert (path.read_text(), os.listdir(path.parent)) == ("one\ntwo\n", ["usage_stats.json"])
    assert sum(pauses) == pytest.approx(0.2)


def test_a_file_system_without_locks_is_written_all_the_same(path, monkeypatch):
    """A single write to a file that is opened for appending is whole by itself."""

    def fail(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(private_files.fcntl, "flock", fail)
    append_line(str(path), "one")

    assert path.read_text() == "one\n"


def test_a_system_without_flock_is_written_all_the_same(path, monkeypatch):
    """Windows has no flock."""
    monkeypatch.setattr(private_files, "fcntl", None)
    append_line(str(path), "one")

    assert path.read_text() == "one\n"


def test_a_file_that_is_rotated_while_it_is_opened_is_opened_again(path, monkeypatch):
    """The line goes into the new file, not into the rotated one."""
    append_line(str(path), "old")
    lock, moved = private_files._lock, []

    def lock_late(descriptor):
        if not moved:
            moved.append(path.rename(path.with_name("usage_stats.json.1")))
        return lock(descriptor)

    monkeypatch.setattr(private_files, "_lock", lock_late)
    append_line(str(path), "new")

    assert (path.read_text(), path.with_name("usage_stats.json.1").read_text()) == ("new\n", "old\n")


def test_a_file_that_is_replaced_again_and_again_is_an_error(path, monkeypatch):
    """The number of attempts is bounded."""
    monkeypatch.setattr(private_files, "_is_at", lambda *_: False)

    with pytest.raises(OSError, match="again and again"):
        append_line(str(path), "one")


def test_a_directory_that_another_process_makes_meanwhile_is_taken(path, monkeypatch):
    """Two processes that start at the same time both write."""
    mkdir = os.mkdir

    def beaten(place, mode, **where):
        mkdir(place, mode, **where)
        mkdir(place, mode, **where)

    monkeypatch.setattr(private_files.os, "mkdir", beaten)
    append_line(str(path), "one")

    assert path.read_text() == "one\n"


def test_a_full_disk_without_the_lock_leaves_what_the_next_writer_closes_off(path, monkeypatch):
    """Without the lock nothing is undone, since that could remove another process's line."""
    monkeypatch.setattr(private_files, "fcntl", None)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(private_files.os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        with pytest.raises(OSError, match="cut short"):
            append_line(str(path), "x" * 100)
    append_line(str(path), "next")

    assert path.read_text() == "xxx\nnext\n"


def _write_many(path, writer, count, size, locks):
    if not locks:
        private_files.fcntl = None
    for number in range(count):
        append_line(path, f"{writer}:{number}:".ljust(size, "x"), max_bytes=0)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("locks", [True, False], ids=["locked", "without locks"])
@pytest.mark.parametrize(
    ("ci", "soak", "length"), [((8, 200), (64, 10_000), 1_200), ((8, 200), (16, 300), 20_000)], ids=["1.2 kB", "20 kB"]
)
def test_many_processes_lose_and_tear_no_line(path, size, ci, soak, length, locks):
    """Without rotation each line is there once and whole; an empty line may stand between two that met."""
    writers, count = size(ci, soak)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(str(path), writer, count, length, locks)) for writer in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = set()
    with path.open() as file:
        for text in (line for line in file if line != "\n"):
            writer, number, _ = text.split(":")
            assert text == f"{writer}:{number}:".ljust(length, "x") + "\n"
            assert (writer, number) not in found
            found.add((writer, number))

    assert [process.exitcode for process in processes] == [0] * writers
    assert len(found) == writers * count


ROTATE = """
import sys
from otel_usage.system.private_files import append_line
for number in range(int(sys.argv[3])):
    append_line(sys.argv[1], f"{sys.argv[2]}:{number}:".ljust(100, "x"), max_bytes=int(sys.argv[4]))
"""


@pytest.mark.soak
def test_many_processes_that_rotate_tear_no_line_and_lose_only_the_oldest(path, size):
    """Only whole lines are left, the newest of each writer, within the bound, and the rotated file was full."""
    writers, count, most = size((4, 300, 20_000), (64, 3_000, 400_000))
    processes = [subprocess.Popen([sys.executable, "-c", ROTATE, str(path), f"w{number}", str(count), str(most)]) for number in range(writers)]
    statuses = [process.wait() for process in processes]
    left, numbers = [text.rstrip("\n") for text in read_lines(str(path)) if text != "\n"], {}
    for text in left:
        writer, number, _ = text.split(":")
        numbers.setdefault(writer, []).append(int(number))

    assert statuses == [0] * writers
    assert {len(text) for text in left} == {100}
    assert path.stat().st_size <= most
    assert path.with_name("usage_stats.json.1").stat().st_size >= most - 100
    assert numbers == {writer: list(range(count - len(found), count)) for writer, found in numbers.items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "b": "x", "c": null, "d": true, "e": 1.5}', [{"a": 1, "b": "x", "c": None, "d": True, "e": 1.5}]),
        ('{"a": 1, "b": {"c": 1}, "d": [1], "e": NaN, "f": Infinity, "g": -Infinity, "h": 1e999}', [{"a": 1}]),
        ('{"a": 1.7976931348623157e308, "b": -1.7976931348623157e308}', [{"a": 1.7976931348623157e308, "b": -1.7976931348623157e308}]),
        ("[1]", []), ("1", []), ("null", []), ('{"a": ', []), ("", []), ("[" * 100_000, []), ("9" * 5000, []), ("\ufffd", []),
    ],
)  # fmt: skip
def test_an_object_that_is_read_back_is_flat(path, text, found):
    """The file may hold anything; a line that is no object is skipped, and the next line is read."""
    path.parent.mkdir(parents=True)
    path.write_text(f'{text}\n{{"next": 1}}\n')

    assert list(read_objects(str(path))) == [*found, {"next": 1}]


@pytest.mark.parametrize(
    ("max_bytes", "sizes"), [(0, [20]), (3, [4] * 5), (7, [4] * 5), (8, [8, 8, 4]), (9, [8, 8, 4]), (20, [20])]
)
def test_lines_are_written_in_blocks_of_at_most_the_files_bound(path, monkeypatch, max_bytes, sizes):
    """A block is as large as the bound at most, to the byte; one line alone may be larger, and 0 is no bound."""
    written, write = [], os.write
    monkeypatch.setattr(os, "write", lambda file, data: written.append(len(data)) or write(file, data))
    append_lines(str(path), ["abc"] * 5, max_bytes=max_bytes)

    assert written == sizes
