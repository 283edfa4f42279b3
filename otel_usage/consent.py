"""Consent: whether reports may be recorded and sent. This module alone resolves the signals that decide it.

A signal is an environment variable or a file of the user or the machine. Any signal for `off` wins over all others, and
any signal for `local` wins over `on`. Without a signal, the app's default holds. A file that can't be read counts as
`off`. To decide, nothing is imported, opened or looked up except what a signal needs.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

from otel_usage.system.directory import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ON, LOCAL, OFF = "on", "local", "off"
MODES = (ON, LOCAL, OFF)
DESTINATIONS = ("project", "otlp")
EXPORTER = "OTEL_USAGE_EXPORTER"
PYTEST = "pytest"
OPT_OUT_FILE = "do_not_track"
MODE_FILE = "usage_mode"
SYSTEM_DIRECTORY = "/etc"
LONGEST_MODE = 256
ANY_DIGIT = str.maketrans("123456789", "000000000")


class Signal:
    """One signal.

    Attributes:
        name: The environment variable, the path of the file, or another name.
        value: Its raw value; None if it is unset.
        means: `on`, `local` or `off`; None if it decides nothing.
    """

    __slots__ = ("means", "name", "value")

    def __init__(self, name: str, value: str | None, means: str | None) -> None:
        self.name, self.value, self.means = name, value, means


class Decision:
    """The result of all signals.

    Attributes:
        mode: `on`, `local` or `off`.
        signal: The signal that decided; None if the app's default holds.
    """

    __slots__ = ("mode", "signal")

    def __init__(self, mode: str, signal: Signal | None = None) -> None:
        self.mode, self.signal = mode, signal

    @property
    def decided_by(self) -> str:
        """The name of the signal that decided; without one `default`, or `the app's default` if that is not `on`."""
        if self.signal is None:
            return "default" if self.mode == ON else "the app's default"
        return self.signal.name


def decide(
    app: str | None, environ: Mapping[str, str] | None = None, *, loopback: bool = False, default: str = ON
) -> Decision:
    """Decide whether the reports of an app may be recorded and sent at this moment.

    Args:
        app: The name of the app. With None, only the signals that belong to no app count.
        environ: The environment variables; `os.environ` by default. `os.environ` is a copy, so a variable that C code
            or `os.putenv` sets after the start of Python does not count.
        loopback: Whether all that would be sent stays on this machine.
        default: The app's own choice, `on` or `local`. Any signal wins over it. Only a `usage_mode` file can turn an
            app with the default `local` on.

    Returns:
        The mode and the signal that decided it. No Exception is raised.
    """
    decision = Decision(default)
    for signal in signals(app, os.environ if environ is None else environ, loopback=loopback):
        if signal.means == OFF:
            return Decision(OFF, signal)
        undecided = decision.signal is None
        if (signal.means == LOCAL and (undecided or decision.mode == ON)) or (signal.means == ON and undecided):
            decision = Decision(signal.means, signal)
    return decision


def signals(app: str | None, environ: Mapping[str, str], *, loopback: bool = False) -> Iterator[Signal]:
    """Yield all signals, set or unset. Environment variables come first, since files cost more.

    Args:
        app: See decide.
        environ: The environment variables.
        loopback: See decide.
    """
    prefix = app.upper() if app else None
    opt_outs = ("DO_NOT_TRACK", *((f"{prefix}_DO_NOT_TRACK", f"{prefix}_NO_USAGE_STATS") if prefix else ()))
    for name in opt_outs:
        value = environ.get(name)
        yield Signal(name, value, None if value is None else OFF)
    if prefix:
        value = environ.get(f"OTEL_USAGE_SUPPRESSED_{prefix}")
        yield Signal(f"OTEL_USAGE_SUPPRESSED_{prefix}", value, None if value is None else OFF)
    value = environ.get("OTEL_SDK_DISABLED")
    disabled = (value or "").strip().lower() not in ("", "false")
    yield Signal("OTEL_SDK_DISABLED", value, OFF if disabled else None)
    chosen = exporters(environ)
    silenced = not set(chosen) <= set(DESTINATIONS)  # by `none` or an unknown word
    yield Signal(EXPORTER, _without_urls(environ.get(EXPORTER)), LOCAL if silenced else None)
    testing = "pytest" in sys.modules
    yield Signal(PYTEST, "running" if testing else None, LOCAL if testing and not chosen and not loopback else None)
    yield from _files(app, environ)


def _without_urls(value: str | None) -> str | None:
    """Return a value as it may be shown. A user may have put a URL with a password there by mistake."""
    return "(a URL)" if value and ("://" in value or "@" in value) else value


def exporters(environ: Mapping[str, str]) -> list[str]:
    """Return the words of OTEL_USAGE_EXPORTER in lower case; none if it is unset or empty."""
    return [word.strip().lower() for word in environ.get(EXPORTER, "").split(",") if word.strip()]


def config_directory(app: str, environ: Mapping[str, str] | None = None, *, ask_account: bool = True) -> str | None:
    """Return the absolute path of the config directory of an app, to which it writes; None if there is none.

    Args:
        app: The name of the app.
        environ: The environment variables; `os.environ` by default.
        ask_account: Whether to look up the home directory of the account if HOME is not set. This may use the network.
    """
    return next(iter(_homes(app, os.environ if environ is None else environ, ask_account=ask_account)), None)


def since(app: str) -> float:
    """Return when reporting was turned on, from the `usage_mode` files. Older reports are never sent.

    Args:
        app: The name of the app.

    Returns:
        Seconds since the epoch; 0 if nobody turned it on; the present time if the time in the file is not valid.
    """
    newest = 0.0
    for signal in _files(app, os.environ):
        word, _, text = (signal.value or "").partition(" ")
        if word != ON or not text or not signal.name.endswith(MODE_FILE):
            continue
        from datetime import datetime, timezone  # only where someone turned it on

        try:
            turned = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            turned = time.time()
        newest = max(newest, turned)
    return newest


def _homes(app: str, environ: Mapping[str, str], *, ask_account: bool = True) -> list[str]:
    """Return the user's config directories for an app. The app writes to the first one."""
    home = environ.get("HOME", "")
    if not os.path.isabs(home) and ask_account:
        home = _account_home()
    root, shared = environ.get(f"{app.upper()}_CONFIG_ROOT", ""), environ.get("XDG_CONFIG_HOME", "")
    candidates = [root, os.path.join(shared, app), os.path.join(home, ".config", app)]
    # vLLM expands a ~ that no shell has expanded, for instance in a container's settings; so this must too.
    if os.path.isabs(home):
        candidates = [home + path[1:] if path.partition("/")[0] == "~" else path for path in candidates]
    return [path for path in candidates if os.path.isabs(path)]


