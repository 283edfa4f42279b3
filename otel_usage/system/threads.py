"""Daemon threads that stop before interpreter finalization and that `threading.enumerate` does not list.

`_thread` starts them, which costs the caller a quarter of the time of `threading.Thread`.
"""

from __future__ import annotations

import _thread
import sys
import threading
from itertools import tee

from otel_usage.system.busy import Busy, busy_threads, load_logging, note_end, register_fork_hooks
from otel_usage.system.shutdown import Shutdown, is_exit_handler, park

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Bytes. A report needs 32 to 64 KiB, and more when Python compiles a module or loads a GPU driver.
SMALLEST_STACK = 256 * 1024


class NoThreadError(RuntimeError):
    """No thread can or may be started; the text gives the reason in one line."""


def start(function: Callable[..., None], arguments: tuple[Any, ...] = (), *, needed: bool = False) -> None:
    """Run a function in a daemon thread.

    Args:
        function: What the thread runs. If it raises an Exception, the thread ends without a traceback.
        arguments: Its positional arguments.
        needed: Whether our exit handler may wait for this thread. Only such a thread may start during shutdown.

    Raises:
        NoThreadError: No thread can be started, or none may be: the interpreter shuts down, this is a sub-interpreter,
            or `threading.stack_size` is too small.
    """
    if (Shutdown.begun and not (needed and Shutdown.waiting)) or is_exit_handler():
        raise NoThreadError("the interpreter is about to end")
    if not is_main_interpreter():
        raise NoThreadError("a sub-interpreter with a thread can't be ended")
    if 0 < stack_size() < SMALLEST_STACK:
        raise NoThreadError("threading.stack_size is below 256 KiB")
    if not Busy.has_fork_hooks:
        Busy.has_fork_hooks = True
        register_fork_hooks()
    busy_threads()  # in a forked child, replaces the set used below
    token = object()
    Busy.beginning.add(token)
    try:
        _thread.start_new_thread(_run, (function, arguments, token))
    except RuntimeError as error:
        Busy.beginning.discard(token)
        raise NoThreadError("no thread can be started") from error


def _run(function: Callable[..., None], arguments: tuple[Any, ...], token: object) -> None:
    Busy.started.add(threading.get_ident())
    try:
        with Busy():
            Busy.beginning.discard(token)
        with Busy():
            load_logging()
        function(*arguments)
    except Exception:  # noqa: BLE001 -- a thread of ours must not print a traceback
        return
    finally:
        with Busy():
            remove_from_threading()
            Busy.started.discard(threading.get_ident())
            ends = not Shutdown.begun
            if ends:
                note_end()
        if not ends:
            park()


def remove_from_threading() -> None:
    """Remove our threads from the list of `threading`.

    Any code that calls `threading.current_thread` on our thread adds it to that list as a dummy thread. Before Python
    3.13 it stays there for ever, and a host that waits until no other thread is left waits for ever.
    """
    listed, stand_in = getattr(threading, "_active", {}), getattr(threading, "_DummyThread", ())
    for ident in tuple(Busy.started):
        if isinstance(listed.get(ident), stand_in):
            listed.pop(ident, None)


def is_main_interpreter() -> bool:
    """Tell whether this is the main interpreter of the process, as opposed to a sub-interpreter."""
    if (known := getattr(_thread, "_is_main_interpreter", None)) is not None:
        return bool(known())
    if hasattr(sys.modules.get("__main__"), "__file__"):  # only the main interpreter runs a program from a file
        return True
    try:
        # Costs 0.3 ms. Only Python 3.10 and 3.11 get here.
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


def stack_size() -> int:
    """Return the stack size of new threads, in bytes; 0 for the system's default.

    `_thread.stack_size(0)` returns the size, but also resets it to 0. One C call (`next`) therefore both reads the size
    and sets it back: no other thread runs in between.
    """
    asked, kept = tee(map(_thread.stack_size, (0,)))
    try:
        next(map(_thread.stack_size, asked))
        return next(kept)
    except (RuntimeError, ValueError):  # this system can't set it
        return 0
