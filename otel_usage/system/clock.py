"""This package's own clock and sleep: a host may replace `time.monotonic` and `time.sleep`."""

from __future__ import annotations

import _thread
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds between two looks at a condition that nothing signals.
PAUSE = 0.002


def now(clock: Callable[[], float] = time.monotonic) -> float:
    """Return the monotonic clock's time.

    Args:
        clock: The clock to ask: `time.monotonic` as it was when this module was imported, which a host can't replace.

    Returns:
        Seconds, with any start; 0.0 where the clock raises.
    """
    try:
        return clock()
    except Exception:  # noqa: BLE001 -- a host may have replaced it before the import
        return 0.0


def pause(seconds: float) -> None:
    """Sleep for so many seconds.

    It waits for a lock that nobody releases, since a host may have replaced `time.sleep`.
    """
    never = _thread.allocate_lock()
    never.acquire()
    never.acquire(timeout=seconds)
