"""The apps that are installed, by the entry-point group in which adopters name theirs.

Only the command line and the generators look here: installing a package never widens what a process sends.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from otel_usage.facts.app import App

GROUP = "otel_usage.apps"
OWN = "otel-usage"


class UnknownAppError(LookupError):
    """There is no such app, or it can't be loaded; the text says which there are, in one line."""


def names() -> list[str]:
    """Return the names of the installed apps, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def brought(name: str) -> bool:
    """Tell whether this package alone declares the app, wherever it is installed, and no package of the app's own."""
    return all(entry.dist is not None and entry.dist.name == OWN for entry in entry_points(group=GROUP, name=name))


def load(name: str) -> App:
    """Return the App that a package declares under `name`.

    Raises UnknownAppError where no package does, or where what it names can't be imported, or is no App of that name.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        message = f"no app {name!r} is installed; the known ones are: {', '.join(names()) or 'none'}"
        raise UnknownAppError(message)
    try:
        app = found[0].load()
    except (Exception, SystemExit) as error:
        message = f"app {name!r} can't be loaded from {found[0].value}: {type(error).__name__}: {error}"
        raise UnknownAppError(message) from error
    if not isinstance(app, App):
        message = f"app {name!r} can't be loaded: {found[0].value} is no otel_usage.App"
        raise UnknownAppError(message)
    if app.name != name:
        message = f"app {name!r} can't be loaded: {found[0].value} is called {app.name!r}; register it under that name"
        raise UnknownAppError(message)
    return app
