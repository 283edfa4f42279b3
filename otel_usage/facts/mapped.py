"""Facts whose attributes are not simply their value, such as three runtimes of the file that share two attributes."""

from __future__ import annotations

from otel_usage.facts.fact import Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from otel_usage.facts.fact import Attribute, Scalar


class MappedFact(Fact):
    """A fact whose attributes are not simply its value: several of them, none, or other words.

    mapped: its attributes. split: value -> their values, in order. join: the way back, called with
    one value an attribute, of which at least one is not None. in_file: False for what OTLP alone has.
    """

    __slots__ = ("_join", "_split", "mapped")

    def __init__(  # noqa: PLR0913 -- a row of the table has that many columns
        self,
        key: str,
        type: type[Scalar],  # noqa: A002 -- its name in docs/design.md, "Facts"
        *mapped: Attribute,
        why: str,
        split: Callable[[Any], tuple[Scalar | None, ...]] | None = None,
        join: Callable[..., Scalar | None] | None = None,
        on: str = "report",
        in_file: bool = True,
        title: str | None = None,
    ) -> None:
        super().__init__(key, type, why=why, on=on, title=title)
        self.mapped, self.in_file = mapped, in_file
        self._split, self._join = split, join

    def attributes(self, app: str) -> tuple[Attribute, ...]:
        """Return the attributes given at declaration, whatever the app."""
        del app
        return self.mapped

    def split(self, value: Scalar) -> tuple[Scalar | None, ...]:
        """Return the values of `attributes`, in their order, for a value of the file."""
        if self._split is not None:
            return self._split(value)
        return (value,) if self.mapped else ()

    def join(self, values: tuple[Scalar | None, ...]) -> Scalar | None:
        """Return the value of the file for the values of `attributes`: `split` undone."""
        if all(value is None for value in values):
            return None
        return self._join(*values) if self._join is not None else values[0]
