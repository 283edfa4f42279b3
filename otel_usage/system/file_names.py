"""The names of the files that this package makes. No other file in its directories is read as its own, or removed.

Anybody may have put a file there, under any name: a name is taken apart here alone, and nothing here raises.
"""

from __future__ import annotations

ENTRY = ".json"
DRAFT = ".tmp"
ASIDE = ".unreadable"
LOCK, LOCKED = "usage_run.", ".lock"
KINDS = ("report", "heartbeat")
TIME_DIGITS = 20
MOST_DIGITS = 20
LONGEST_RUN = 64


def is_number(text: str) -> bool:
    """Tell whether `int` can read the text: digits such as `²` are none to it, and so are thousands of them."""
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def entry_name(time: int, inode: int, kind: str, run: str) -> str:
    """Return the name of an entry of the outbox. run: an app can pass any string for it."""
    return f"{_first(time)}.{inode}.{kind}.{plain(run)}{ENTRY}"


def draft_name(time: int, pid: int, token: str) -> str:
    """Return the name of an entry that is being written."""
    return f"{_first(time)}.{pid}.{token}{DRAFT}"


def lock_name(pid: int, start: str) -> str:
    """Return the name of the lock of those processes that were forked by this one."""
    return f"{LOCK}{pid}.{start}{LOCKED}"


def _first(time: int) -> str:
    return f"{max(time, 0):0{TIME_DIGITS}d}"


def plain(run: str) -> str:
    """Return a run's id as it stands in a name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in run[:LONGEST_RUN])


def entry_parts(name: str) -> tuple[int, int, str, str] | None:
    """Return the time, inode, kind and run of an entry's name, None for any other name."""
    first, *rest = name.removesuffix(ENTRY).split(".")
    if len(rest) != 3 or not name.endswith(ENTRY) or len(first) != TIME_DIGITS:  # noqa: PLR2004 -- inode, kind, run
        return None
    inode, kind, run = rest
    if not (is_number(first) and is_number(inode)) or kind not in KINDS or run != plain(run):
        return None
    return int(first), int(inode), kind, run


def is_outbox_file(name: str) -> bool:
    """Tell whether a name is an entry's, that of one that was set aside, or a draft's."""
    first, *rest = name.removesuffix(DRAFT).split(".")
    is_draft = len(rest) == 2 and name.endswith(DRAFT) and len(first) == TIME_DIGITS  # noqa: PLR2004 -- pid, token
    return entry_parts(name.removesuffix(ASIDE)) is not None or (is_draft and is_number(first) and is_number(rest[0]))


def lock_parts(name: str) -> tuple[int, str] | None:
    """Return the process and its start time of a lock's name, None for any other name."""
    pid, dot, start = name.removeprefix(LOCK).removesuffix(LOCKED).partition(".")
    whole = name.startswith(LOCK) and name.endswith(LOCKED) and dot
    return (int(pid), start) if whole and is_number(pid) and (is_number(start) or not start) else None
