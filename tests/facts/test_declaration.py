"""Every wrong declaration raises a ValueError with the cure, when it is declared and as a whole."""

import logging
import math
import re
import subprocess
import sys

import pytest

from otel_usage import App, EnvironmentFact, Fact, UsageReporter

WHY = "why= must be one line of text that says why it is collected"
OPEN = "open= must be one line of text that says why it must be free text"
PATTERN = 'pattern= must be a regular expression for the whole string, such as "[a-z]{1,16}"'
ATTRIBUTE = 'attribute= must be words of letters, digits and _ with dots between, such as "myengine.model.kind"'
UNIT = 'unit= must be a unit of UCUM, such as "By", "s", "1", "%" or "{request}"'
VERSION = 'must be a version of the app, such as "1.2.0"'
KEY = "the key must be an ASCII identifier"
TYPE = "the type must be str, int, float or bool"


def refusal(kind, *positional, **named):
    """Return the text of the ValueError that a declaration raises; any other error fails the test."""
    try:
        kind(*positional, **named)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("key", "kind", "more", "problem"),
    [
        (7, str, {}, KEY),
        (None, str, {}, KEY),
        ([], str, {}, KEY),
        ("", str, {}, KEY),
        ("key", "str", {}, TYPE),
        ("key", [], {}, TYPE),
        ("key", None, {}, TYPE),
        ("key", list, {}, TYPE),
        ("key", str, {"why": 7}, WHY),
        ("key", str, {"why": []}, WHY),
        ("key", str, {"why": "two\nlines"}, WHY),
        ("key", str, {"why": None}, "why= must say why it is collected"),
        ("key", str, {"values": "awq"}, 'values= must be a list of strings, such as ["awq"]'),
        ("key", str, {"values": b"awq"}, 'values= must be a list of strings, such as ["one"]'),
        ("key", str, {"values": 7}, 'values= must be a list of strings, such as ["one"]'),
        ("key", str, {"values": [[]]}, "values= must name at least one string, and strings only"),
        ("key", str, {"values": ["a", None]}, "values= must name at least one string, and strings only"),
        ("key", str, {"values": {}}, "values= must name at least one string, and strings only"),
        ("key", str, {"values": ["a", "b", "a"]}, "values= has 'a' twice"),
        ("key", str, {"values": ["a", "other"]}, "values= must be without 'other': what it does not name leaves as 'other'"),
        ("key", str, {"values": [""]}, "values= must hold printable strings of 1 to 256 bytes, unlike ''"),
        ("key", str, {"values": ["a\n"]}, "values= must hold printable strings of 1 to 256 bytes, unlike 'a\\n'"),
        ("key", str, {"values": ["\ud800"]}, "values= must hold printable strings of 1 to 256 bytes, unlike '\\ud800'"),
        ("key", str, {"values": ["ä" * 129]}, f"values= must hold printable strings of 1 to 256 bytes, unlike '{'ä' * 32}'"),
        ("key", str, {"pattern": 7}, PATTERN),
        ("key", str, {"pattern": ""}, PATTERN),
        ("key", str, {"pattern": re.compile("a")}, PATTERN),
        ("key", str, {"pattern": "a\nb"}, PATTERN),
        ("key", str, {"open": True}, OPEN),
        ("key", str, {"open": ""}, OPEN),
        ("key", str, {"attribute": "My Attr"}, ATTRIBUTE),
        ("key", str, {"attribute": ""}, ATTRIBUTE),
        ("key", str, {"attribute": "a..b"}, ATTRIBUTE),
        ("key", str, {"attribute": ".a"}, ATTRIBUTE),
        ("key", str, {"attribute": "a."}, ATTRIBUTE),
        ("key", str, {"attribute": "1.a"}, ATTRIBUTE),
        ("key", str, {"attribute": 'a"]'}, ATTRIBUTE),
        ("key", str, {"attribute": "ä.b"}, ATTRIBUTE),
        ("key", str, {"attribute": "a" * 129}, ATTRIBUTE),
        ("key", str, {"attribute": 7}, ATTRIBUTE),
        ("key", int, {"unit": "bytes"}, UNIT),
        ("key", int, {"unit": "MB"}, UNIT),
        ("key", int, {"unit": ""}, UNIT),
        ("key", int, {"unit": "{}"}, UNIT),
        ("key", int, {"unit": "{a b}"}, UNIT),
        ("key", int, {"unit": "{a"}, UNIT),
        ("key", int, {"unit": "By/"}, UNIT),
        ("key", int, {"unit": 7}, UNIT),
        ("key", str, {"unit": "By"}, "unit= is for numbers"),
        ("key", bool, {"unit": "1"}, "unit= is for numbers"),
        ("key", int, {"step": "1"}, "step= must be above 0 and is for numbers"),
        ("key", int, {"step": []}, "step= must be above 0 and is for numbers"),
        ("key", int, {"step": True}, "step= must be above 0 and is for numbers"),
        ("key", int, {"step": 10, "maximum": 5}, "step= must not be above maximum="),
        ("key", int, {"minimum": []}, "minimum= must not be above maximum=, and both are finite and for numbers"),
        ("key", int, {"on": None}, 'on= must be "report" or "heartbeat"'),
        ("key", int, {"on": []}, 'on= must be "report" or "heartbeat"'),
        ("key", int, {"since": 1}, f"since= {VERSION}"),
        ("key", int, {"since": "the next"}, f"since= {VERSION}"),
        ("key", int, {"deprecated": True}, f"deprecated= {VERSION}"),
        ("key", int, {"deprecated": ""}, f"deprecated= {VERSION}"),
    ],
)  # fmt: skip
def test_a_wrong_fact_raises_with_the_cure(key, kind, more, problem):
    """A parameter of a Fact may have another type, be empty, double or unhashable, or have an unusable form."""
    assert refusal(Fact, key, kind, **{"why": "because", **more}) == f"fact {key!r}: {problem}"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ("FAST", 'variables must be a list of facts, such as [Fact("MYENGINE_FAST", bool, why="...")]'),
        (None, 'variables must be a list of facts, such as [Fact("MYENGINE_FAST", bool, why="...")]'),
        ([], 'variables must be a list of facts, such as [Fact("MYENGINE_FAST", bool, why="...")]'),
        (Fact("A", bool, why="x"), 'variables must be a list of facts, such as [Fact("MYENGINE_FAST", bool, why="...")]'),
        (["FAST"], "variables must hold Fact objects, one a variable"),
        ([EnvironmentFact("inner", [Fact("A", bool, why="x")], why="x")], "variables must hold Fact objects, one a variable"),
        ([Fact("A", bool, why="x", on="heartbeat")], "a variable does not change while a run lives: leave out its on="),
        ([Fact("A", bool, why="x"), Fact("A", str, why="x")], "the variable 'A' is declared twice"),
    ],
)  # fmt: skip
def test_wrong_variables_raise_with_the_cure(variables, problem):
    """An EnvironmentFact has at least one variable, and each is a Fact with a name of its own."""
    assert refusal(EnvironmentFact, "switches", variables, why="because") == f"fact 'switches': {problem}"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"version": 1}, 'version= must be a string, such as "1.2.0", or a function that returns one'),
        ({"version": ""}, 'version= must be a string, such as "1.2.0", or a function that returns one'),
        ({"version": []}, 'version= must be a string, such as "1.2.0", or a function that returns one'),
        ({"default": "off"}, 'default= must be "on" or "local"; who turns reporting off does so by a setting'),
        ({"default": None}, 'default= must be "on" or "local"; who turns reporting off does so by a setting'),
        ({"default": []}, 'default= must be "on" or "local"; who turns reporting off does so by a setting'),
        ({"facts": Fact("a", str, why="x")}, "facts= must be a list of Fact objects"),
        ({"facts": None}, "facts= must be a list of Fact objects"),
        ({"facts": "abc"}, "facts= must be a list of Fact objects"),
        ({"facts": ["abc"]}, "facts= must hold Fact objects"),
        ({"facts": {"a": Fact("a", str, why="x")}}, "facts= must hold Fact objects"),
        ({"contexts": "API_SERVER"}, 'contexts= must be a list of strings, such as ["API_SERVER"]'),
        ({"contexts": None}, 'contexts= must be a list of strings, such as ["one"]'),
        ({"contexts": ["A", "B", "A"]}, "contexts= has 'A' twice"),
        ({"contexts": [""]}, "contexts= must hold printable strings of 1 to 256 bytes, unlike ''"),
        ({"contexts": ["a b"]}, "contexts= must hold identifiers"),
        ({"contexts": [7]}, "contexts= must hold identifiers"),
        ({"contexts": [[]]}, "contexts= must hold identifiers"),
        ({"leading": "a"}, "leading= must be a list of keys of facts="),
        ({"leading": None}, "leading= must be a list of keys of facts="),
        ({"leading": ["b"]}, "leading= names 'b', which is no key of facts="),
        ({"leading": [[]]}, "leading= names [], which is no key of facts="),
        ({"wire": []}, 'wire= must be "otlp" or "json"'),
        ({"endpoint": "https://stats.example.org:65536"}, "the endpoint's port must be from 1 to 65535"),
        ({"endpoint": "https://[::1]:0/v1/traces"}, "the endpoint's port must be from 1 to 65535"),
        ({"endpoint": []}, "the endpoint must be a URL that starts with https://, or with http:// on loopback"),
    ],
)  # fmt: skip
def test_a_wrong_app_raises_with_the_cure(more, problem):
    """This holds for each parameter of an App, and for a UsageReporter that makes an App."""
    of_reporter = "leading" not in more and more != {"default": None}  # which leaves the choice to the App
    kinds = (App, UsageReporter) if of_reporter else (App,)
    found = [refusal(kind, "myengine", **{"facts": [Fact("a", str, why="x")], **more}) for kind in kinds]

    assert found == [f"app 'myengine': {problem}"] * len(kinds)


