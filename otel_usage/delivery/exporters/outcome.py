"""What became of one attempt to deliver."""

from __future__ import annotations


class Outcome:
    """One attempt's end.

    ok: the other side took the report. detail: one line for a person, without anything a server wrote.
    again: whether a later attempt may succeed. after: the seconds that the server asked to wait, if it did.
    """

    __slots__ = ("after", "again", "detail", "ok")

    def __init__(self, detail: str, *, ok: bool = False, again: bool = True, after: float | None = None) -> None:
        self.ok, self.detail, self.again, self.after = ok, detail, again and not ok, after


STOPPED = Outcome("not sent: the mode is no longer on", again=False)
