"""What a fact is, and which declarations make sense."""

import math

import pytest

from otel_usage import Fact


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
        (("key", int, {"on": "exit"}), 'on= must be "report" or "heartbeat"'),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_when_it_is_declared(arguments, problem):
    """Each mistake of a declaration raises a ValueError that names it."""
    key, declared, more = (*arguments, {})[:3]

    with pytest.raises(ValueError, match=r"^fact") as caught:
        Fact(key, declared, **{"why": "because", **more})

    assert str(caught.value) == f"fact {key!r}: {problem}"


def test_a_string_is_an_identifier_unless_it_is_declared_otherwise():
    """The default pattern is that of an identifier; values and free text have none."""
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
    """Types are exact, strings at most 256 bytes, ints 64 bits, doubles finite."""
    fact = Fact("key", declared, why="because")

    assert fact.admit(value) == admitted


def test_an_int_becomes_a_float_where_a_float_is_declared():
    """A float stays a float, so that an attribute's type never changes."""
    value, problems = Fact("key", float, why="because").admit(1)

    assert (repr(value), problems) == ("1.0", [])
