"""Daemon threads that do a host no harm: they stop before interpreter finalization, and `threading` does not list them.

They are started by `_thread`, which costs the caller a quarter of what `threading.Thread` does.
"""

from __future__ import annotations

import _thread
import sys
import threading
from itertools import tee

from otel_usage.system.busy import Busy, busy_threads, heed_forks, load_logging, note_end
from otel_usage.system.shutdown import Shutdown, is_exit_handler, park

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# A report needs more than 32 KiB and less than 64 KiB; more where modules are compiled, or a driver is loaded.
SMALLEST_STACK = 256 * 1024


class NoThreadError(RuntimeError):
    """No thread can be started, or none must be; the text says why, in one line."""


def start(function: Callable[..., None], arguments: tuple[Any, ...] = (), *, needed: bool = False) -> None:
    """Run a function in a daemon thread.

    needed: an exit handler of ours may be waiting for it. Raises NoThreadError where no thread can be started.
    """
    if (Shutdown.begun and not (needed and Shutdown.waiting)) or is_exit_handler():
        raise NoThreadError("the interpreter is about to end")
    if not is_main_interpreter():
        raise NoThreadError("a sub-interpreter with a thread can't be ended")
    if 0 < stack_size() < SMALLEST_STACK:
        raise NoThreadError("threading.stack_size leaves a thread too little")
    if not Busy.heeds_forks:
        Busy.heeds_forks = True
        heed_forks()
    busy_threads()  # begins anew in a forked child
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
            uncount()
            Busy.started.discard(threading.get_ident())
            ends = not Shutdown.begun
            if ends:
                note_end()
        if not ends:
            park()


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
