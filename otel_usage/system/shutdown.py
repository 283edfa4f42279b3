"""Interpreter shutdown: once it has begun, a thread of ours stops before the interpreter is finalized.

A thread that still runs Python then may crash the process: before Python 3.12 one that just begins, or comes back from
reading a file, can find its own state freed. So from the moment our exit handler runs, no thread begins but those that
it waits for, and none goes on when it has returned.
"""

from __future__ import annotations

import _thread
import threading


class Shutdown:
    """While it is entered, our exit handler waits for the threads that are needed for it."""

    begun = False
    waiting = 0

    def __enter__(self) -> None:
        """Begin to end."""
        Shutdown.begun = True
        Shutdown.waiting += 1

    def __exit__(self, *_: object) -> None:
        """Wait no longer."""
        Shutdown.waiting -= 1


def park_if_over() -> None:
    """Block this thread for ever, where our exit handler has returned."""
    if Shutdown.begun and not Shutdown.waiting:
        park()


def park() -> None:
    """Block this thread for ever.

    A thread that ends beside interpreter finalization may use memory that is freed; one that is blocked uses none.
    """
    never = _thread.allocate_lock()
    never.acquire()
    never.acquire()


def is_exit_handler() -> bool:
    """Tell whether this is called by an exit handler: on the main thread, when the main program is over."""
    main = threading.main_thread()
    return main.ident == threading.get_ident() and not main.is_alive()
