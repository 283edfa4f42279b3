"""What is asked of the collected reports: one row a question, for the terminal, the page and the dashboards alike.

To ask something new, add a row to the app's `questions`. Nothing is imported here, as for the facts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_usage.facts.fact import Fact

MEASURES = ("runs", "gpus", "engine_hours")
DRAWINGS = ("bars", "grid", "lines")
PERIODS = ("day", "week", "month")


class Question:
    """One question: reports counted by some facts.

    title: in plain words, for people. by: the keys of the facts that the reports are grouped by; an environment
    variable is named by its own name. measure: what is drawn and sorted by, "runs" (reports), "gpus" (their GPUs) or
    "engine_hours" (the largest uptime of each run, from its heartbeats). draw: "bars", "grid" (two facts, as a table
    with shaded cells) or "lines" (over time). over: "day", "week" or "month", for a question about time.
    subject: the heading that it stands under; None for one of those that are asked first.

    Raises ValueError, at declaration, for a row that makes no sense.
    """

    __slots__ = ("by", "draw", "measure", "over", "subject", "title")

    def __init__(  # noqa: PLR0913 -- a row of the table has that many columns
        self,
        title: str,
        by: Iterable[str],
        *,
        measure: str = "runs",
        draw: str = "bars",
        over: str | None = None,
        subject: str | None = None,
    ) -> None:
        self.title, self.by = title, (by,) if isinstance(by, str) else tuple(by)
        self.measure, self.draw, self.over, self.subject = measure, draw, over, subject
        if problem := self._problem():
            message = f"question {title!r}: {problem}"
            raise ValueError(message)

    def _problem(self) -> str | None:
        """Say what is wrong with the row, or None."""
        checks = (
            (not (isinstance(self.title, str) and self.title.strip()), "the title must say what is asked"),
            (not self.by or not all(isinstance(key, str) for key in self.by), "by= must name at least one fact"),
            (len(set(self.by)) < len(self.by), "by= names a fact twice"),
            (self.measure not in MEASURES, f"measure= must be one of {', '.join(MEASURES)}"),
            (self.draw not in DRAWINGS, f"draw= must be one of {', '.join(DRAWINGS)}"),
            (self.over is not None and self.over not in PERIODS, f"over= must be one of {', '.join(PERIODS)}"),
            ((self.draw == "lines") != (self.over is not None), 'draw="lines" and over= go together'),
            (self.draw == "grid" and len(self.by) != 2, 'draw="grid" is for two facts'),  # noqa: PLR2004 -- as it says
            (self.draw == "lines" and len(self.by) != 1, 'draw="lines" is for one fact'),
        )
        return next((problem for failed, problem in checks if failed), None)


def askable(facts: Iterable[Fact]) -> dict[str, Fact]:
    """Return the facts that reports can be grouped by, by their keys: an environment variable is one of its own."""
    found: dict[str, Fact] = {}
    for fact in facts:
        if fact.on == "report" and fact.key not in ("uuid", "log_time"):
            found.update({part.key: part for part in getattr(fact, "variables", (fact,))})
    return found


def by_default(declared: Iterable[Fact], version_key: str) -> tuple[Question, ...]:
    """Return the questions of an app that declares none: hardware and versions, then one for each declared fact."""
    return (
        Question("GPU model", "gpu_type"),
        Question("GPUs by model", "gpu_type", measure="gpus"),
        Question("Engine-hours by GPU model", "gpu_type", measure="engine_hours"),
        Question("Versions over time", version_key, draw="lines", over="week"),
        Question("GPUs per machine", "gpu_count"),
        Question("Cloud provider", "provider"),
        Question("Versions", version_key, subject="Settings"),
        *(Question(fact.title, key, subject="Settings") for key, fact in askable(declared).items()),
    )
