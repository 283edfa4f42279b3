"""Call a function with a deadline: the caller gives up on a call that hangs, and leaves it in a helper thread."""

from __future__ import annotations

import threading

from otel_usage.system.busy import Idle
from otel_usage.system.shutdown import park_if_over
from otel_usage.system.threads import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


def call(function: Callable[[], Result], seconds: float) -> Result:
    """Run a function in a helper thread and wait for its result.

    Args:
        function: What to run. After the deadline it runs on, and its result is dropped.
        seconds: How long to wait.

    Returns:
        What the function returns.

    Raises:
        TimeoutError: The function has not returned in time.
        NoThreadError: No thread can be started.
        BaseException: Whatever the function raises.
    """
    outcome: list[Result | BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
            outcome.append(error)
        park_if_over()
        over.set()

    start(run)
    with Idle():
        answered = over.wait(seconds)
    if not answered:
        message = f"no answer within {seconds:g} s"
        raise TimeoutError(message)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
