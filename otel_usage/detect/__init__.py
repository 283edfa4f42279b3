"""Detectors, run side by side under one deadline; one that hangs or fails costs its own facts and nothing else.

A detector is a generator of (key, value) pairs, so that what it found before it hung or failed still counts.
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

DEADLINE = 2.0
# Where a host has said all of these itself, no GPU and no driver is asked: a host that forks meanwhile would hand its
# child a driver's lock that nobody there ever releases.
OF_GPUS = frozenset(("xpu_runtime", "cuda_runtime", "rocm_runtime", "gpu_count", "gpu_type", "gpu_memory_per_device"))


def _host() -> Iterator[tuple[str, Scalar | None]]:
    from otel_usage.detect.host import detect  # noqa: PLC0415 -- loaded once it is known to be wanted

    yield from detect()


def _cloud() -> Iterator[tuple[str, Scalar | None]]:
    from otel_usage.detect.cloud import detect  # noqa: PLC0415 -- loaded once it is known to be wanted

    yield from detect()


def _gpu() -> Iterator[tuple[str, Scalar | None]]:
    from otel_usage.detect.gpu import detect  # noqa: PLC0415 -- loaded once it is known to be wanted

    yield from detect()


DETECTORS: dict[str, Detector] = {"cloud": _cloud, "gpu": _gpu, "host": _host}


class Detection:
    """One run of the detectors, each in a helper thread of its own that is abandoned if it hangs.

    known: the keys of facts that the app passes, known or not.
    """

    __slots__ = ("_failed", "_found", "_over", "_running", "_unfinished")

    def __init__(self, detectors: Mapping[str, Detector] = DETECTORS, known: frozenset[str] = frozenset()) -> None:
        """Start the detectors; one whose thread can't be started counts as failed."""
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
                    if Shutdown.begun:  # the report does without the rest, and the exit waits for this thread
                        self._unfinished.add(name)
                        break
        except Exception:  # noqa: BLE001 -- whatever it is, it costs this detector's facts alone
            (self._unfinished if Shutdown.begun else self._failed).add(name)  # at the end, little can be imported
        finally:
            self._finish(name)

    def _finish(self, name: str) -> None:
        self._running.discard(name)
        if not self._running:
            self._over.set()

    def hurry(self) -> None:
        """End the wait at once, with what has been found so far."""
        self._over.set()

    def facts(self, seconds: float = DEADLINE) -> dict[str, Scalar]:
        """Return what was found within so many seconds, and who did not answer.

        That is in `detect_failed` who failed or hung until then, and in `detect_unfinished` who had no time to answer.
        """
        with Idle():  # else a fork would wait for this thread, and this one for a detector that waits for the fork
            had_time = not self._over.wait(seconds)
        running = set(self._running)
        silent = {
            "detect_failed": {*self._failed, *(running if had_time else ())},
            "detect_unfinished": {*self._unfinished, *(() if had_time else running)},
        }
        named = {key: ",".join(sorted(names)) for key, names in silent.items() if names}
        return {**self._found, **named}
