"""Open a directory by its path, and follow only symbolic links that we can trust.

The path is opened one component at a time. A symbolic link is followed only if the link and the directory that contains
it belong to us or to root; its target is opened in the same way. The directory at the end must be ours.
"""

from __future__ import annotations

import errno
import os
import stat


def _flag(name: str) -> int:
    """Return a flag of `os.open`, or 0 on a system that does not have it."""
    return int(getattr(os, name, 0))


SAFELY = _flag("O_CLOEXEC") | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK") | _flag("O_BINARY")
LIST = os.O_RDONLY | _flag("O_DIRECTORY") | SAFELY
# Opening a directory only to go through it needs no right to list it, on systems with one of these flags.
PASS = LIST | (_flag("O_PATH") or _flag("O_SEARCH"))
MOST_LINKS = 40
ROOT = 0


def open_owned(path: str, *, create: bool) -> int:
    """Open a directory of ours.

    Args:
        path: The directory; a relative path starts at the current directory.
        create: Whether to create missing directories, with mode 0700. Each one's parent must be ours.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        PermissionError: It belongs to another user, or a link of another user leads to it.
        OSError: It does not exist, can't be created or is not a directory.
    """
    ahead = path.split("/")[::-1]
    links = 0
    here = os.open("/" if path.startswith("/") else ".", PASS)
    try:
        while ahead:
            name = ahead.pop()
            if name in ("", "."):
                continue
            try:
                found = enter(here, name, create=create)
            except OSError:
                target = _trusted_link(here, name)
                if target is None:
                    raise
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, "too many links on the way") from None
                ahead += target.split("/")[::-1]
                if not target.startswith("/"):
                    continue
                found = os.open("/", PASS)
            passed, here = here, found
            os.close(passed)
    except BaseException:
        os.close(here)
        raise
    return owned(here)


def enter(parent: int, name: str, *, create: bool) -> int:
    """Open a directory in another one. A link is not followed.

    Args:
        parent: The descriptor of the other directory.
        name: The directory's name.
        create: Whether to create it, with mode 0700, if it is missing and `parent` is ours.

    Returns:
        Its descriptor, which the caller closes. A directory that was there already may belong to another user.

    Raises:
        OSError: It does not exist, can't be created or is not a directory.
    """
    try:
        return os.open(name, PASS, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    _check_owner(parent)
    _make(parent, name)
    return owned(os.open(name, PASS, dir_fd=parent))


def _make(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:  # another process has just created it
        return
    if os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o700 != 0o700:  # noqa: PLR2004 -- the mode two lines above
        os.rmdir(name, dir_fd=parent)  # no program could use it
        raise PermissionError(errno.EACCES, "the umask removes our own rights to a new directory")


def _trusted_link(parent: int, name: str) -> str | None:
    """Return the target of a symbolic link of ours or root's; None if there is none, or it has just been removed."""
    try:
        before = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISLNK(before.st_mode):
            return None
        target = os.readlink(name, dir_fd=parent)
        after = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if before.st_uid not in (ROOT, os.geteuid()):
        raise PermissionError(errno.EPERM, "a link on the way belongs to another user")
    # The owner of the directory could move another link of root to this name, with another target.
    if os.fstat(parent).st_uid not in (ROOT, os.geteuid()):
        raise PermissionError(errno.EPERM, "a link on the way is in another user's directory")
    if (before.st_dev, before.st_ino, before.st_ctime_ns) != (after.st_dev, after.st_ino, after.st_ctime_ns):
        raise PermissionError(errno.EPERM, "a link on the way is being replaced")
    return target


def owned(directory: int) -> int:
    """Return a descriptor if its directory is ours; otherwise close it and raise PermissionError."""
    try:
        _check_owner(directory)
    except BaseException:
        os.close(directory)
        raise
    return directory


def _check_owner(directory: int) -> None:
    if os.fstat(directory).st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "the directory belongs to another user")
