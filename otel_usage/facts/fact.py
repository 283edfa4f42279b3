"""What a fact is: one declared row, its values, and the attributes it becomes.

This module imports only the checks of declarations, so that the list of what may leave can be read, and loaded, by
itself.
"""

from __future__ import annotations

from otel_usage.facts.declaration import as_tuple, fact_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    Scalar: TypeAlias = str | int | float | bool

MAX_BYTES = 256
LARGEST_DOUBLE = 1.7976931348623157e308
OTHER = "other"
IDENTIFIER = r"[A-Za-z0-9_.+-]{1,64}"
# A string outside a closed set leaves as `other` where LOOK_ALIKE is found in it: it is empty, has a space at an edge
# or a backslash, or is a word that readers of reports make up, such as "(none)", "(rest)", "All" and "$__all". So does
# one with a character that can't be seen, which str.isprintable() and BLANK tell here, and UNSEEN the collector (RE2).
LOOK_ALIKE = r"^$|^ | $|\\|^\(.*\)$|^(?i:all|other)$|^\$"
UNSEEN = (
    r"[\p{C}\p{Zl}\p{Zp}\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}"
    r"\x{180b}-\x{180f}\x{2800}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{fffd}\x{e0100}-\x{e01ef}]"
)
# Fillers, and selectors of variants: printable by their class, though nothing is drawn for them. And U+FFFD: RE2 reads
# bytes that are no UTF-8 as it, and a file that holds such bytes is no JSON.
BLANK = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffd\U000e0100-\U000e01ef]"
NAMES = {str: "string", int: "int", float: "double", bool: "boolean"}
# The bounds of a number whose row names none: -1 stands for "unlimited" or "automatic" in many settings.
LEAST = {int: -1, float: -(10**9)}
MOST, MOST_BYTES = 10**9, 2**50


class Attribute:
    """One OpenTelemetry attribute that a fact becomes, and the values that may leave in it.

    name: its OpenTelemetry name. type: str, int, float or bool. place: "resource" or "span".
    unit: UCUM, such as "By". values: the closed set, if there is one. pattern: a regular
    expression for the whole string. open: why it must be free text. step: numbers are rounded to
    a multiple of it. minimum, maximum: the least and the largest number that leaves, by default those of
    `default_bounds`. clean: (pattern, replacement); what it matches is replaced before the check.
    """

    __slots__ = ("clean", "maximum", "minimum", "name", "open", "pattern", "place", "step", "type", "unit",
                 "values")  # fmt: skip

    def __init__(  # noqa: PLR0913 -- a row of the table has that many columns
        self,
        name: str,
        type: type[Scalar],  # noqa: A002 -- its name in docs/design.md, "Facts"
        *,
        place: str = "resource",
        unit: str | None = None,
        values: tuple[str, ...] | None = None,
        pattern: str | None = None,
        open: str | None = None,  # noqa: A002 -- its name in docs/design.md, "Facts"
        step: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        clean: tuple[str, str] | None = None,
    ) -> None:
        self.name, self.type, self.place, self.unit = name, type, place, unit
        self.values, self.pattern, self.open = values, pattern, open
        self.step = None if type is int and step == 1 else step  # every int is a multiple of 1
        self.clean = clean
        least, most = default_bounds(type, unit)
        self.minimum = least if minimum is None else minimum
        self.maximum = most if maximum is None else maximum


def default_bounds(type_: type[Scalar], unit: str | None) -> tuple[float | None, float | None]:
    """Return the least and the largest number of a row that names no bounds; (None, None) where it is no number."""
    if type_ not in LEAST:
        return None, None
    return LEAST[type_], MOST_BYTES if unit == "By" else MOST


