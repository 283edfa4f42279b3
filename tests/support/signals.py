"""Every signal of docs/design.md, "Signals", but `on`, as an operator, an embedder or a test run gives it."""

from __future__ import annotations

import os

APPS = ("myengine", "vllm")
DIRECTORIES = {
    "$<APP>_CONFIG_ROOT": "root",
    "$XDG_CONFIG_HOME/<app>": "xdg/{app}",
    "$HOME/.config/<app>": "home/.config/{app}",
    "/etc/<app>": "etc/{app}",
    "/etc/otel-usage": "etc/otel-usage",
}


def directories(world):
    """Return the variables that name the directories of an operator below `world`, for each app."""
    roots = {f"{app.upper()}_CONFIG_ROOT": str(world / "root") for app in APPS}
    return {**roots, "XDG_CONFIG_HOME": str(world / "xdg"), "HOME": str(world / "home")}


def _variable(pattern, value):
    return lambda _: {pattern.replace("<APP>", app.upper()): value for app in APPS}


def _file(place, name, make):
    def give(world):
        for app in APPS:
            folder = world / place.format(app=app)
            folder.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(folder / name):
                make(folder / name)
        return directories(world)

    return give


def _text(text):
    return lambda path: path.write_text(text)


def _loop(world):
    """Make each directory in the home a link to itself, so that no file in it can be read."""
    for app in APPS:
        (world / "home/.config").mkdir(parents=True, exist_ok=True)
        (world / "home/.config" / app).symlink_to(app)
    return {}


MODE = "home/.config/{app}", "usage_mode"
OPT_OUT_FILES = {f"do_not_track in {where}": _file(place, "do_not_track", os.mkfifo) for where, place in DIRECTORIES.items()}

#: Each signal that means off, by name. Called with a folder, it puts files there and returns variables to set.
OFF = {
    "DO_NOT_TRACK": _variable("DO_NOT_TRACK", ""),
    "DO_NOT_TRACK=0": _variable("DO_NOT_TRACK", "0"),
    "<APP>_DO_NOT_TRACK": _variable("<APP>_DO_NOT_TRACK", ""),
    "<APP>_NO_USAGE_STATS": _variable("<APP>_NO_USAGE_STATS", "0"),
    "OTEL_USAGE_SUPPRESSED_<APP>": _variable("OTEL_USAGE_SUPPRESSED_<APP>", "ray"),
    "OTEL_SDK_DISABLED": _variable("OTEL_SDK_DISABLED", " TRUE "),
    "OTEL_SDK_DISABLED=maybe": _variable("OTEL_SDK_DISABLED", "maybe"),
    **OPT_OUT_FILES,
    "usage_mode off": _file(*MODE, _text("off\n")),
    "usage_mode of another word": _file(*MODE, _text("perhaps")),
    "usage_mode that is a directory": _file(*MODE, os.mkdir),
    "usage_mode that is a link": _file(*MODE, lambda path: path.symlink_to("/nonexistent")),
}
#: More of them; while one holds, the reports that wait can't be reached or can't be told from other files.
BLIND = {
    "a directory that can't be looked at": _loop,
    "no directory": lambda _: {"HOME": "relative"},
}
#: Each signal that means local.
LOCAL = {
    "usage_mode local": _file(*MODE, _text("local")),
    "OTEL_USAGE_EXPORTER=none": _variable("OTEL_USAGE_EXPORTER", "otlp,none"),
    "OTEL_USAGE_EXPORTER of another word": _variable("OTEL_USAGE_EXPORTER", "console"),
}
