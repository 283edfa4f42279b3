"""The outcome of one attempt to send a report."""

from __future__ import annotations


class Outcome:
    """The outcome of one attempt to send a report.

    Attributes:
        ok: Whether the server accepted the report.
        detail: One line for a person. It quotes nothing that a server wrote.
        again: Whether to retry. False also if the report was accepted or permanently rejected.
        after: The seconds that the server asked to wait (Retry-After); None if it did not ask.
    """

    __slots__ = ("after", "again", "detail", "ok")

    def __init__(self, detail: str, *, ok: bool = False, again: bool = True, after: float | None = None) -> None:
        self.ok, self.detail, self.again, self.after = ok, detail, again and not ok, after


STOPPED = Outcome("not sent: the mode is no longer on", again=False)