class Fact:
    """One thing that may be reported: declared once, checked wherever it passes.

    key: its name in the local file. type: str, int, float or bool; scalars only. why: why it is
    collected, for the operator to read. values: the closed set of a string, or pattern: a regular
    expression for all of it (by default that of an identifier), or open: why it must be free text.
    attribute: its OpenTelemetry name, by default <app>.config.<key>, or <app>.runtime.<key> on
    heartbeats. unit: UCUM. step: numbers leave over OTLP as multiples of it. minimum, maximum: a number
    below or above does not leave over OTLP; by default from -1 (a float from -10**9) to 10**9, bytes to
    2**50. on: "report" or "heartbeat". since, deprecated: the app's versions between which it is reported.
    title: its name for people, by default the key in words. public: for a public data set, the names that a string
    may have in it, or True for all of its `values`; by default closed sets, numbers and booleans are public, and
    other strings are not.

    Raises ValueError, at declaration, for a row that makes no sense.
    """

    __slots__ = ("attribute", "deprecated", "in_file", "key", "maximum", "minimum", "on", "open", "pattern", "public",
                 "since", "step", "title", "type", "unit", "values", "why")  # fmt: skip

    def __init__(  # noqa: PLR0913 -- a row of the table has that many columns
        self,
        key: str,
        type: type[Scalar],  # noqa: A002 -- its name in docs/design.md, "Facts"
        *,
        why: str,
        values: Iterable[str] | None = None,
        pattern: str | None = None,
        open: str | None = None,  # noqa: A002 -- its name in docs/design.md, "Facts"
        attribute: str | None = None,
        unit: str | None = None,
        step: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        on: str = "report",
        since: str | None = None,
        deprecated: str | None = None,
        title: str | None = None,
        public: Iterable[str] | bool | None = None,
    ) -> None:
        self.key, self.type, self.why = key, type, why
        self.values: tuple[str, ...] | None = as_tuple(values)  # type: ignore[assignment]  # checked below
        self.title = in_words(key) if title is None else title
        self.public: tuple[str, ...] | bool | None = public if isinstance(public, bool) else as_tuple(public)  # type: ignore[assignment]
        self.pattern, self.open = pattern, open
        self.attribute, self.unit, self.step, self.on = attribute, unit, step, on
        self.minimum, self.maximum = minimum, maximum
        self.since, self.deprecated = since, deprecated
        self.in_file = True
        if problem := fact_problem(self) or self._problem():
            message = f"fact {key!r}: {problem}"
            raise ValueError(message)
        if type is str and self.values is None and open is None and pattern is None:
            self.pattern = IDENTIFIER

    def _problem(self) -> str | None:
        """Say what is wrong with the row, or None."""
        bounds = [bound for bound in (self.values, self.pattern, self.open) if bound is not None]
        checks = (
            (not (isinstance(self.key, str) and self.key.isascii() and self.key.isidentifier()),
             "the key must be an ASCII identifier"),
            (self.type not in NAMES, "the type must be str, int, float or bool"),
            (not (isinstance(self.why, str) and self.why.strip()), "why= must say why it is collected"),
            (len(bounds) > 1, "give one of values=, pattern= and open="),
            (bool(bounds) and self.type is not str, "values=, pattern= and open= are for strings"),
            (self.values is not None and not (self.values and all(type(v) is str for v in self.values)),
             "values= must name at least one string, and strings only"),
            (self.step is not None and not (self._is_number(self.step) and self.step > 0),
             "step= must be above 0 and is for numbers"),
            (not self._has_bounds(), "minimum= must not be above maximum=, and both are finite and for numbers"),
            (self.on not in ("report", "heartbeat"), 'on= must be "report" or "heartbeat"'),
            (self.public is True and self.type is str and self.values is None,
             "public=True is for a closed set; name the strings that are public"),
            (isinstance(self.public, tuple) and not (self.type is str and all(type(v) is str for v in self.public)),
             "public= must name strings only, and is for strings"),
        )  # fmt: skip
        return next((problem for failed, problem in checks if failed), None)

    def _has_bounds(self) -> bool:
        """Tell whether what is given of the bounds makes sense: numbers of the declared type, in their order."""
        if not all(bound is None or self._is_number(bound) for bound in (self.minimum, self.maximum)):
            return False
        least, most = default_bounds(self.type, self.unit)
        least = least if self.minimum is None else self.minimum
        most = most if self.maximum is None else self.maximum
        return least is None or most is None or least <= most

    def _is_number(self, value: float) -> bool:
        """Tell whether a step or bound is a finite number that fits the declared type."""
        kinds = (int,) if self.type is int else (int, float) if self.type is float else ()
        return type(value) in kinds and abs(value) < 2**63

    def attributes(self, app: str) -> tuple[Attribute, ...]:
        """Return the attributes that this fact becomes in the reports of `app`."""
        place = "span" if self.on == "heartbeat" else "resource"
        name = self.attribute or f"{app}.{'config' if self.on == 'report' else 'runtime'}.{self.key}"
        return (Attribute(name, self.type, place=place, unit=self.unit, values=self.values,
                          pattern=self.pattern, open=self.open, step=self.step,
                          minimum=self.minimum, maximum=self.maximum),)  # fmt: skip

    def split(self, value: Scalar) -> tuple[Scalar | None, ...]:
        """Return the values of `attributes`, in their order, for a value of the file."""
        return (value,)

    def join(self, values: tuple[Scalar | None, ...]) -> Scalar | None:
        """Return the value of the file for the values of `attributes`: `split` undone."""
        return values[0]

    def admit(self, value: object) -> tuple[Scalar | None, list[str]]:
        """Return `value` as it may stand in the local file, or None, and what was wrong with it.

        Wrong are another type, more than 256 bytes of UTF-8, an int beyond 64 bits, NaN and infinity.
        Where a float is declared, an int becomes one. None is a value that is not known.
        """
        if value is None:
            return None, []
        if self.type is float and type(value) is int and abs(value) < 2**53:
            value = float(value)
        if problem := self._misfit(value):
            return None, [f"{self.key} must be {problem}"]
        return value, []  # type: ignore[return-value]  # _misfit has checked the type

    def _misfit(self, value: object) -> str | None:
        if type(value) is not self.type:
            return f"{NAMES[self.type]}, not {type(value).__name__}"
        if isinstance(value, str) and not fits(value):
            return f"at most {MAX_BYTES} bytes of UTF-8"
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return "within 64 bits"
        if isinstance(value, float) and not abs(value) <= LARGEST_DOUBLE:  # nor is NaN
            return "a finite number"
        return None


def in_words(key: object) -> str:
    """Return a key as people read it, such as "Max model len"; one in capitals, as a variable's, stays as it is."""
    text = key if isinstance(key, str) else ""
    return text if text.isupper() else text.replace("_", " ").strip().capitalize() or "?"


def fits(text: str) -> bool:
    """Tell whether a string is at most 256 bytes of UTF-8; one with a lone surrogate has no UTF-8."""
    try:
        return len(text.encode()) <= MAX_BYTES
    except UnicodeEncodeError:
        return False
