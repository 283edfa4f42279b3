"""Every name that we make is recognised, and no other name is taken for ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_usage.system.file_names import (
    draft_name,
    entry_name,
    entry_parts,
    is_number,
    is_outbox_file,
    lock_name,
    lock_parts,
)

NAMES = st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
# Names that are nearly ours: the parts of our names, in any number and order.
NEARLY = st.lists(
    st.sampled_from([f"{1:020d}", "5", "²³", "٣", "9" * 5000, "report", "heartbeat", "u", "json", "tmp", "unreadable", "usage_run", "lock", "", "x/y", "\ud800", "\x00"]),
    max_size=7,
).map(".".join)  # fmt: skip


@given(st.integers(-(2**63), 2**64), st.integers(0, 2**64 - 1), st.sampled_from(["report", "heartbeat"]), st.text())
def test_what_an_entry_is_called_can_be_read_back(time, inode, kind, run):
    """A run that an app passes is never a part of a path, and a time before the epoch counts as none."""
    name = entry_name(time, inode, kind, run)
    parts = entry_parts(name)

    assert parts is not None
    assert (parts[:3], is_outbox_file(name)) == ((max(time, 0), inode, kind), True)
    assert len(parts[3]) <= 64
    assert "/" not in name


@pytest.mark.parametrize(("run", "part"), [("x" * 64, "x" * 64), ("x" * 65, "x" * 64), ("../a b-1", "___a_b-1"), ("ü²", "__"), ("", "")])
def test_a_run_stands_in_a_name_without_what_a_name_can_not_have(run, part):
    """At most 64 characters of the run are used, since a file name has at most 255 bytes."""
    assert entry_parts(entry_name(1, 5, "report", run)) == (1, 5, "report", part)


@given(NAMES | NEARLY)
def test_no_name_raises(name):
    """Anybody may put a file there; a name that is not ours counts as none."""
    found = [entry_parts(name), lock_parts(name), is_outbox_file(name) or None]
    taken = [name for one in found if one is not None]

    assert [name for name in taken if not name.isascii() or "/" in name or "\0" in name] == []


@pytest.mark.parametrize(
    "name",
    ["", "1.json", "a.b.c.d.json", f"{1:019d}.5.report.u.json", f"{1:020d}.5.another.u.json", f"{1:020d}.5.report.u.v.json", f"{1:020d}.²³.report.u.json",
     f"{1:020d}.5.report.ü.json", f"{1:020d}.5.report.u.json.bak", f"{1:020d}.5.report.u", "notes.tmp", f"{1:020d}.x.0a.tmp", "x.unreadable"],
)  # fmt: skip
def test_what_is_nearly_one_of_ours_is_none(name):
    """One additional part or one other character makes it a foreign name."""
    assert (entry_parts(name), is_outbox_file(name)) == (None, False)


def test_drafts_entries_that_were_set_aside_and_locks_are_ours():
    """Each kind of name is recognised as it is made."""
    assert is_outbox_file(draft_name(1, 77, "0a1b2c3d"))
    assert is_outbox_file(entry_name(1, 5, "report", "u") + ".unreadable")
    assert [lock_parts(lock_name(pid, start)) for pid, start in ((7, "123"), (7, ""))] == [(7, "123"), (7, "")]
    assert [lock_parts(name) for name in ("usage_run.x.1.lock", "usage_run.²³.1.lock", "usage_run.7.1", "usage_run.7.x.lock", "mine.7.1.lock")] == [None] * 5


@pytest.mark.parametrize(("text", "number"), [("0", True), ("007", True), ("", False), ("²³", False), ("٣", False), ("-1", False), ("1_0", False), ("9" * 21, False)])
def test_a_number_is_what_int_can_read(text, number):
    """A number that is too large for its purpose is none."""
    assert is_number(text) is number
