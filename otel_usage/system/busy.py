"""Count our threads that run Python code: the host's forks and interpreter shutdown wait until there are none.

An import holds a lock of its module. A child that is forked during an import in one of our threads inherits the lock,
but not the thread that would release it, and hangs when it imports that module. So forks wait for our busy threads.
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

# 5 s, since OpenTelemetry loads slowly from a cold disk. A detector that hangs delays one fork only.
PAUSES_FOR_FORK = 2500
# 0.25 s, for threads that start or end at that moment. On an idle machine they need 1 ms.
PAUSES_FOR_UNSAFE = 125
# To look whether a thread is gone delays the end of the one that looks, so that more threads and their stacks exist.
MOST_ENDED = 16


class Busy:
    """Context manager: while it is entered, this thread is busy, and forks and the exit handler wait for it.

    Attributes:
        process: The pid for which the sets below hold.
        threads: The idents of the threads that are busy.
        started: The idents of the threads of ours that exist.
        hung: The busy threads that a fork has waited for in vain; no other fork waits for them.
        beginning: One object for each thread that has been started and has not run any Python yet.
        ended: The native ids of the threads that have run their last line and may still exist.
        forking: Whether a fork is in progress.
        has_fork_hooks: Whether `register_fork_hooks` has run.
    """

    # A forked child replaces these sets, since it has none of its parent's threads. They have no lock: a child could
    # inherit it in the locked state.
    process = 0
    threads: ClassVar[set[int]] = set()
    started: ClassVar[set[int]] = set()
    hung: ClassVar[set[int]] = set()
    beginning: ClassVar[set[object]] = set()
    ended: ClassVar[set[int]] = set()
    forking = has_fork_hooks = False

    def __enter__(self) -> None:
        """Count this thread as busy, once no fork is in progress; block for ever if our exit handler has returned."""
        _mark_busy()

    def __exit__(self, *_: object) -> None:
        """Count this thread as idle."""
        _mark_idle()


class Idle:
    """Context manager for a wait inside of `Busy`: while it is entered, nothing waits for this thread."""

    __slots__ = ("_was_busy",)

    def __enter__(self) -> None:
        """Count this thread as idle, and remember whether it was busy."""
        self._was_busy = threading.get_ident() in busy_threads()
        _mark_idle()

    def __exit__(self, *_: object) -> None:
        """Count this thread as busy again, if it was; see `Busy.__enter__`."""
        if self._was_busy:
            _mark_busy()


def _mark_busy() -> None:
    """Count this thread as busy. If a fork began before it was counted, wait until the fork is over."""
    park_if_over()
    busy_threads().add(threading.get_ident())
    while Busy.forking:
        _mark_idle()
        pause(PAUSE)
        busy_threads().add(threading.get_ident())


def _mark_idle() -> None:
    busy_threads().discard(threading.get_ident())
    Busy.hung.discard(threading.get_ident())


def busy_threads() -> set[int]:
    """Return the idents of our busy threads. In a forked child, the first call empties the sets."""
    if Busy.process != os.getpid():
        Busy.process = os.getpid()
        Busy.threads, Busy.started, Busy.hung, Busy.beginning, Busy.ended = set(), set(), set(), set(), set()
    return Busy.threads


def wait_until_idle(pauses: int) -> None:
    """Wait until no thread of ours is busy, then until none is starting or ending.

    A thread that starts, before its first line of Python, uses memory that interpreter finalization frees. So does a
    thread that ends, after its last line.

    Args:
        pauses: How many pauses of PAUSE seconds the first wait may take. The second one takes at most 0.25 s.
    """
    while busy_threads() and pauses > 0:
        pause(PAUSE)
        pauses -= 1
    pauses = PAUSES_FOR_UNSAFE
    while (Busy.beginning or any(map(_is_there, tuple(Busy.ended)))) and pauses > 0:
        pause(PAUSE)
        pauses -= 1


def note_end() -> None:
    """Record that this thread runs its last line. Where many are recorded, forget those that are gone."""
    Busy.ended.add(threading.get_native_id())
    if len(Busy.ended) > MOST_ENDED:
        Busy.ended.difference_update(thread for thread in tuple(Busy.ended) if not _is_there(thread))


def _is_there(thread: int) -> bool:
    """Tell whether the thread with this native id exists; False on a system without /proc."""
    return os.path.exists(f"/proc/self/task/{thread}")


def register_fork_hooks() -> None:
    """Register the hooks that make each fork wait until no thread of ours is busy. Python can't unregister them."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def load_logging() -> None:
    """Import `logging` before our threads use it, and register our fork hooks again after its own.

    `logging` takes its lock in a fork hook. Hooks before a fork run in reverse order of registration, so without a
    second registration a fork would take that lock first, then wait for a thread of ours that waits for the lock.
    """
    if "logging" in sys.modules:
        return
    try:
        import logging  # noqa: F401 -- most hosts have it
    except Exception:  # noqa: BLE001 -- no descriptor is free to load it
        return
    register_fork_hooks()


def _before_fork() -> None:
    Busy.forking = True
    logging_was_loaded = _logging_lock() is not None
    own, left = {threading.get_ident()}, PAUSES_FOR_FORK
    while busy_threads() - Busy.hung - own and left:
        pause(PAUSE)
        left -= 1
    Busy.hung |= busy_threads() - own
    # A thread has loaded `logging` during the wait. This fork does not run its hook that takes the lock, but does run
    # the one that releases it. So take the lock here.
    lock = None if logging_was_loaded else _logging_lock()
    if lock is not None and not getattr(lock, "_is_owned", lambda: True)():
        lock.acquire()


def _logging_lock() -> Any:  # noqa: ANN401 -- `threading` has no public type for it
    """Return the lock that `logging` takes in its fork hook; None unless `logging` is completely loaded."""
    module = sys.modules.get("logging")
    loading = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if loading else getattr(module, "_lock", None)


def _after_fork() -> None:
    Busy.forking = False
