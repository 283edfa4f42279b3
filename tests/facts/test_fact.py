"""A fact is a row of the table, and a declaration that makes no sense is refused."""

import math
import re

import pytest

from otel_usage import Fact
from otel_usage.facts.admission import admit_value
from otel_usage.facts.fact import LOOK_ALIKE, UNSEEN

BOUNDS = "minimum= must not be above maximum=, and both are finite and for numbers"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("my key", str), "the key must be an ASCII identifier"),
        (("schlüssel", str), "the key must be an ASCII identifier"),
        (("key", dict), "the type must be str, int, float or bool"),
        (("key", str, {"why": " "}), "why= must say why it is collected"),
        (("key", str, {"values": ["a"], "pattern": "a"}), "give one of values=, pattern= and open="),
        (("key", int, {"values": ["a"]}), "values=, pattern= and open= are for strings"),
        (("key", str, {"values": []}), "values= must name at least one string, and strings only"),
        (("key", str, {"values": [1]}), "values= must name at least one string, and strings only"),
        (("key", str, {"step": 2}), "step= must be above 0 and is for numbers"),
        (("key", int, {"step": 0}), "step= must be above 0 and is for numbers"),
        (("key", int, {"step": 0.5}), "step= must be above 0 and is for numbers"),
        (("key", float, {"step": math.nan}), "step= must be above 0 and is for numbers"),
        (("key", float, {"step": math.inf}), "step= must be above 0 and is for numbers"),
        (("key", float, {"step": "1"}), "step= must be above 0 and is for numbers"),
        (("key", int, {"minimum": 2, "maximum": 1}), BOUNDS),
        (("key", int, {"minimum": 2 * 10**9}), BOUNDS),
        (("key", int, {"maximum": -2}), BOUNDS),
        (("key", int, {"maximum": 1.5}), BOUNDS),
        (("key", int, {"maximum": True}), BOUNDS),
        (("key", int, {"maximum": 2**63}), BOUNDS),
        (("key", float, {"maximum": math.nan}), BOUNDS),
        (("key", float, {"maximum": math.inf}), BOUNDS),
        (("key", float, {"maximum": "1"}), BOUNDS),
        (("key", str, {"minimum": 1}), BOUNDS),
        (("key", bool, {"maximum": 1}), BOUNDS),
        (("key", int, {"on": "exit"}), 'on= must be "report" or "heartbeat"'),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_when_it_is_declared(arguments, problem):
    """Each mistake of a declaration raises a ValueError that names it."""
    key, declared, more = (*arguments, {})[:3]

    with pytest.raises(ValueError, match=r"^fact") as caught:
        Fact(key, declared, **{"why": "because", **more})

    assert str(caught.value) == f"fact {key!r}: {problem}"


def test_a_number_has_bounds_whether_its_row_names_them_or_not():
    """By default a number has the bounds of its type and unit; a string and a boolean have none."""
    facts = [Fact("a", int, why="x"), Fact("b", int, unit="By", why="x"), Fact("c", float, why="x"), Fact("d", bool, why="x"),
             Fact("e", str, why="x"), Fact("f", int, minimum=0, maximum=8, why="x"), Fact("g", float, maximum=1, why="x")]  # fmt: skip
    bounds = [(a.minimum, a.maximum) for fact in facts for a in fact.attributes("myengine")]

    assert bounds == [(-1, 10**9), (-1, 2**50), (-1e9, 10**9), (None, None), (None, None), (0, 8), (-1e9, 1)]


@pytest.mark.parametrize(
    "text",
    ["", " ", "a ", " a", "a\\b", "(none)", "(rest)", "(not asked)", "(whatever comes)", "All", "all", "ALL", "Other", "$__all", "${app}"]
    + [f"a{chr(code)}b" for code in (0, 9, 10, 13, 31, 127, 0x85, 0xA0, 0xAD, 0x1680, 0x200B, 0x202E, 0x2028, 0x2029, 0x3000, 0xFEFF, 0xE000, 0xFFFD)]
    + [f"All{chr(code)}" for code in (0x34F, 0x115F, 0x1160, 0x17B4, 0x180B, 0x180F, 0x2800, 0x3164, 0xFE00, 0xFE0F, 0xFFA0, 0xE0100, 0xE01EF)]
)  # fmt: skip
def test_what_a_collector_searches_for_is_what_the_client_refuses(text):
    """A collector's expressions, with RE2's character classes written out, find the text that admission refuses."""
    classes = {"\\p{C}": "\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\ufeff\ue000", "\\p{Zl}": "\u2028", "\\p{Zp}": "\u2029"}
    unseen = UNSEEN
    for name, characters in classes.items():
        unseen = unseen.replace(name, characters)
    unseen = re.sub(r"\\x\{(\w+)\}", lambda found: chr(int(found[1], 16)), unseen)
    free = Fact("note", str, open="x", why="x").attributes("myengine")[0]

    assert re.search(f"{LOOK_ALIKE}|{unseen}", text) is not None
    assert admit_value(free, text)[0] == "other"


@pytest.mark.parametrize("text", ["any words, at all", "a (none) b", "Allgäu", "none", "rest", "other", "ü", "日本 1", "a  b", "price: $5"])
def test_free_text_may_hold_a_word_of_readers_among_others(text):
    """A word that readers make up is refused only where it is the whole text."""
    free = Fact("note", str, open="x", why="x").attributes("myengine")[0]

    assert admit_value(free, text) == (text, None)


def test_a_string_is_an_identifier_unless_it_is_declared_otherwise():
    """The default pattern is the one for identifiers; a closed set and free text have no pattern."""
    patterns = [Fact("a", str, why="x").pattern, Fact("a", str, values=["b"], why="x").pattern,
                Fact("a", str, open="y", why="x").pattern, Fact("a", int, why="x").pattern]  # fmt: skip

    assert patterns == ["[A-Za-z0-9_.+-]{1,64}", None, None, None]


@pytest.mark.parametrize(
    ("declared", "value", "admitted"),
    [
        (str, "awq", ("awq", [])),
        (str, "x" * 256, ("x" * 256, [])),
        (str, "ä" * 129, (None, ["key must be at most 256 bytes of UTF-8"])),
        (str, "\ud800", (None, ["key must be at most 256 bytes of UTF-8"])),
        (str, b"awq", (None, ["key must be string, not bytes"])),
        (str, None, (None, [])),
        (int, 2**63 - 1, (2**63 - 1, [])),
        (int, 2**63, (None, ["key must be within 64 bits"])),
        (int, True, (None, ["key must be int, not bool"])),
        (int, 1.0, (None, ["key must be int, not float"])),
        (float, 0.92, (0.92, [])),
        (float, math.nan, (None, ["key must be a finite number"])),
        (float, -math.inf, (None, ["key must be a finite number"])),
        (float, False, (None, ["key must be double, not bool"])),
        (bool, False, (False, [])),
        (bool, 0, (None, ["key must be boolean, not int"])),
    ],
)
def test_a_value_is_admitted_exactly_or_not_at_all(declared, value, admitted):
    """Types match exactly, a string has at most 256 bytes, an int has 64 bits, and a double is finite."""
    fact = Fact("key", declared, why="because")

    assert fact.admit(value) == admitted


def test_an_int_becomes_a_float_where_a_float_is_declared():
    """A declared float stays a float, so that the type of an attribute never changes."""
    value, problems = Fact("key", float, why="because").admit(1)

    assert (repr(value), problems) == ("1.0", [])
