"""What is wrong with a declaration, in words that name the cure: said where it is declared, not when it is sent.

A pattern is compiled by its App, see pattern.py: a Fact alone loads no `re`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Fact

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
DIGITS = "0123456789"
WORD = LETTERS.union(DIGITS, "_")
IN_VERSIONS = WORD.union(".+-!")
MOST_BYTES = 256
LONGEST_ATTRIBUTE = 128
LARGEST_PORT = 65535
# The units of UCUM that a report may need; "{anything}" counts things.
PREFIXES = ("", "k", "M", "G", "T", "P", "m", "u", "n", "Ki", "Mi", "Gi", "Ti", "Pi")
UNITS = frozenset("1 % min h d wk mo a".split()).union(
    prefix + unit for prefix in PREFIXES for unit in ("By", "bit", "s", "Hz", "W", "J", "V", "A", "Cel", "K", "g", "m")
)
DEFAULTS = ("on", "local")


def as_tuple(given: Iterable[object] | None) -> tuple[object, ...] | None:
    """Return what was given for several things as a tuple, a set in order; what is no such thing stands as it is."""
    if isinstance(given, (set, frozenset)):
        return tuple(sorted(given, key=str))
    if given is not None and hasattr(given, "__iter__") and not isinstance(given, (str, bytes)):
        return tuple(given)
    return given  # type: ignore[return-value]  # the checks below refuse it


def fact_problem(fact: Fact) -> str | None:
    """Say what is wrong with the form of a fact's parameters, or None; what they mean together Fact knows itself."""
    return next(_of_fact(fact), None)


def _of_fact(fact: Fact) -> Iterator[str]:
    if not isinstance(fact.type, type):
        yield "the type must be str, int, float or bool"
    version = 'a version of the app, such as "1.2.0"'
    for name, is_right, right in (
        ("why", _is_line, "one line of text that says why it is collected"),
        ("open", _is_line, "one line of text that says why it must be free text"),
        ("pattern", _is_line, 'a regular expression for the whole string, such as "[a-z]{1,16}"'),
        ("attribute", _is_attribute, 'words of letters, digits and _ with dots between, such as "myengine.model.kind"'),
        ("unit", _is_unit, 'a unit of UCUM, such as "By", "s", "1", "%" or "{request}"'),
        ("title", _is_line, "one line of text, a name for people"),
        ("since", _is_version, version),
        ("deprecated", _is_version, version),
    ):
        if (given := getattr(fact, name)) is not None and not is_right(given):
            yield f"{name}= must be {right}"
    if fact.unit is not None and fact.type not in (int, float):
        yield "unit= is for numbers"
    if fact.values is not None:
        yield from _of_words("values", fact.values)
    if fact.public is not None and not isinstance(fact.public, bool):
        yield from _of_words("public", fact.public)
    step, most = fact.step, fact.maximum
    if isinstance(step, (int, float)) and isinstance(most, (int, float)) and 0 < most < step:
        yield "step= must not be above maximum="


def _of_words(name: str, words: object) -> Iterator[str]:
    """Say what is wrong with a closed set of strings; other things, and none, Fact and App refuse themselves."""
    if not isinstance(words, tuple):
        yield f'{name}= must be a list of strings, such as ["{words if _is_line(words) else "one"}"]'
        return
    seen = set()
    for word in words:
        if not isinstance(word, str):
            return
        if word in seen:
            yield f"{name}= has {word!r} twice"
        seen.add(word)
        if word == "other":
            yield f"{name}= must be without {word!r}: what it does not name leaves as 'other'"
        if not _is_line(word) or len(word.encode()) > MOST_BYTES:
            yield f"{name}= must hold printable strings of 1 to 256 bytes, unlike {word[:32]!r}"


def _is_line(text: object) -> bool:
    return isinstance(text, str) and text != "" and text.isprintable()


def _is_attribute(name: object) -> bool:
    if not isinstance(name, str) or len(name) > LONGEST_ATTRIBUTE:
        return False
    return name[:1] in LETTERS and all(part and WORD.issuperset(part) for part in name.split("."))


def _is_version(text: object) -> bool:
    return isinstance(text, str) and text[:1] in WORD and IN_VERSIONS.issuperset(text)


def _is_unit(text: object) -> bool:
    return isinstance(text, str) and all(map(_is_term, text.replace("/", ".").split(".")))


def _is_term(term: str) -> bool:
    """Tell whether a text is a unit, a note in braces, or both: `By`, `m2`, `{request}`, `By{compressed}`."""
    unit, brace, note = term.partition("{")
    if brace and not (len(note) > 1 and note[-1] == "}" and WORD.issuperset(note[:-1])):
        return False
    return (unit.rstrip(DIGITS) or unit) in UNITS or (brace != "" and unit == "")


def app_problem(app: App, version: object, leading: object) -> str | None:
    """Say what is wrong with the form of an app's parameters, or None; what they mean together App knows itself.

    Args:
        app: The app, with its facts and contexts as `as_tuple` returns them.
        version: What was given for its version.
        leading: What was given for the keys that lead, as `as_tuple` returns it.
    """
    return next(_of_app(app, version, leading), None)


def _of_app(app: App, version: object, leading: object) -> Iterator[str]:
    if not (version is None or callable(version) or _is_line(version)):
        yield 'version= must be a string, such as "1.2.0", or a function that returns one'
    if app.default not in DEFAULTS:
        yield 'default= must be "on" or "local"; who turns reporting off does so by a setting'
    if not isinstance(app.facts, tuple):
        yield "facts= must be a list of Fact objects"
        return
    yield from _of_words("contexts", app.contexts)
    if not isinstance(leading, tuple):
        yield "leading= must be a list of keys of facts="
        return
    keys = [getattr(fact, "key", None) for fact in app.facts]
    for key in leading:
        if key not in keys:
            yield f"leading= names {key!r}, which is no key of facts="
    if isinstance(app.endpoint, str) and not _has_port(app.endpoint):
        yield "the endpoint's port must be from 1 to 65535"


def _has_port(url: str) -> bool:
    """Tell whether a URL's port, if it names one, can be connected to."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    port = authority.rpartition("]")[2].rpartition("@")[2].rpartition(":")[2]
    return not (port.isascii() and port.isdigit()) or 0 < int(port[:9]) <= LARGEST_PORT


def pattern_problem(app: App, known: tuple[str, ...]) -> str | None:
    """Say which declared pattern Python or a collector can't take, or None.

    Args:
        app: The app, whole.
        known: The patterns that can be taken.
    """
    for fact in app.facts:
        for attribute in app.attributes_of[fact.key]:
            if attribute.pattern is not None and attribute.pattern not in known:
                from otel_usage.facts.pattern import problem

                if wrong := problem(attribute.pattern):
                    return f"the pattern of {attribute.name!r} {wrong}"
    return None


def reporter_problem(heartbeat: object, strict: object, logger: object) -> str | None:
    """Say what is wrong with the form of a reporter's own parameters, or None."""
    if type(heartbeat) not in (int, float) or not heartbeat >= 0:  # type: ignore[operator]  # a number; nor is it NaN
        return "heartbeat= must be a number of seconds, or 0 for none"
    if strict is not None and not isinstance(strict, bool):
        return "strict= must be True, False, or None to ask OTEL_USAGE_STRICT"
    if logger is not None and not all(callable(getattr(logger, level, None)) for level in ("debug", "info")):
        return 'logger= must be a logger, such as logging.getLogger("myengine")'
    return None
