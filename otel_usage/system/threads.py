"""Daemon threads that do a host no harm: they crash no interpreter, and are not counted among the host's threads.

One that still runs Python while its interpreter ends may crash it: before Python 3.12 a thread that just begins, or
comes back from reading a file, can find its own state freed. So from the moment our exit handler runs none begins but
those that it waits for, it waits until those that run are at rest, for as long as it would wait for the line, and none
goes on when it has returned.

A host's fork waits for them as well: a child that is forked while one of them imports a module finds that module's lock
held by a thread that it does not have, and hangs when it imports the same.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
from itertools import tee

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar

PAUSE = 0.002
GRACE = 0.005
# 5 s: to load OpenTelemetry takes long on a cold disk. A detector that hangs holds up one fork.
PAUSES_FOR_FORK = 2500
# A report needs more than 32 KiB and less than 64 KiB; more where modules are compiled, or a driver is loaded.
SMALLEST_STACK = 256 * 1024


class NoThreadError(RuntimeError):
    """No thread can be started, or none must be; the text says why, in one line."""


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
    """While it is entered, this thread runs Python, and the exit handler and the host's forks wait for it."""

    # A forked child has none of its parent's threads. No lock guards them: it could be inherited held.
    process = 0
    threads: ClassVar[set[int]] = set()
    started: ClassVar[set[int]] = set()
    # Those that a fork has waited for in vain.
    hung: ClassVar[set[int]] = set()
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
        self._was_busy = threading.get_ident() in _busy()
        _rest()

    def __exit__(self, *_: object) -> None:
        """Go on, unless the process has ended: then never return."""
        if self._was_busy:
            _begin()


def _begin() -> None:
    """Count this thread as busy; it waits where a fork has begun before it was counted."""
    park_if_over()
    _busy().add(threading.get_ident())
    while Busy.forking:
        _rest()
        pause(PAUSE)
        _busy().add(threading.get_ident())


def _rest() -> None:
    _busy().discard(threading.get_ident())
    Busy.hung.discard(threading.get_ident())


def _busy() -> set[int]:
    if Busy.process != os.getpid():
        Busy.process, Busy.threads, Busy.started, Busy.hung = os.getpid(), set(), set(), set()
    return Busy.threads


def _heed_forks() -> None:
    """Have each fork wait until no thread of ours is busy; a hook at forks can't be taken back."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _load_logging() -> None:
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
    _heed_forks()


def _before_fork() -> None:
    Busy.forking = True
    logging_was_loaded = _logging_lock() is not None
    own, left = {threading.get_ident()}, PAUSES_FOR_FORK
    while _busy() - Busy.hung - own and left:
        pause(PAUSE)
        left -= 1
    Busy.hung |= _busy() - own
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


def wait_until_idle(pauses: int) -> None:
    """Wait until no thread of ours is busy, for at most so many pauses."""
    while _busy() and pauses > 0:
        pause(PAUSE)
        pauses -= 1
    pause(GRACE)  # for one that is through with its work, to be gone


def start(function: Callable[..., None], arguments: tuple[Any, ...] = (), *, needed: bool = False) -> None:
    """Run a function in a daemon thread.

    needed: an exit handler of ours may be waiting for it. Raises NoThreadError where no thread can be started.
    """
    if (Ending.begun and not (needed and Ending.waiting)) or _is_exit_handler():
        raise NoThreadError("the interpreter is about to end")
    if not is_main_interpreter():
        raise NoThreadError("a sub-interpreter with a thread can't be ended")
    if 0 < stack_size() < SMALLEST_STACK:
        raise NoThreadError("threading.stack_size leaves a thread too little")
    if not Busy.heeds_forks:
        Busy.heeds_forks = True
        _heed_forks()
    try:
        _thread.start_new_thread(_run, (function, arguments))
    except RuntimeError as error:
        raise NoThreadError("no thread can be started") from error


def _run(function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    _busy()  # begins anew in a forked child
    Busy.started.add(threading.get_ident())
    try:
        with Busy():
            _load_logging()
        function(*arguments)
    except Exception:  # noqa: BLE001 -- a thread of ours must not print a traceback
        return
    finally:
        with Busy():
            uncount()
            Busy.started.discard(threading.get_ident())


def uncount() -> None:
    """Take our threads out of what `threading` lists, where others' code has put them there by asking for the thread.

    Before Python 3.13 they would stay for ever, and a host that waits for its last thread would wait as long.
    """
    listed, stand_in = getattr(threading, "_active", {}), getattr(threading, "_DummyThread", ())
    for ident in tuple(Busy.started):
        if isinstance(listed.get(ident), stand_in):
            listed.pop(ident, None)


def is_main_interpreter() -> bool:
    """Tell whether this is the main interpreter, and no sub-interpreter."""
    if (known := getattr(_thread, "_is_main_interpreter", None)) is not None:
        return bool(known())
    if hasattr(sys.modules.get("__main__"), "__file__"):  # a program's; no sub-interpreter runs one
        return True
    try:
        # 0.3 ms, for Python 3.10 and 3.11 alone.
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


def stack_size() -> int:
    """Return what threads get for their stack, in bytes; 0 for the system's own size.

    Asking sets it to 0. So it is asked and set back within one call of C code, in which no other thread runs.
    """
    asked, kept = tee(map(_thread.stack_size, (0,)))
    try:
        next(map(_thread.stack_size, asked))
        return next(kept)
    except (RuntimeError, ValueError):  # a system where it can't be set
        return 0


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