@pytest.mark.parametrize("name", [[], {}, b"myengine", 7])
def test_a_name_of_another_type_is_refused(name):
    """An unhashable name is refused as well."""
    assert refusal(App, name) == f"app {name!r}: the name must match ^[a-z][a-z0-9_]{{0,31}}$"
    assert refusal(UsageReporter, name) == 'app must be an App, or the name of one, such as "myengine"'


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"heartbeat": -1}, "heartbeat= must be a number of seconds, or 0 for none"),
        ({"heartbeat": math.nan}, "heartbeat= must be a number of seconds, or 0 for none"),
        ({"heartbeat": "600"}, "heartbeat= must be a number of seconds, or 0 for none"),
        ({"heartbeat": None}, "heartbeat= must be a number of seconds, or 0 for none"),
        ({"heartbeat": True}, "heartbeat= must be a number of seconds, or 0 for none"),
        ({"strict": "yes"}, "strict= must be True, False, or None to ask OTEL_USAGE_STRICT"),
        ({"strict": 1}, "strict= must be True, False, or None to ask OTEL_USAGE_STRICT"),
        ({"logger": "myengine"}, 'logger= must be a logger, such as logging.getLogger("myengine")'),
        ({"logger": logging.Logger}, None),
        ({"notice": "later"}, 'notice= must be "before-send" or None'),
        ({"notice": []}, 'notice= must be "before-send" or None'),
        ({"heartbeat": math.inf, "strict": False, "logger": logging.getLogger("x"), "notice": "before-send"}, None),
    ],
)
def test_a_wrong_reporter_raises_with_the_cure(more, problem):
    """This holds for each parameter of a UsageReporter that an App does not have."""
    assert refusal(UsageReporter, "myengine", **more) == problem


