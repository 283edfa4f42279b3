"""What the parts tell whoever runs the pipeline that they stand in: once a process, by the logger `otel_usage`."""

from __future__ import annotations

import logging

MOST = 64

_said: set[tuple[int, str]] = set()


def say_once(level: int, message: str) -> None:
    """Log a message, unless this process has had it, or 64 others. Raises nothing."""
    if (level, message) in _said or len(_said) >= MOST:
        return
    _said.add((level, message))  # first: a handler may end up here again
    try:
        logging.getLogger("otel_usage").log(level, "%s", message)
    except Exception:  # noqa: BLE001 -- a handler or filter of the host's that raises costs its own record alone
        return
