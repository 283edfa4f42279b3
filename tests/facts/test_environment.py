"""The values of environment variables travel in one JSON string."""

import pytest

from otel_usage import App, EnvironmentFact, Fact
from otel_usage.facts.admission import admit_value

FACT = EnvironmentFact(
    "env_var_json",
    [Fact("FAST", bool, why="who uses it"), Fact("PARTS", str, pattern="[0-9,]+", why="who splits")],
    why="who changes defaults",
)


def test_each_variable_is_an_attribute_of_its_own():
    """Each variable becomes the attribute <app>.env.<NAME> with its declared type."""
    named = [(attribute.name, attribute.type) for attribute in FACT.attributes("myengine")]

    assert named == [("myengine.env.FAST", bool), ("myengine.env.PARTS", str)]


@pytest.mark.parametrize(
    ("given", "admitted"),
    [
        ('{"FAST": true, "PARTS": null}', ('{"FAST": true, "PARTS": null}', [])),
        ('{"SECRET": "x", "PARTS": "8,8"}', ('{"PARTS": "8,8"}', ["env_var_json: SECRET is not declared"])),
        ('{"FAST": 1}', ('{"FAST": null}', ["FAST must be boolean, not int"])),
        ('{"PARTS": "%s"}' % ("8" * 257), ('{"PARTS": null}', ["PARTS must be at most 256 bytes of UTF-8"])),
        ("[]", (None, ["env_var_json must be a string that holds a JSON object"])),
        ("{", (None, ["env_var_json must be a string that holds a JSON object"])),
        ("[" * 100_000, (None, ["env_var_json must be a string that holds a JSON object"])),
        ({"FAST": True}, (None, ["env_var_json must be a string that holds a JSON object"])),
        (None, (None, [])),
    ],
)
def test_only_declared_variables_that_fit_stay_in_the_string(given, admitted):
    """An undeclared variable is left out and counted by name; the others keep their order and form."""
    assert FACT.admit(given) == admitted


def test_a_variable_that_is_a_number_has_bounds_too():
    """A number out of its bounds does not leave, as with any other fact."""
    fact = EnvironmentFact("env_var_json", [Fact("PARTS", int, minimum=1, maximum=8, why="who splits")], why="who changes defaults")
    attributes = App("myengine", facts=[fact]).attributes
    left = [admit_value(attributes["myengine.env.PARTS"], value)[0] for value in (0, 1, 8, 9)]

    assert left == [None, 1, 8, None]


def test_a_string_is_split_into_its_variables_and_joined_again():
    """The string of a report and its attributes say the same."""
    text = '{"FAST": true, "PARTS": "8,8"}'

    assert (FACT.split(text), FACT.join((True, "8,8")), FACT.join((None, None))) == ((True, "8,8"), text, None)
