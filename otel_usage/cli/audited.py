"""Run in a child process by `otel-usage verify-off`: watch what otel_usage does, and write down what it may not do.

As a script it makes a report of its own under the watch. As the `sitecustomize` of another command it watches that, and
prevents each act before it happens, so that nothing of the operator's changes: where a gate is broken, too.
It imports nothing of otel_usage before the watch is on, and nothing at all while it watches.
"""

from __future__ import annotations

import _thread
import errno
import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

SETTINGS = "OTEL_USAGE_VERIFY"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
ACTS = (
    "socket.",
    "subprocess.",
    "os.posix_spawn",
    "os.fork",
    "os.exec",
    "os.system",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "os.chown",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.putenv",
    "ctypes.dlopen",
    "shutil.",
    "_thread.start_",
    "signal.",
)
# What stays within the process harms nobody, while an error in its place could: it is noted and goes on.
WITHIN = ("os.putenv", "signal.")
# Each starts a program: the places of its path, its arguments and its environment in what the event is given.
STARTS = {"subprocess.Popen": (0, 1, 3), "os.posix_spawn": (0, 1, 2), "os.exec": (0, 1, 2), "os.spawn": (1, 2, 3)}
# A function of this name is one of the host's with a word of ours before or after: what happens in it is the host's.
HOSTS_OWN = "wrapper"
CLEAR = "outbox.py", "clear"
TIME_DIGITS = 20
FORBIDDEN = (
    "opentelemetry",
    "psutil",
    "pynvml",
    "grpc",
    "google.protobuf",
    "requests",
    "urllib3",
    "http.client",
    "ssl",
)
SETTLE = 0.3


class Watch:
    """Notes each act, import and thread of the package's own code. preventing: whether it happens none the less."""

    def __init__(self, package: str, log: str, *, preventing: bool) -> None:
        self._package, self._log, self._preventing = package, log, preventing
        self._judging: set[int] = set()

    def note(self, **what: object) -> None:
        """Write something down. The log is opened each time: a host may close what it has not opened itself."""
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return
        try:
            os.write(log, (json.dumps(what) + "\n").encode())
        finally:
            os.close(log)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Judge one audit event."""
        if event in STARTS or self._matters(event, arguments):
            self.judge(event, arguments, sys._getframe(1))  # noqa: SLF001 -- the interpreter's own way to ask who calls

    def judge(self, event: str, arguments: tuple[Any, ...], caller: FrameType) -> None:
        """Note an act if it is ours. Raises PermissionError in its place where acts are prevented."""
        thread = _thread.get_ident()
        if thread in self._judging:
            return
        self._judging.add(thread)
        try:
            if event == "import" and arguments[0] == "otel_usage":
                self.note(loaded=True)
                return
            if event in STARTS and (reason := self._unwatched(*(arguments[place] for place in STARTS[event]))):
                self.note(unwatched=reason)
            ours = self._ours(caller)
            cached = event != "import" and caller.f_code.co_filename.startswith("<frozen importlib")
            if cached or not ours or ours[0][1] == HOSTS_OWN:
                return
            if event == "os.remove" and CLEAR in ours and (name := _waiting_name(arguments[0])):
                self.note(waiting=name)
            else:
                self.note(act=f"{event} {arguments[0]!r:.80}" if arguments else event)
        finally:
            self._judging.discard(thread)
        if self._preventing and not event.startswith(WITHIN):
            raise PermissionError(errno.EPERM, "prevented by otel-usage verify-off")

    @staticmethod
    def _matters(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            _, mode, flags = arguments
            return bool(flags & WRITING) or any(letter in (mode or "") for letter in "wax+")
        if event == "import":
            return arguments[0] == "otel_usage" or str(arguments[0]).startswith(FORBIDDEN)
        return event.startswith(ACTS)

    def _ours(self, frame: FrameType | None) -> list[tuple[str, str]]:
        """Return the file and the name of each function of the package that is being called, the innermost first."""
        loaded = getattr(sys.modules.get("otel_usage"), "__file__", None)  # another environment has a copy of its own
        packages = (self._package + os.sep, os.path.dirname(loaded or self._package) + os.sep)
        command_line = tuple(os.path.join(package, "cli") + os.sep for package in packages)
        found = []
        while frame is not None:
            file, name = frame.f_code.co_filename, frame.f_code.co_name
            if file.startswith(packages):
                found += [] if file.startswith(command_line) else [(os.path.basename(file), name)]
            elif name == "<module>" and not found:  # what a module of the host's does when it is first imported
                return []
            frame = frame.f_back
        return found

    def _unwatched(self, path: Any, arguments: Any, environment: Any) -> str | None:  # noqa: ANN401 -- as it is passed
        """Say why a Python that is about to be started can't be watched; None where it can be, or is no Python."""
        try:
            words = [os.fsdecode(word) for word in arguments]
            name = os.path.basename(os.fsdecode(path or words[0]))
            given = dict(os.environ if environment is None else environment)
            variables = {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()}
        except Exception:  # noqa: BLE001 -- the program itself is told what is wrong with it
            return None
        if not name.startswith("python") and name != os.path.basename(sys.executable):
            return None
        places = variables.get("PYTHONPATH", "").split(os.pathsep)
        if os.path.dirname(self._log) not in places or SETTINGS not in variables:
            return f"it starts {name} without the environment that it was given"
        return f"it starts {name} so that it ignores its environment" if _is_isolated(words[1:]) else None

    def install(self) -> None:
        """Watch from now on; nothing can end it."""
        start = _thread.start_new_thread

        def watched(*arguments: Any, **named: Any) -> int:  # noqa: ANN401 -- passed through
            try:
                self.judge("a thread is started", (), sys._getframe(1))  # noqa: SLF001 -- as above
            except PermissionError as error:
                raise RuntimeError(error.strerror) from None  # as where no thread can be started
            return start(*arguments, **named)

        _thread.start_new_thread = watched
        sys.addaudithook(self.hook)


