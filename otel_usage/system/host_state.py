"""Keep the state of the host process as it was: its standard streams and its warnings filters."""

from __future__ import annotations

import os
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OURS = "opentelemetry"
LAST_STANDARD = 2


def reserve_standard_streams() -> None:
    """Reserve closed descriptors 0 to 2, so that no file or connection of ours gets their numbers.

    What the host still writes to a closed stream would end up in our file. The null device takes the number instead. It
    is opened for reading, so that the host's write fails as it did before.
    """
    try:
        while (descriptor := os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))) <= LAST_STANDARD:
            pass
        os.close(descriptor)
    except OSError:
        return


class WarningsFiltersKept:
    """Context manager that undoes what OpenTelemetry does to the host's warnings filters.

    Importing OpenTelemetry and getting a tracer insert filters at the front. Filters that the host's other threads add
    in the meantime stay.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        """Remember the filters."""
        self._before: list[Any] = list(warnings.filters)

    def __exit__(self, *_: object) -> None:
        """Restore the list if only OpenTelemetry's filters changed; otherwise remove those that it added."""
        before = self._before
        now: list[Any] = warnings.filters  # type: ignore[assignment]  # a list at runtime; typeshed says Sequence
        if [entry for entry in now if not _of_opentelemetry(entry)] == [e for e in before if not _of_opentelemetry(e)]:
            now[:] = before
        else:
            now[:] = [entry for entry in now if entry in before or not _of_opentelemetry(entry)]


def _of_opentelemetry(entry: Any) -> bool:  # noqa: ANN401 -- warnings has no type for a filter
    _, _, category, module, _ = entry
    return OURS in category.__module__ or OURS in str(getattr(module, "pattern", module))
