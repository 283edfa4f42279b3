"""A call has a deadline, and nobody waits for it any longer."""

import threading

import pytest

from otel_usage.system import deadline


def test_what_the_call_returns_or_raises_reaches_the_caller():
    """The caller gets the result or the exception as if it had made the call itself."""
    with pytest.raises(ZeroDivisionError):
        deadline.call(lambda: 1 // 0, 5)

    assert deadline.call(lambda: 7, 5) == 7


def test_a_call_that_hangs_is_left_behind():
    """At the deadline the caller gets a TimeoutError, and the call goes on alone."""
    release = threading.Event()

    with pytest.raises(TimeoutError, match=r"^no answer within 0.05 s$"):
        deadline.call(lambda: release.wait(30), 0.05)

    release.set()
