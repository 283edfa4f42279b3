"""Daemon threads that leave an interpreter alone that ends: one that still runs Python then may crash it.

Before Python 3.12 a thread that just begins, or comes back from reading a file, can find its own state freed. So from
the moment our exit handler runs none begins but those that it waits for, it waits until those that run are at rest, for
as long as it would wait for the line, and none goes on when it has returned.
"""

from __future__ import annotations

import _thread
import os
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar

PAUSE = 0.001
GRACE = 0.005


class Ending:
    """While it is entered, our exit handler waits for the threads that are needed for it."""

    begun = False
    waiting = 0

    def __enter__(self) -> None:
        """Begin to end."""
        Ending.begun = True
        Ending.waiting += 1

    def __exit__(self, *_: object) -> None:
        """Wait no longer."""
        Ending.waiting -= 1


class Busy:
    """While it is entered, this thread runs Python, and the exit handler waits for it."""

    # A forked child has none of its parent's threads. No lock guards them: it could be inherited held.
    process = 0
    threads: ClassVar[set[int]] = set()

    def __enter__(self) -> None:
        """Begin, unless the process has ended: then never return."""
        park_if_over()
        _busy().add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        """Be at rest."""
        _busy().discard(threading.get_ident())


class AtRest:
    """While it is entered, a thread that was busy waits for the network, which no exit handler waits for."""

    __slots__ = ("_was_busy",)

    def __enter__(self) -> None:
        """Rest."""
        self._was_busy = threading.get_ident() in _busy()
        _busy().discard(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        """Go on, unless the process has ended: then never return."""
        if self._was_busy:
            park_if_over()
            _busy().add(threading.get_ident())


def _busy() -> set[int]:
    if Busy.process != os.getpid():
        Busy.process, Busy.threads = os.getpid(), set()
    return Busy.threads


def wait_until_idle(until: float) -> None:
    """Wait until no thread of ours is busy, or until that time, by the monotonic clock."""
    while _busy() and time.monotonic() < until:
        time.sleep(PAUSE)
    time.sleep(GRACE)  # for one that is through with its work, to be gone


def start(function: Callable[..., None], arguments: tuple[Any, ...] = (), *, needed: bool = False) -> None:
    """Run a function in a daemon thread.

    needed: an exit handler of ours may be waiting for it. Raises RuntimeError where no thread can be started.
    """
    if (Ending.begun and not (needed and Ending.waiting)) or _is_exit_handler():
        raise RuntimeError("the interpreter is about to end")
    _thread.start_new_thread(function, arguments)


def park_if_over() -> None:
    """Block this thread for ever, where our exit handler has returned."""
    if Ending.begun and not Ending.waiting:
        never = _thread.allocate_lock()
        never.acquire()
        never.acquire()


def _is_exit_handler() -> bool:
    """Tell whether this is called by an exit handler: on the main thread, when the main program is over."""
    main = threading.main_thread()
    return main.ident == threading.get_ident() and not main.is_alive()
