"""Which apps there are on this machine, and which of them a command means; `apps` lists them."""

from __future__ import annotations

import os

from otel_usage.consent import MODE_FILE, config_directory
from otel_usage.delivery import log, outbox_files
from otel_usage.facts import registry
from otel_usage.facts.app import RESERVED, is_name
from otel_usage.run import notice

# Files that no other program makes: a directory with one of them is that of an app which reports through this package.
OURS = (notice.FILE, MODE_FILE, outbox_files.DIRECTORY, log.FILE)


def known() -> list[str]:
    """Return the apps that installed packages declare, sorted.

    One that this package brings for a project counts only where the project is installed, the app's directory is there,
    or there is no other.
    """
    names = [name for name in registry.names() if _may_be(name)]
    others = [name for name in names if not registry.brought(name)]
    return [name for name in names if name in others or not others or has_directory(name) or _is_installed(name)]


def every() -> list[str]:
    """Return the known apps, and those that no package declares but whose files are in the user's directory, sorted."""
    return sorted({*known(), *_found()})


def is_meant(name: str) -> bool:
    """Tell whether a name is that of an app: declared by a package, or with a directory of its own."""
    return _may_be(name) and (name in registry.names() or has_directory(name))


def has_directory(name: str) -> bool:
    """Tell whether the directory that an app writes to is there."""
    return os.path.isdir(config_directory(name) or "")


def _may_be(name: str) -> bool:
    """Tell whether an app may have that name, which is also a directory's: an entry point can be called anything."""
    return is_name(name) and name not in RESERVED


def _is_installed(name: str) -> bool:
    try:
        return registry.load(name).version is not None
    except registry.UnknownAppError:
        return False


def _found() -> list[str]:
    # No app has this name, so no variable of its own names another place: it is beside all others.
    parent = os.path.dirname(config_directory("otel_usage") or "")
    try:
        names = [name for name in os.listdir(parent) if _may_be(name)] if parent else []
    except OSError:
        return []
    return [name for name in names if any(os.path.lexists(os.path.join(parent, name, file)) for file in OURS)]
