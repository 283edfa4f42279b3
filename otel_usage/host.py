"""The host's own state, left as it was found."""

from __future__ import annotations

import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OURS = "opentelemetry"


class WarningsFiltersKept:
    """Takes back, at the end of a `with` block, what OpenTelemetry did to the host's warnings filters in it.

    Importing it and getting a tracer put filters at the front. What the host's other threads add stays.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        """Remember the filters."""
        self._before: list[Any] = list(warnings.filters)

    def __exit__(self, *_: object) -> None:
        """Restore their order where only OpenTelemetry's changed, else remove just what it added."""
        before = self._before
        now: list[Any] = warnings.filters  # type: ignore[assignment]  # a list, whatever typeshed says
        if [entry for entry in now if not _of_opentelemetry(entry)] == [e for e in before if not _of_opentelemetry(e)]:
            now[:] = before
        else:
            now[:] = [entry for entry in now if entry in before or not _of_opentelemetry(entry)]


def _of_opentelemetry(entry: Any) -> bool:  # noqa: ANN401 -- warnings has no type for a filter
    _, _, category, module, _ = entry
    return OURS in category.__module__ or OURS in str(getattr(module, "pattern", module))
