"""The exit: only what the table declares gets past, and only in the form that it declares.

Facts pass `admit` into the local file, exactly as they are. Attributes pass `admit_attributes` on the way out, made so
coarse that a report is no fingerprint. Both build up what leaves from approved parts; neither takes anything away.
"""

from __future__ import annotations

from otel_usage.facts.builtin import UNKNOWN_CONTEXT
from otel_usage.facts.fact import BLANK, LOOK_ALIKE, NAMES, OTHER, fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute, Scalar


def admit(app: App, facts: Mapping[str, object], *, on: str | None = "report") -> tuple[dict[str, Scalar], list[str]]:
    """Return the facts that may stand in the local file, without those not known, and what was wrong with the rest.

    on: "report" or "heartbeat", or None for either. A context outside the app's closed set becomes UNKNOWN_CONTEXT;
    any other string stands as given.
    """
    admitted: dict[str, Scalar] = {}
    problems = []
    for key, given in facts.items():
        fact = app.facts_by_key.get(key)
        if fact is None or (on is not None and fact.on != on and key not in ("uuid", "log_time")):
            problems.append(f"{key} is not declared for a {on or 'report'} of {app.name}")
            continue
        value, wrong = fact.admit(given)
        problems += wrong
        if key == "context" and value is not None and value not in app.contexts:
            problems.append(f"context must be one of {', '.join(app.contexts)}")
            value = UNKNOWN_CONTEXT
        if value is not None:
            admitted[key] = value
    return admitted, problems


def admit_attributes(app: App, attributes: Mapping[str, object], place: str) -> tuple[dict[str, Scalar], list[str]]:
    """Return the attributes of a resource or a span that may leave, and what was wrong with the rest."""
    admitted: dict[str, Scalar] = {}
    problems = []
    for name, given in attributes.items():
        attribute = app.attributes.get(name)
        if attribute is None or attribute.place != place:
            problems.append(f"{name} is not declared for a {place} of {app.name}")
            continue
        value, problem = admit_value(attribute, given)
        if problem is not None:
            problems.append(problem)
        if value is not None:
            admitted[name] = value
    return admitted, problems


def admit_value(attribute: Attribute, value: object) -> tuple[Scalar | None, str | None]:
    """Return the value as it may leave over OTLP, or None, and what was wrong with it.

    A number is rounded to its step, and is absent outside of its bounds. A string outside its closed set or pattern
    becomes `other`, and so does one that looks like what a reader makes up; a closed set's inner name in parentheses is
    checked alone.
    """
    if type(value) is not attribute.type:
        return None, f"{attribute.name} must be {NAMES[attribute.type]}, not {type(value).__name__}"
    if isinstance(value, str):
        return _admit_string(attribute, value)
    if attribute.minimum is None or attribute.maximum is None:
        return value, None
    within = attribute.minimum <= value <= attribute.maximum  # NaN and infinity are not
    coarse = _admit_number(value, attribute.step) if within else None
    if coarse is None or not attribute.minimum <= coarse <= attribute.maximum:
        return None, f"{attribute.name} is not from {attribute.minimum} to {attribute.maximum}"
    return coarse, None


def _admit_number(value: float, step: float | None) -> float | None:
    """Return the number in steps, and a plain zero for the negative one; None for more steps than a double counts."""
    if step is None:
        return value + 0
    try:
        steps = round(value / step)
    except OverflowError:
        return None
    if type(value) is int:
        return steps * int(step)
    return round(steps * step, 12)  # 12 digits undo what binary fractions add: 92 * 0.01 is 0.9200000000000001


def _admit_string(attribute: Attribute, value: str) -> tuple[str | None, str | None]:
    if not fits(value):
        return None, f"{attribute.name} is over 256 bytes of UTF-8"
    if attribute.clean is not None:
        value = _clean(value, *attribute.clean)
    outer, bracket, inner = value.partition("(")
    if attribute.values and bracket and inner.endswith(")") and not _declared(attribute, value):
        admitted = f"{_or_other(attribute, outer)}({_or_other(attribute, inner[:-1])})"
    else:
        admitted = _or_other(attribute, value)
    wrong = None if admitted == value else f"{attribute.name}: {value!r} is not among the declared values"
    return admitted, wrong


def _or_other(attribute: Attribute, value: str) -> str:
    return value if _declared(attribute, value) else OTHER


def _declared(attribute: Attribute, value: str) -> bool:
    if attribute.values is not None:
        return value in attribute.values
    import re  # 6 ms that an importing host need not pay

    if not value.isprintable() or re.search(f"{LOOK_ALIKE}|{BLANK}", value):
        return False
    if attribute.pattern is None:
        return True
    try:
        return re.fullmatch(attribute.pattern, value, re.ASCII) is not None
    except Exception:  # noqa: BLE001 -- an adopter's pattern that is no regular expression costs its own fact alone
        return False


def _clean(value: str, pattern: str, replacement: str) -> str:
    import re  # 6 ms that an importing host need not pay

    found = re.fullmatch(pattern, value, re.ASCII)
    return found.expand(replacement) if found else value