@pytest.mark.parametrize(
    "more", [{"default": "local"}, {"default": "on"}, {"version": "1"}, {"wire": "json"}, {"contexts": ["A"]}]
)
def test_what_an_app_declares_is_not_given_a_second_time(more):
    """A reporter of an App takes none of the App's parameters."""
    assert refusal(UsageReporter, App("myengine"), **more) == "app 'myengine': what an App declares is not given a second time"


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ([Fact("a", str, pattern="(a", why="x")], ("the pattern of 'myengine.config.a' is no regular expression: "
         "missing ), unterminated subpattern at position 0")),
        ([Fact("a", str, pattern="a(?=b)", why="x")], ("the pattern of 'myengine.config.a' can't be read by a collector (RE2) "
         "as Python reads it, from '(?=b)' on: use characters, [classes], (groups), |, *, +, ? and {n,m} alone, "
         "whose counts multiply to at most 1000")),
        ([EnvironmentFact("e", [Fact("A", str, pattern="[z-a]", why="x")], why="x")],
         "the pattern of 'myengine.env.A' is no regular expression: bad character range z-a at position 1"),
        ([Fact("a", int, why="x", on="heartbeat"), Fact("b", str, pattern="a++", why="x", on="heartbeat")],
         ("the pattern of 'myengine.runtime.b' can't be read by a collector (RE2) as Python reads it, from '++' on: "
         "use characters, [classes], (groups), |, *, +, ? and {n,m} alone, whose counts multiply to at most 1000")),
        ([EnvironmentFact("e", [Fact("A", str, attribute="a", why="x"), Fact("B", str, attribute="a", why="x")], why="x")],
         "the attribute 'a' of 'e' is taken; choose another"),
    ],
)  # fmt: skip
def test_what_facts_are_together_is_checked_by_their_app(facts, problem):
    """The App compiles every pattern when it is made, also those of variables and heartbeats."""
    assert refusal(App, "myengine", facts=facts) == f"app 'myengine': {problem}"


