"""The allow-list as statements: what they say for a row of the table."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from myengine_app import APP

from otel_usage import App, Fact
from otel_usage.collector import ottl
from otel_usage.facts.fact import Attribute
from otel_usage.facts.pattern import problem


def app(name, *facts):
    """Return an app with these facts."""
    return App(name, version="1", facts=facts)


def test_each_row_is_checked_by_type_length_closed_set_and_bounds():
    """A string has all three; a number its type, its bounds and its step."""
    ours = {attribute.name: attribute for attribute in ottl.union([APP])}

    assert ottl.statements([ours["myengine.config.quantization"], ours["myengine.config.batch"]], "resource") == [
        ('set(resource.cache["myengine.config.quantization"], resource.attributes["myengine.config.quantization"]) where '
        'IsString(resource.attributes["myengine.config.quantization"]) '
        'and Len(resource.attributes["myengine.config.quantization"]) <= 256'),
        ('set(resource.cache["myengine.config.quantization"], "other") where '
        'resource.cache["myengine.config.quantization"] != nil and (not '
        'IsMatch(resource.cache["myengine.config.quantization"], "^(?:awq|gptq|other)(?:\\\\((?:awq|gptq|other)\\\\))?$$"))'),
        ('set(resource.cache["myengine.config.batch"], resource.attributes["myengine.config.batch"]) where '
        'IsInt(resource.attributes["myengine.config.batch"]) '
        'and resource.attributes["myengine.config.batch"] >= -1 and resource.attributes["myengine.config.batch"] <= 1000000000'),
        ('set(resource.cache["myengine.config.batch"], Int(Format("%.0f", [resource.cache["myengine.config.batch"] / 8.0])) * 8) '
        'where resource.cache["myengine.config.batch"] != nil'),
        ('delete_key(resource.cache, "myengine.config.batch") where resource.cache["myengine.config.batch"] != nil and not '
        '(resource.cache["myengine.config.batch"] >= -1 and resource.cache["myengine.config.batch"] <= 1000000000)'),
        "set(resource.attributes, resource.cache)",
        'set(resource.schema_url, "")',
        "set(resource.dropped_attributes_count, 0)",
    ]


def test_closed_sets_of_a_name_that_apps_share_are_joined():
    """Contexts, for one: each app has its own."""
    one, two = App("one", version="1", contexts=["A", "B"]), App("two", version="1", contexts=["B", "C"])

    (context,) = [attribute for attribute in ottl.union([one, two]) if attribute.name == "otel_usage.context"]

    assert context.values == ("UNKNOWN_CONTEXT", "A", "B", "C")


def test_patterns_of_a_name_that_apps_share_are_both_taken():
    """Neither app loses what the other one would not report."""
    apps = [app(name, Fact("kind", str, pattern=pattern, attribute="shared.kind", why="x"))
            for name, pattern in (("one", "a+"), ("two", "b+"))]  # fmt: skip

    (kind,) = [attribute for attribute in ottl.union(apps) if attribute.name == "shared.kind"]

    assert ottl.allowed(kind) == "^(?:a+|b+|other)$"


@pytest.mark.parametrize("pattern", ["a(?=b)", r"(a)\1", "a++"])
def test_pattern_that_a_collector_cannot_check_is_named_with_its_cure(pattern):
    """By the rule by which an App refuses it when it is declared; here it is that of a table which was not asked."""
    table = SimpleNamespace(attributes={"engine.name": Attribute("engine.name", str, pattern=pattern)})

    with pytest.raises(ottl.PatternError) as caught:
        ottl.union([table])

    assert str(caught.value) == f"the pattern of 'engine.name' {problem(pattern)}"


def test_values_are_taken_literally():
    """What means something in an expression is escaped."""
    attribute = Fact("kind", str, values=["a.b*(c)", "x|y", "$z"], why="x").attributes("engine")[0]

    assert ottl.allowed(attribute) == r"^(?:a\.b\*\(c\)|x\|y|\$z|other)(?:\((?:a\.b\*\(c\)|x\|y|\$z|other)\))?$"
