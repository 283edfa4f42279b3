"""Keeps a stock exporter's log from the host, and hears in it what went wrong."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

LOGGERS = ("opentelemetry", "urllib3", "requests", "grpc")
RETRYING = "retrying in"


class RetryAnnounced(Exception):  # noqa: N818 -- it ends an attempt, it is no error
    """Raised out of the stock exporter in place of its own wait: retrying needs a fresh decision."""


class Silence(logging.Filter):
    """Keeps what the stock exporter logs on this thread from the host's handlers, while in the `with` block.

    Other threads' records pass. A record that announces a retry ends the attempt.

    Attributes:
        code: The name of the status of a failed call over gRPC, None where there was none.
        details: What gRPC says of it; it may be the server's own words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.code: str | None = None
        self.details: str | None = None
        self._thread = threading.get_ident()
        self._loggers: list[logging.Logger] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass other threads' records on; keep ours. Raises RetryAnnounced."""
        if record.thread != self._thread:
            return True
        self._hear(sys.exc_info()[1])
        if RETRYING in record.getMessage():
            raise RetryAnnounced
        return False

    def _hear(self, error: BaseException | None) -> None:
        """Note the status of the call whose failure is being logged; the log itself has it in newer releases only."""
        code, details = getattr(error, "code", None), getattr(error, "details", None)
        if callable(code) and callable(details):
            self.code, self.details = getattr(code(), "name", None), details()

    def __enter__(self) -> Self:
        """Attach to the loggers there are; an exporter's are made when it is imported."""
        known = [
            logging.getLogger(name)
            for name in sorted(logging.root.manager.loggerDict)
            if name.partition(".")[0] in LOGGERS
        ]
        for logger in known:
            logger.filters.insert(0, self)  # before those of the exporter's own, which drop what is said again
            self._loggers.append(logger)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the loggers as they were."""
        for logger in self._loggers:
            logger.removeFilter(self)