@pytest.mark.parametrize(
    "unit", ["By", "GiBy", "s", "ms", "1", "%", "{request}", "{token}/s", "By/s", "m2", "kW.h", "By{compressed}", "1/min", "Cel"]
)
def test_units_of_ucum_are_taken(unit):
    """A report may need these, with prefixes, powers, quotients and notes."""
    assert refusal(Fact, "key", float, unit=unit, why="x") is None


def test_right_declarations_are_taken_as_they_are():
    """A generator, a tuple and a set count as lists of strings; a set has the same order in each process."""
    facts = [Fact("a", str, values=given, why="x") for given in (iter(["c", "b"]), ("c", "b"), {"c", "b"}, frozenset("cb"))]
    app = App("myengine", facts=(Fact(key, int, why="x") for key in "ab"), contexts={"B", "A"}, default="local",
              leading=("b",), version=str)  # fmt: skip

    assert [fact.values for fact in facts] == [("c", "b"), ("c", "b"), ("b", "c"), ("b", "c")]
    assert (app.contexts, app.default, [fact.key for fact in app.facts]) == (("UNKNOWN_CONTEXT", "A", "B"), "local", ["a", "b"])


@pytest.mark.parametrize(
    ("declaration", "loaded"),
    [
        ("", False),
        ("App('myengine', facts=[Fact('a', str, why='x'), Fact('b', str, values=['c'], why='x')])", False),
        ("from otel_usage.integrations.vllm import APP", False),
        ("App('myengine', facts=[Fact('a', str, pattern='[a-z]', why='x')])", True),
    ],
)
def test_only_a_pattern_of_an_adopter_loads_regular_expressions(declaration, loaded):
    """`import otel_usage` and the built-in tables do not load `re`, which costs as much as the whole package."""
    code = f"import sys; sys.path[:0] = {sys.path!r}\nfrom otel_usage import App, Fact\n{declaration}\nprint('re' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"{loaded}\n"
