"""A directory of ours, held open, so that no symbolic link of another user redirects what we write or remove.

"Ours" means that it belongs to the effective user id. Its files are opened relative to its descriptor, so renaming a
component of the path later changes nothing. A system without such relative calls (Windows) opens files by their paths.
"""

from __future__ import annotations

import errno
import os
import stat

from otel_usage.system.trusted_path import LIST, SAFELY, enter, open_owned, owned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Self


RELATIVE = {os.open, os.stat, os.mkdir, os.rename, os.unlink, os.readlink} <= os.supports_dir_fd and hasattr(
    os, "O_DIRECTORY"
)
READ = os.O_RDONLY | SAFELY
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | SAFELY
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFELY


class Directory:
    """An open directory that belongs to us. Each OSError that a method raises has the whole path as its filename.

    Attributes:
        path: The path by which it was opened.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path, self._descriptor = path, descriptor

    @classmethod
    def open(cls, path: str, *, create: bool = False) -> Self:
        """Open the directory at `path`.

        Args:
            path: The directory; a relative path starts at the current directory.
            create: Whether to create missing directories, with mode 0700. Each one's parent must be ours.

        Raises:
            PermissionError: It belongs to another user, or a link of another user leads to it.
            OSError: It does not exist, can't be created or is not a directory.
        """
        with _ErrorsAt(path):
            if not RELATIVE:
                _make_by_path(path, create=create)
                return cls(path, None)
            return cls(path, open_owned(path, create=create))

    def folder(self, name: str, *, create: bool = False) -> Directory:
        """Open a directory inside of this one. It must be ours; a symbolic link is not followed.

        Args:
            name: Its name.
            create: Whether to create it, with mode 0700, if it is missing.

        Raises:
            OSError: It is missing, is not a directory, or belongs to another user.
        """
        path = os.path.join(self.path, name)
        with _ErrorsAt(path):
            if self._descriptor is None:
                _make_by_path(path, create=create)
                return Directory(path, None)
            return Directory(path, owned(enter(self._descriptor, name, create=create)))

    def open_file(self, name: str, flags: int) -> int:
        """Open a file. A file that is opened for writing gets mode 0600.

        Args:
            name: Its name in this directory.
            flags: READ, APPEND or CREATE of this module, or other flags of `os.open` with SAFELY.

        Returns:
            Its descriptor, which the caller closes.

        Raises:
            OSError: It is not a regular file of ours with one link, but for instance a symbolic link, a FIFO, a device
                or another user's file; or it can't be opened.
        """
        with self.errors_at(name):
            descriptor = os.open(self._at(name), flags, 0o600, dir_fd=self._descriptor)
            try:
                _check_own(descriptor, writing=bool(flags & (os.O_RDWR | os.O_WRONLY)))
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

    def lstat(self, name: str) -> os.stat_result:
        """Return the status of a file; a symbolic link is not followed."""
        with self.errors_at(name):
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        """Return the names of all entries of this directory."""
        with _ErrorsAt(self.path):
            if self._descriptor is None:
                return os.listdir(self.path)
            listed = os.open(".", LIST, dir_fd=self._descriptor)
            try:
                return os.listdir(listed)
            finally:
                os.close(listed)

    def replace(self, name: str, new: str) -> None:
        """Rename a file; a file that has the new name is replaced."""
        with self.errors_at(new):
            os.replace(self._at(name), self._at(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Remove a file; the target of a symbolic link stays."""
        with self.errors_at(name):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def errors_at(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager in which each OSError gets the whole path of this file as its filename."""
        return _ErrorsAt(os.path.join(self.path, name))

    def close(self) -> None:
        """Close the descriptor. Closing twice is allowed."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Return the directory itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the descriptor."""
        self.close()

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name) if self._descriptor is None else name


class _ErrorsAt:
    """Context manager in which each OSError gets this path as its filename."""

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


def _check_own(descriptor: int, *, writing: bool) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if not hasattr(os, "geteuid"):  # Windows
        return
    if found.st_uid != os.geteuid() or found.st_nlink > 1:
        raise PermissionError(errno.EPERM, "the file belongs to another user or has a second hard link")
    if writing and stat.S_IMODE(found.st_mode) != 0o600:  # noqa: PLR2004 -- `open_file`'s mode; a umask may remove bits
        os.fchmod(descriptor, 0o600)
