"""The host's own state, left as it was found."""

from __future__ import annotations

import os
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OURS = "opentelemetry"
LAST_STANDARD = 2


def reserve_standard_streams() -> None:
    """Take the number of each standard stream that the host has closed, lest a file or connection of ours gets it.

    What the host still writes there would end up in it. It fails as it did before: what stands there now is the null
    device, open for reading.
    """
    try:
        while (descriptor := os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))) <= LAST_STANDARD:
            pass
        os.close(descriptor)
    except OSError:
        return


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
