"""The allow-list in the collector's own language, made from the fact table: one statement for each thing checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_usage.facts import MAX_BYTES, OTHER, Attribute
from otel_usage.table import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_usage.app import App

CHECKS = {str: "IsString", int: "IsInt", float: "IsDouble", bool: "IsBool"}
# What Python's expressions have and RE2's don't: looking around, back references, conditions, possessive quantifiers.
NOT_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9]|[*+?}]\+")


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
    pattern = "|".join(dict.fromkeys(attribute.pattern for attribute in same if attribute.pattern))
    if NOT_RE2.search(pattern):
        message = (
            f"{first.name}: the collector's expressions (RE2) know no look-around and no back reference; "
            f"write its pattern without: {pattern}"
        )
        raise PatternError(message)
    values = tuple(dict.fromkeys(value for attribute in same for value in attribute.values or ()))
    if first.name == SERVICE_NAME:
        values = ()  # only those that the collector is told to take get as far as this
    return Attribute(first.name, first.type, place=first.place, values=values or None, pattern=pattern or None,
                     open=first.open)  # fmt: skip


def statements(attributes: Iterable[Attribute], place: str) -> list[str]:
    """Return the statements that admit the attributes of a "resource" or "span", and nothing else."""
    ours = [attribute for attribute in attributes if attribute.place == place]
    names = ", ".join(f'"{attribute.name}"' for attribute in ours)
    lines = [f"keep_keys({place}.attributes, [{names}])"]
    for attribute in ours:
        lines += _admit(attribute)
    if place == "resource":
        lines += [f'set({place}.schema_url, "")', f"set({place}.dropped_attributes_count, 0)"]
    return lines


def _admit(attribute: Attribute) -> Iterator[str]:
    """Yield what deletes a value of another type or length, and what turns one that is not declared into `other`."""
    value = path(attribute)
    yield f'delete_key({attribute.place}.attributes, "{attribute.name}") where {_unfit(attribute)}'
    if expression := allowed(attribute):
        yield f'set({value}, "{OTHER}") where {value} != nil and not IsMatch({value}, {string(expression)})'


def _unfit(attribute: Attribute) -> str:
    """Return the condition that holds for a value of another type, for one that is too long, and for none."""
    wrong = f"not {CHECKS[attribute.type]}({path(attribute)})"
    return wrong if attribute.type is not str else f"{wrong} or Len({path(attribute)}) > {MAX_BYTES}"


def misfit(attribute: Attribute) -> str:
    """Return the condition that holds for a value of another type, and for one that is too long."""
    return f"{path(attribute)} != nil and ({_unfit(attribute)})"


def allowed(attribute: Attribute) -> str | None:
    """Return the expression for all that a string may be, or None where it may be anything."""
    if attribute.values is not None:
        words = "|".join(re.sub(r"([.+*?^$()[\]{}|\\])", r"\\\1", value) for value in (*attribute.values, OTHER))
        return f"^(?:{words})(?:\\((?:{words})\\))?$"  # a class within a class, as where it comes from
    return None if attribute.pattern is None else f"^(?:{attribute.pattern}|{OTHER})$"


def path(attribute: Attribute) -> str:
    """Return an attribute as statements name it."""
    return f'{attribute.place}.attributes["{attribute.name}"]'


def string(text: str) -> str:
    """Return a text as a literal of the language."""
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """Return a text as it stands within a literal, with the dollar signs that a configuration would expand."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
