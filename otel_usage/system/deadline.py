"""Wait for a call for so long and no longer: what hangs is left behind in a helper thread."""

from __future__ import annotations

import threading

from otel_usage.system.busy import AtRest
from otel_usage.system.shutdown import park_if_over
from otel_usage.system.threads import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


def call(function: Callable[[], Result], seconds: float) -> Result:
    """Return what `function` returns, or raise what it raises.

    Raises TimeoutError after so many seconds, RuntimeError where no thread can be started.
    """
    outcome: list[Result | BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 -- handed to the caller's thread
            outcome.append(error)
        park_if_over()
        over.set()

    start(run)
    with AtRest():
        answered = over.wait(seconds)
    if not answered:
        message = f"no answer within {seconds:g} s"
        raise TimeoutError(message)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
