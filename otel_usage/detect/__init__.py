"""Run the detectors in parallel, with one deadline. If one hangs or fails, only its own facts are missing.

A detector is a generator of (key, value) pairs. What it yields before it hangs or fails counts.
"""

from __future__ import annotations

import threading

from otel_usage.system.busy import Busy, Idle
from otel_usage.system.shutdown import Shutdown
from otel_usage.system.threads import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_usage.facts.fact import Scalar

    Detector = Callable[[], Iterator[tuple[str, Scalar | None]]]

# Seconds.
DEADLINE = 2.0
# If the host passes all of these itself, no GPU driver is asked: a child that the host forks meanwhile would inherit a
# lock of the driver that nobody in it ever releases.
OF_GPUS = frozenset(("xpu_runtime", "cuda_runtime", "rocm_runtime", "gpu_count", "gpu_type", "gpu_memory_per_device"))


def _host() -> Iterator[tuple[str, Scalar | None]]:
    from otel_usage.detect.host import detect  # only where a report is made

    yield from detect()


def _cloud() -> Iterator[tuple[str, Scalar | None]]:
    from otel_usage.detect.cloud import detect  # only where a report is made

    yield from detect()


def _gpu() -> Iterator[tuple[str, Scalar | None]]:
    from otel_usage.detect.gpu import detect  # only where a report is made

    yield from detect()


DETECTORS: dict[str, Detector] = {"cloud": _cloud, "gpu": _gpu, "host": _host}


class Detection:
    """One run of the detectors, each in a helper thread of its own. A thread that hangs is abandoned.

    Args:
        detectors: The detectors by name.
        known: The keys of the facts that the app passes itself, even with the value None.
    """

    __slots__ = ("_failed", "_found", "_over", "_running", "_unfinished")

    def __init__(self, detectors: Mapping[str, Detector] = DETECTORS, known: frozenset[str] = frozenset()) -> None:
        """Start the detectors. One whose thread can't be started counts as failed, or as unfinished at exit."""
        if known >= OF_GPUS:
            detectors = {name: detector for name, detector in detectors.items() if name != "gpu"}
        self._found: dict[str, Scalar] = {}
        self._failed: set[str] = set()
        self._unfinished: set[str] = set()
        self._running = set(detectors)
        self._over = threading.Event()
        for name, detector in detectors.items():
            try:
                start(self._run, (name, detector), needed=True)
            except RuntimeError:
                (self._unfinished if Shutdown.begun else self._failed).add(name)
                self._finish(name)

    def _run(self, name: str, detector: Detector) -> None:
        try:
            with Busy():
                for key, value in detector():
                    if value is not None:
                        self._found[key] = value
                    if Shutdown.begun:  # the exit waits for this thread, so the report goes without the rest
                        self._unfinished.add(name)
                        break
        except Exception:  # noqa: BLE001 -- only the facts of this detector are missing
            (self._unfinished if Shutdown.begun else self._failed).add(name)  # imports fail during shutdown
        finally:
            self._finish(name)

    def _finish(self, name: str) -> None:
        self._running.discard(name)
        if not self._running:
            self._over.set()

    def hurry(self) -> None:
        """Make `facts` return at once, with what has been found so far."""
        self._over.set()

    def facts(self, seconds: float = DEADLINE) -> dict[str, Scalar]:
        """Wait for the detectors, and return what they have found.

        Args:
            seconds: How long to wait at most.

        Returns:
            The facts. `detect_failed` has the sorted names of the detectors that failed or hung until the deadline,
            `detect_unfinished` of those that did not have the whole time; each is missing if it has no names.
        """
        with Idle():  # else a fork waits for this thread, and this thread for a detector that waits for the fork
            had_time = not self._over.wait(seconds)
        running = set(self._running)
        silent = {
            "detect_failed": {*self._failed, *(running if had_time else ())},
            "detect_unfinished": {*self._unfinished, *(() if had_time else running)},
        }
        named = {key: ",".join(sorted(names)) for key, names in silent.items() if names}
        return {**self._found, **named}
