"""Build and parse the names of the files that this package writes. It reads and removes no other file.

Another program may put files with any name into our directories, so nothing here raises.
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
    """Tell whether a text is 1 to 20 ASCII digits. `int` rejects other digits such as `²`, and texts of thousands."""
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def entry_name(time: int, inode: int, kind: str, run: str) -> str:
    """Return the name of an outbox entry.

    Args:
        time: When the report was made, in nanoseconds since the epoch.
        inode: The file's own inode number, by which a copied file is told apart.
        kind: `report` or `heartbeat`.
        run: The uuid of the run. An app may pass any string.
    """
    return f"{_first(time)}.{inode}.{kind}.{plain(run)}{ENTRY}"


def draft_name(time: int, pid: int, token: str) -> str:
    """Return the name under which an entry is written before it gets its own name."""
    return f"{_first(time)}.{pid}.{token}{DRAFT}"


def lock_name(pid: int, start: str) -> str:
    """Return the name of the lock that the forked children of one process compete for.

    Args:
        pid: The parent process.
        start: Its start time; may be empty.
    """
    return f"{LOCK}{pid}.{start}{LOCKED}"


def _first(time: int) -> str:
    return f"{max(time, 0):0{TIME_DIGITS}d}"


def plain(run: str) -> str:
    """Return a run's uuid with each character that a file name should not have replaced, cut to 64 characters."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in run[:LONGEST_RUN])


def entry_parts(name: str) -> tuple[int, int, str, str] | None:
    """Return the time, inode, kind and run in the name of an outbox entry; None for any other name."""
    first, *rest = name.removesuffix(ENTRY).split(".")
    if len(rest) != 3 or not name.endswith(ENTRY) or len(first) != TIME_DIGITS:  # noqa: PLR2004 -- inode, kind, run
        return None
    inode, kind, run = rest
    if not (is_number(first) and is_number(inode)) or kind not in KINDS or run != plain(run):
        return None
    return int(first), int(inode), kind, run


def is_outbox_file(name: str) -> bool:
    """Tell whether a name is that of an entry, of an unreadable entry that was set aside, or of a draft."""
    first, *rest = name.removesuffix(DRAFT).split(".")
    is_draft = len(rest) == 2 and name.endswith(DRAFT) and len(first) == TIME_DIGITS  # noqa: PLR2004 -- pid, token
    return entry_parts(name.removesuffix(ASIDE)) is not None or (is_draft and is_number(first) and is_number(rest[0]))


def lock_parts(name: str) -> tuple[int, str] | None:
    """Return the pid and its start time in the name of a lock; None for any other name."""
    pid, dot, start = name.removeprefix(LOCK).removesuffix(LOCKED).partition(".")
    whole = name.startswith(LOCK) and name.endswith(LOCKED) and dot
    return (int(pid), start) if whole and is_number(pid) and (is_number(start) or not start) else None
