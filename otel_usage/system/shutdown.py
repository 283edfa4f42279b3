"""Interpreter shutdown: our threads stop before the interpreter is finalized.

A thread that runs Python during finalization can crash the process: before Python 3.12, a thread that starts, or that
returns from reading a file, can find its own state freed. So once our exit handler has begun, only threads that it
waits for may start. Once it has returned, each thread of ours blocks for ever.
"""

from __future__ import annotations

import _thread
import threading


class Shutdown:
    """Context manager of our exit handler: while it is entered, the handler waits for the threads that it needs.

    Attributes:
        begun: Whether an exit handler has ever entered it.
        waiting: How many exit handlers are in it now.
    """

    begun = False
    waiting = 0

    def __enter__(self) -> None:
        """Record that shutdown has begun."""
        Shutdown.begun = True
        Shutdown.waiting += 1

    def __exit__(self, *_: object) -> None:
        """Record that this exit handler has returned."""
        Shutdown.waiting -= 1


def park_if_over() -> None:
    """Block the calling thread for ever if our exit handler has returned."""
    if Shutdown.begun and not Shutdown.waiting:
        park()


def park() -> None:
    """Block the calling thread for ever.

    A thread that ends during interpreter finalization may use memory that is already freed; a blocked one uses none.
    """
    never = _thread.allocate_lock()
    never.acquire()
    never.acquire()


def is_exit_handler() -> bool:
    """Tell whether an exit handler is the caller: the main thread runs it after the main program has ended."""
    main = threading.main_thread()
    return main.ident == threading.get_ident() and not main.is_alive()
