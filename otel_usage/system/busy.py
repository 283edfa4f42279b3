"""Threads of ours that run Python at this moment; interpreter shutdown and the host's forks wait for them.

A child that is forked while a thread of its parent imports a module finds that module's lock held by a thread that it
does not have, and hangs when it imports the same. So a fork waits until no thread of ours is busy.
"""

from __future__ import annotations

import os
import sys
import threading

from otel_usage.system.clock import PAUSE, pause
from otel_usage.system.shutdown import park_if_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

# 5 s: to load OpenTelemetry takes long on a cold disk. A detector that hangs holds up one fork.
PAUSES_FOR_FORK = 2500
# 0.25 s, for threads that begin or end at that moment; they need a millisecond where the machine is not loaded.
PAUSES_FOR_UNSAFE = 125


class Busy:
    """While it is entered, this thread runs Python, and the exit handler and the host's forks wait for it."""

    # A forked child has none of its parent's threads. No lock guards them: it could be inherited held.
    process = 0
    threads: ClassVar[set[int]] = set()
    started: ClassVar[set[int]] = set()
    # Those that a fork has waited for in vain.
    hung: ClassVar[set[int]] = set()
    # Those that were started and run no Python yet, each as an object of its own; those that have run their last line,
    # by their native ids.
    beginning: ClassVar[set[object]] = set()
    ended: ClassVar[set[int]] = set()
    forking = heeds_forks = False

    def __enter__(self) -> None:
        """Begin, after a fork that is under way, unless the process has ended: then never return."""
        _begin()

    def __exit__(self, *_: object) -> None:
        """Be at rest."""
        _rest()


class AtRest:
    """While it is entered, a thread that was busy waits for the network, which no exit handler waits for."""

    __slots__ = ("_was_busy",)

    def __enter__(self) -> None:
        """Rest."""
        self._was_busy = threading.get_ident() in busy_threads()
        _rest()

    def __exit__(self, *_: object) -> None:
        """Go on, unless the process has ended: then never return."""
        if self._was_busy:
            _begin()


def _begin() -> None:
    """Count this thread as busy; it waits where a fork has begun before it was counted."""
    park_if_over()
    busy_threads().add(threading.get_ident())
    while Busy.forking:
        _rest()
        pause(PAUSE)
        busy_threads().add(threading.get_ident())


def _rest() -> None:
    busy_threads().discard(threading.get_ident())
    Busy.hung.discard(threading.get_ident())


def busy_threads() -> set[int]:
    """Return the idents of the threads that are busy; a forked child begins with none."""
    if Busy.process != os.getpid():
        Busy.process = os.getpid()
        Busy.threads, Busy.started, Busy.hung, Busy.beginning, Busy.ended = set(), set(), set(), set(), set()
    return Busy.threads


def wait_until_idle(pauses: int) -> None:
    """Wait until no thread of ours is busy, for at most so many pauses, and until none is between two states.

    A thread that has been started and runs no Python yet uses memory that interpreter finalization frees, and so does
    one that has run its last line.
    """
    while busy_threads() and pauses > 0:
        pause(PAUSE)
        pauses -= 1
    pauses = PAUSES_FOR_UNSAFE
    while (Busy.beginning or any(map(_is_there, tuple(Busy.ended)))) and pauses > 0:
        pause(PAUSE)
        pauses -= 1


def note_end() -> None:
    """Note that this thread has run its last line; those that are gone since are forgotten."""
    Busy.ended = {thread for thread in (*Busy.ended, threading.get_native_id()) if _is_there(thread)}


def _is_there(thread: int) -> bool:
    """Tell whether the system still has a thread, by its native id; False where it can't say."""
    return os.path.exists(f"/proc/self/task/{thread}")


def heed_forks() -> None:
    """Have each fork wait until no thread of ours is busy; a hook at forks can't be taken back."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def load_logging() -> None:
    """Load what threads of ours need a lock of, and which takes that lock at forks.

    Hooks run in the reverse order of their registration. So ours is registered again: else a fork would hold the lock,
    and wait for a thread that waits for it.
    """
    if "logging" in sys.modules:
        return
    try:
        import logging  # noqa: F401, PLC0415 -- most hosts have it
    except Exception:  # noqa: BLE001 -- no descriptor is left to load it by
        return
    heed_forks()


def _before_fork() -> None:
    Busy.forking = True
    logging_was_loaded = _logging_lock() is not None
    own, left = {threading.get_ident()}, PAUSES_FOR_FORK
    while busy_threads() - Busy.hung - own and left:
        pause(PAUSE)
        left -= 1
    Busy.hung |= busy_threads() - own
    # Loaded meanwhile: the hook that takes the lock came too late for this fork, the one that releases it does not.
    lock = None if logging_was_loaded else _logging_lock()
    if lock is not None and not getattr(lock, "_is_owned", lambda: True)():
        lock.acquire()


def _logging_lock() -> Any:  # noqa: ANN401 -- a lock of a kind that `threading` does not name
    """Return the lock that `logging` takes at forks; None until that is loaded."""
    module = sys.modules.get("logging")
    loading = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if loading else getattr(module, "_lock", None)


def _after_fork() -> None:
    Busy.forking = False
