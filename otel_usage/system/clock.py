"""Time as it was when this was imported: a host may replace its clocks later on, and its sleep."""

from __future__ import annotations

import _thread
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE = 0.002


def now(clock: Callable[[], float] = time.monotonic) -> float:
    """Return the seconds of the monotonic clock as it was when this was imported: a host may replace it later on.

    One that fails stands still.
    """
    try:
        return clock()
    except Exception:  # noqa: BLE001 -- whatever the host has put there
        return 0.0


def pause(seconds: float) -> None:
    """Wait by a lock that nobody releases: it knows no clock that a host could have replaced."""
    never = _thread.allocate_lock()
    never.acquire()
    never.acquire(timeout=seconds)
