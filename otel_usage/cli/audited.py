"""Run in a child process by `otel-usage verify-off`: watch what otel_usage does, and write down what it may not do.

As a script it makes a report of its own under the watch; as the `sitecustomize` of another command it watches that.
It imports nothing of otel_usage before the watch is on, and nothing at all while it watches.
"""

from __future__ import annotations

import _thread
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
    "socket.", "subprocess.", "os.posix_spawn", "os.fork", "os.exec", "os.system", "os.mkdir", "os.rename", "os.remove",
    "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate", "os.putenv", "ctypes.dlopen", "shutil.",
    "_thread.start_new_thread", "signal.",
)  # fmt: skip
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
    """Notes each act, import and thread whose stack passes through the package's own files."""

    def __init__(self, package: str, log: int) -> None:
        self._package = package + os.sep
        self._here = os.path.join(package, "cli") + os.sep
        self._log = log
        self._noting = False

    def note(self, act: str) -> None:
        """Write one act down."""
        os.write(self._log, (json.dumps({"act": act}) + "\n").encode())

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Judge one audit event."""
        if self._noting or not self._matters(event, arguments):
            return
        self._noting = True
        try:
            if self._is_ours():
                self.note(f"{event} {arguments[0]!r:.80}" if arguments else event)
        finally:
            self._noting = False

    @staticmethod
    def _matters(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            _, mode, flags = arguments
            return bool(flags & WRITING) or any(letter in (mode or "") for letter in "wax+")
        if event == "import":
            return str(arguments[0]).startswith(FORBIDDEN)
        return event.startswith(ACTS)

    def _is_ours(self) -> bool:
        frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 -- the interpreter's own way to ask who calls
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self._package) and not file.startswith(self._here):
                return True
            frame = frame.f_back
        return False

    def install(self) -> None:
        """Watch from now on; nothing can end it."""
        start = _thread.start_new_thread

        def watched(*arguments: Any, **named: Any) -> int:  # noqa: ANN401 -- passed through
            if self._is_ours():
                self.note("a thread is started")
            return start(*arguments, **named)

        _thread.start_new_thread = watched
        sys.addaudithook(self.hook)


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
    from otel_usage import UsageReporter, apps  # noqa: PLC0415 -- under the watch

    loaded = apps.load(app)
    proc = os.path.isdir("/proc/self/task")
    reporter = UsageReporter(loaded)
    before = snapshot() if proc else {}
    reporter.report(context="UNKNOWN_CONTEXT")
    time.sleep(SETTLE)
    after = snapshot() if proc else {}
    for kind, found in after.items():
        for new in sorted(set(found) - set(before[kind])):
            watch.note(f"a new {kind}: {new}")
    reporter.flush(SETTLE)
    reporter.close()


def main() -> None:
    """Install the watch by the settings in the environment."""
    settings = json.loads(os.environ[SETTINGS])
    log = os.open(settings["log"], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    watch = Watch(settings["package"], log)
    os.write(log, b'{"watching": true}\n')
    watch.install()
    if settings["app"] is not None:
        sys.path[:] = settings["path"]
        report_under_watch(watch, settings["app"])
        os.write(log, b'{"loaded": true}\n')
        return
    import atexit  # noqa: PLC0415 -- only when a command is watched

    atexit.register(lambda: "otel_usage" in sys.modules and os.write(log, b'{"loaded": true}\n'))


if os.environ.get(SETTINGS):
    main()