def _waiting_name(path: Any) -> str | None:  # noqa: ANN401 -- whatever a name can be
    """Return the name of what waits in the outbox, which opting out may delete."""
    name = os.path.basename(os.fsdecode(path)) if isinstance(path, (str, bytes)) else ""
    return name if name.isascii() and name[:TIME_DIGITS].isdigit() and name[TIME_DIGITS:][:1] == "." else None


def _is_isolated(options: list[str]) -> bool:
    """Tell whether Python is told to ignore PYTHONPATH, or to load no sitecustomize."""
    for option in options:
        if not option.startswith("-") or option.startswith(("-c", "-m")):
            return False
        if not option.startswith(("--", "-W", "-X")) and not set("IES").isdisjoint(option):
            return True
    return False


def snapshot() -> dict[str, list[str]]:
    """Return the modules, threads, descriptors and shared libraries of this process."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        libraries = {line.split()[-1] for line in file if ".so" in line}
    return {
        "module": sorted(sys.modules),
        "thread": sorted(os.listdir("/proc/self/task")),
        "descriptor": sorted(_link(name) for name in os.listdir("/proc/self/fd")),
        "library": sorted(libraries),
    }


def _link(name: str) -> str:
    try:
        return f"{name} {os.readlink(f'/proc/self/fd/{name}')}"
    except OSError:  # the descriptor that listed them
        return ""


def report_under_watch(watch: Watch, app: str) -> None:
    """Make a report and note whatever differs afterwards."""
    from otel_usage import UsageReporter  # under the watch
    from otel_usage.facts import registry

    loaded = registry.load(app) if app in registry.names() else app
    proc = os.path.isdir("/proc/self/task")
    reporter = UsageReporter(loaded)
    before = snapshot() if proc else {}
    reporter.report(context="UNKNOWN_CONTEXT")
    time.sleep(SETTLE)
    after = snapshot() if proc else {}
    for kind, found in after.items():
        for new in sorted(set(found) - set(before[kind])):
            watch.note(act=f"a new {kind}: {new}")
    reporter.flush(SETTLE)
    reporter.close()


def main() -> None:
    """Install the watch by the settings in the environment."""
    settings = json.loads(os.environ[SETTINGS])
    app = settings["app"]
    watch = Watch(settings["package"], settings["log"], preventing=app is None)
    watch.note(watching=True)
    watch.install()
    if app is None:
        load_operators_own(os.path.dirname(settings["log"]))
    else:
        sys.path[:] = settings["path"]
        report_under_watch(watch, app)
        watch.note(done=True)


def load_operators_own(place: str) -> None:
    """Load the `sitecustomize` that would have been loaded without ours, which stands before it in the path."""
    sys.path[:] = [path for path in sys.path if path != place]
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 -- the operator's, if there is one
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


if os.environ.get(SETTINGS):
    main()
