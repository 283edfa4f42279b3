"""The allow-list in the collector's own language, made from the fact table: one statement for each thing checked."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from otel_usage.facts.builtin import SERVICE_NAME
from otel_usage.facts.fact import LOOK_ALIKE, MAX_BYTES, OTHER, UNSEEN, Attribute
from otel_usage.facts.pattern import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otel_usage.facts.app import App

CHECKS = {str: "IsString", int: "IsInt", float: "IsDouble", bool: "IsBool"}


class PatternError(ValueError):
    """A pattern of the fact table can't be checked by a collector; the text says which, and what to do."""


def union(apps: Iterable[App]) -> list[Attribute]:
    """Return every attribute of these apps once, in the order of the table: closed sets of a shared name are joined.

    Raises PatternError for a pattern that RE2, the collector's engine, can't hold.
    """
    found: dict[str, list[Attribute]] = {}
    for app in apps:
        for attribute in app.attributes.values():
            found.setdefault(attribute.name, []).append(attribute)
    return [_joined(same) for same in found.values()]


def _joined(same: list[Attribute]) -> Attribute:
    first = same[0]
    patterns = [attribute.pattern for attribute in same if attribute.values is None]
    given = list(dict.fromkeys(filter(None, patterns)))
    if wrong := next(filter(None, map(problem, given)), None):
        message = f"the pattern of {first.name!r} {wrong}"
        raise PatternError(message)
    pattern = "|".join(given)
    values = tuple(dict.fromkeys(value for attribute in same for value in attribute.values or ()))
    # One app takes any text; of the apps' own names only those that the collector takes get as far as this.
    if None in patterns or first.name == SERVICE_NAME:
        pattern, values = "", ()
    return Attribute(
        first.name,
        first.type,
        place=first.place,
        unit=first.unit,
        values=values or None,
        pattern=pattern or None,
        open=first.open,
        step=_shared(min, (one.step for one in same)),
        minimum=_shared(min, (one.minimum for one in same)),
        maximum=_shared(max, (one.maximum for one in same)),
    )


def _shared(choose: Callable[[list[float]], float], bounds: Iterable[float | None]) -> float | None:
    """Return one bound for an attribute that apps share, so that none loses what another would not report."""
    given = [bound for bound in bounds if bound is not None]
    return choose(given) if given else None


def statements(attributes: Iterable[Attribute], place: str) -> list[str]:
    """Return the statements that build the attributes of a "resource" or "span" anew from the declared ones.

    The cache of each resource and span begins empty. Only values that fit are copied into it, and then it takes the
    place of the attributes: what was not declared is never touched, so its shape costs nothing.
    """
    lines = [line for attribute in attributes if attribute.place == place for line in _admit(attribute)]
    lines.append(f"set({place}.attributes, {place}.cache)")
    if place == "resource":
        lines += [f'set({place}.schema_url, "")', f"set({place}.dropped_attributes_count, 0)"]
    return lines


def _admit(attribute: Attribute) -> Iterator[str]:
    """Yield what copies a value that fits, and what makes it as coarse as the table says."""
    given, value = path(attribute), cached(attribute)
    yield f"set({value}, {given}) where {fitting(attribute)}"
    wrong = [f"not IsMatch({value}, {string(expression)})"] if (expression := allowed(attribute)) else []
    if attribute.type is str and attribute.values is None:
        wrong.append(f"IsMatch({value}, {string(f'{LOOK_ALIKE}|{UNSEEN}')})")
    if wrong:
        yield f'set({value}, "{OTHER}") where {value} != nil and ({" or ".join(wrong)})'
    if attribute.step is not None:
        yield f"set({value}, {_in_steps(attribute)}) where {value} != nil"
        outside = f"{value} != nil and not ({_bounds(attribute, value)})"
        yield f'delete_key({attribute.place}.cache, "{attribute.name}") where {outside}'


def fitting(attribute: Attribute) -> str:
    """Return the condition that holds for a value of the declared type, length and bounds."""
    value = path(attribute)
    right = f"{CHECKS[attribute.type]}({value})"
    if attribute.type is str:
        return f"{right} and Len({value}) <= {MAX_BYTES}"
    return right if attribute.type is bool else f"{right} and {_bounds(attribute, value)}"


def _bounds(attribute: Attribute, value: str) -> str:
    """Return the condition that a number is within its bounds, which NaN and infinity are not."""
    least, most = (number(attribute, bound) for bound in (attribute.minimum, attribute.maximum))
    return f"{value} >= {least} and {value} <= {most}"


def _in_steps(attribute: Attribute) -> str:
    """Return the expression that rounds a number to its step exactly as `admit.admit_value` does: halves to even."""
    steps = f'Format("%.0f", [{cached(attribute)} / {decimal(attribute.step)}])'
    if attribute.type is int:
        return f"Int({steps}) * {int(attribute.step or 1)}"
    return f'Double(Format("%.12f", [Double({steps}) * {decimal(attribute.step)}])) + 0.0'


def number(attribute: Attribute, value: float | None) -> str:
    """Return a bound as a literal of the attribute's type."""
    return str(int(value or 0)) if attribute.type is int else decimal(value)


def decimal(value: float | None) -> str:
    """Return a double as a literal of the language, which has a point and no exponent."""
    text = format(Decimal(repr(float(value or 0))), "f")
    return text if "." in text else f"{text}.0"


def misfit(attribute: Attribute) -> str:
    """Return the condition that holds for a value of another type, length or bounds."""
    return f"{path(attribute)} != nil and not ({fitting(attribute)})"


def allowed(attribute: Attribute) -> str | None:
    """Return the expression for all that a string may be, or None where it may be anything."""
    if attribute.values is None:
        return None if attribute.pattern is None else f"^(?:{attribute.pattern}|{OTHER})$"
    words = "|".join(re.sub(r"([.+*?^$()[\]{}|\\])", r"\\\1", value) for value in (*attribute.values, OTHER))
    known = f"(?:{words})(?:\\((?:{words})\\))?"  # a class within a class, as where it comes from
    return f"^{known}$" if attribute.pattern is None else f"^(?:{attribute.pattern}|{known})$"


def is_other(attribute: Attribute) -> str:
    """Return the condition that a string, or one name within it, is not among those that the table knows."""
    if attribute.values is None:
        return f'{path(attribute)} == "{OTHER}"'
    return f"{path(attribute)} != nil and IsMatch({path(attribute)}, {string(f'(^|[(]){OTHER}($|[()])')})"


def path(attribute: Attribute) -> str:
    """Return an attribute as statements name it."""
    return f'{attribute.place}.attributes["{attribute.name}"]'


def cached(attribute: Attribute) -> str:
    """Return the place where a statement builds the attribute anew."""
    return f'{attribute.place}.cache["{attribute.name}"]'


def string(text: str) -> str:
    """Return a text as a literal of the language."""
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """Return a text as it stands within a literal, with the dollar signs that a configuration would expand."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