def _account_home() -> str:
    """Return the home directory of the account. Used only without HOME, since the look-up may use the network."""
    try:
        import pwd  # seldom needed, and Windows has none

        return pwd.getpwuid(os.getuid()).pw_dir
    except ImportError:
        return os.path.expanduser("~")
    except (KeyError, OSError):
        return ""


def _files(app: str | None, environ: Mapping[str, str]) -> Iterator[Signal]:
    homes = _homes(app, environ) if app else []
    if app and not homes:
        yield Signal("config directory", "none that is an absolute path", OFF)
    shared = [os.path.join(SYSTEM_DIRECTORY, app)] if app else []
    for directory in dict.fromkeys([*homes, *shared, os.path.join(SYSTEM_DIRECTORY, "otel-usage")]):
        yield _opt_out_file(os.path.join(directory, OPT_OUT_FILE))
        yield _mode_file(os.path.join(directory, MODE_FILE))


def _opt_out_file(path: str) -> Signal:
    try:
        os.lstat(path)
    except OSError as error:
        return _absent_or_off(path, error)
    except ValueError:  # a NUL in the path
        return Signal(path, "not a path", OFF)
    return Signal(path, "exists", OFF)


def _mode_file(path: str) -> Signal:
    try:
        os.lstat(path)  # a missing file is found without a descriptor, of which none may be free
        mode = read_mode(path)
    except OSError as error:
        return _absent_or_off(path, error)
    except ValueError:
        return Signal(path, "not a path", OFF)
    word, _, since = mode.partition(" ")
    dated = not since or (word == ON and since[:10].translate(ANY_DIGIT) == "0000-00-00")
    return Signal(path, mode, word if word in MODES and dated else OFF)


def _absent_or_off(path: str, error: OSError) -> Signal:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Signal(path, None, None)
    return Signal(path, errno.errorcode.get(error.errno or 0, "unreadable"), OFF)


def read_mode(path: str) -> str:
    """Return the stripped text of a `usage_mode` file.

    Raises:
        OSError: It is not a regular file, or it can't be read.
        ValueError: The path has a NUL.
    """
    descriptor = os.open(path, READ)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return os.read(descriptor, LONGEST_MODE).decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)
