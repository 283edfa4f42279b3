"""A directory of ours, held open, so that nothing in it is written or removed through another user's link.

A path is opened one component at a time, from the root. A symbolic link on the way is followed only where the link
itself and the directory that holds it belong to us or to root, and its target is opened in the same way. The directory
at the end must be ours. From then on a file in it is reached from the open directory, whatever becomes of the path.

Where the system can't reach a file from a directory (Windows), files are reached by their paths.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Self


def _flag(name: str) -> int:
    """Return a flag of `os.open`, 0 on a system that lacks it."""
    return int(getattr(os, name, 0))


RELATIVE = {os.open, os.stat, os.mkdir, os.rename, os.unlink, os.readlink} <= os.supports_dir_fd and hasattr(
    os, "O_DIRECTORY"
)
SAFELY = _flag("O_CLOEXEC") | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK") | _flag("O_BINARY")
READ = os.O_RDONLY | SAFELY
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | SAFELY
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFELY
LIST = os.O_RDONLY | _flag("O_DIRECTORY") | SAFELY
# To pass through a directory takes no right to list it, where the system can tell one from the other.
PASS = LIST | (_flag("O_PATH") or _flag("O_SEARCH"))
MOST_LINKS = 40
ROOT = 0


class Directory:
    """A directory of ours. Every error is an OSError that names the whole path of what could not be reached."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path, self._descriptor = path, descriptor

    @classmethod
    def open(cls, path: str, *, create: bool = False) -> Self:
        """Open the directory at `path`.

        create: make what is missing of it, with mode 0700, and only in a directory of ours.
        Raises PermissionError where it is another user's, or is reached through another user's link.
        """
        with _Named(path):
            if not RELATIVE:
                _make_by_path(path, create=create)
                return cls(path, None)
            return cls(path, _walk(path, create=create))

    def folder(self, name: str, *, create: bool = False) -> Directory:
        """Open a directory of ours in this one; a link in its place is not followed."""
        path = os.path.join(self.path, name)
        with _Named(path):
            if self._descriptor is None:
                _make_by_path(path, create=create)
                return Directory(path, None)
            return Directory(path, _owned(_enter(self._descriptor, name, create=create)))

    def open_file(self, name: str, flags: int) -> int:
        """Open a regular file of ours that has one link, and return its descriptor; narrow it if it is to be written.

        Raises OSError for everything else: a link, a FIFO, a device, another user's file.
        """
        with self.named(name):
            descriptor = os.open(self._at(name), flags, 0o600, dir_fd=self._descriptor)
            try:
                _check_own(descriptor, writing=bool(flags & (os.O_RDWR | os.O_WRONLY)))
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

    def lstat(self, name: str) -> os.stat_result:
        """Return what stands under a name; a link is not followed."""
        with self.named(name):
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        """Return the names of all that is in it."""
        with _Named(self.path):
            if self._descriptor is None:
                return os.listdir(self.path)
            listed = os.open(".", LIST, dir_fd=self._descriptor)
            try:
                return os.listdir(listed)
            finally:
                os.close(listed)

    def replace(self, name: str, new: str) -> None:
        """Give a file another name, and replace what has that name."""
        with self.named(new):
            os.replace(self._at(name), self._at(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Remove a name; what a link leads to stays."""
        with self.named(name):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def named(self, name: str) -> AbstractContextManager[None]:
        """While it is entered, an OSError names the whole path of this file: a name alone tells nobody where it is."""
        return _Named(os.path.join(self.path, name))

    def close(self) -> None:
        """Let go of it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Return the directory itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name) if self._descriptor is None else name


class _Named:
    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            error.filename, error.filename2 = self._path, None


def _make_by_path(path: str, *, create: bool) -> None:
    if create:
        os.makedirs(path, 0o700, exist_ok=True)
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a directory")


def _walk(path: str, *, create: bool) -> int:
    """Open a directory of ours from the root, or from the current one, component by component."""
    ahead = path.split("/")[::-1]
    links = 0
    here = os.open("/" if path.startswith("/") else ".", PASS)
    try:
        while ahead:
            name = ahead.pop()
            if name in ("", "."):
                continue
            try:
                found = _enter(here, name, create=create)
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
    return _owned(here)


def _enter(parent: int, name: str, *, create: bool) -> int:
    """Open a directory in another one without following a link; make it where it is missing and `parent` is ours."""
    try:
        return os.open(name, PASS, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    _check_owner(parent)
    _make(parent, name)
    return _owned(os.open(name, PASS, dir_fd=parent))


def _make(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:  # another process has just made it
        return
    if os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o700 != 0o700:  # noqa: PLR2004 -- the line above
        os.rmdir(name, dir_fd=parent)  # other programs could not enter it either
        raise PermissionError(errno.EACCES, "the umask takes our own rights to what is made")


def _trusted_link(parent: int, name: str) -> str | None:
    """Return where a link of ours or of root's leads to, None where there is no link, or it goes away meanwhile."""
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
    # Who owns the directory can give another link that name, one of root's that leads elsewhere.
    if os.fstat(parent).st_uid not in (ROOT, os.geteuid()):
        raise PermissionError(errno.EPERM, "a link on the way stands in another user's directory")
    if (before.st_dev, before.st_ino, before.st_ctime_ns) != (after.st_dev, after.st_ino, after.st_ctime_ns):
        raise PermissionError(errno.EPERM, "a link on the way is being replaced")
    return target


def _owned(directory: int) -> int:
    """Return an open directory that is ours; close any other, and raise."""
    try:
        _check_owner(directory)
    except BaseException:
        os.close(directory)
        raise
    return directory


def _check_owner(directory: int) -> None:
    if os.fstat(directory).st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "the directory belongs to another user")


def _check_own(descriptor: int, *, writing: bool) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if not hasattr(os, "geteuid"):  # Windows
        return
    if found.st_uid != os.geteuid() or found.st_nlink > 1:
        raise PermissionError(errno.EPERM, "the file belongs to another user or has a second name")
    if writing and stat.S_IMODE(found.st_mode) != 0o600:  # noqa: PLR2004 -- what `open_file` makes; a umask may take more
        os.fchmod(descriptor, 0o600)
