"""A fact may have only some patterns, which are tested against the engine of a collector."""

import re

import pytest
import re2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otel_usage.facts.builtin import HARDWARE, run_facts
from otel_usage.facts.pattern import problem
from otel_usage.integrations.vllm import APP

QUIET = re2.Options()
QUIET.log_errors = False
QUIET.max_mem = 1 << 30
# What a pattern is made of: what both engines have, and what only one has or reads otherwise.
PIECES = st.sampled_from(
    r"a b Z 9 _ ü . - , / : ~ & ^ $ | ( (?: ) [ ] [a-z] [^a-z] [0-9_.+-] []a] [^]a] [a\]] [\d-] [\w.] [a-] [--a] [a&&b] [[:alpha:]] "
    r"* + ? *? +? ?? *+ ++ ?+ {2} {2,} {0,3} {,3} {3}? {3}+ {1000} {1001} {500} { } \d \D \w \W \s \S \b \B \A \Z \z \1 \a \n "
    r"\x41 \x4 \x{41} \u0041 \- \. \_ \\ \* \( \[ \Q \pL (?i) (?i: (?s:.) (?P<a>b) (?P=a) (?#c) (?= (?! (?<= (?> (?a:".split()
)
TEXTS = st.lists(st.sampled_from("abZ9_ü.-,/:~&^$|()[]*+?{} 1\\AzQpLK"), max_size=8).map("".join)


def known_to_re2(pattern):
    """Return whether RE2 compiles a pattern as a collector uses it."""
    try:
        re2.compile(f"^(?:{pattern}|other)$", QUIET)
    except re2.error:
        return False
    return True


@pytest.mark.soak
def test_a_pattern_that_is_taken_means_the_same_to_python_and_to_a_collector(size):
    """Of patterns made of all parts, each accepted one compiles in both engines and matches the same texts."""
    taken = []

    @settings(max_examples=size(1000, 10_000), deadline=None)
    @given(st.lists(PIECES, min_size=1, max_size=6).map("".join), st.lists(TEXTS, min_size=1, max_size=8))
    def compare(pattern, texts):
        assume(problem(pattern) is None)
        taken.append(pattern)
        theirs = re2.compile(f"^(?:{pattern}|other)$", QUIET)
        differ = [text for text in texts
                  if (re.fullmatch(pattern, text, re.ASCII) is None) is not (theirs.search(text) is None) and text != "other"]  # fmt: skip

        assert differ == []

    compare()

    assert len(taken) >= 100


@pytest.mark.parametrize(
    "pattern",
    ["[a-z]{1,16}", r"v?[0-9]+(?:\.[0-9]+){0,3}", "(a|b)*c+?", "[]a]", r"\*+", r"\\1", "[*+?+]", "[A-Za-z0-9_.+-]{1,64}", "^abc$",
     r"[^\s/]+", "(?:[0-9]{1,10}){1,100}", "(?:a{10}b{20}){50}", "[a-z.-]", "ü+", "a|", ""],
)  # fmt: skip
def test_usual_patterns_are_taken(pattern):
    """Without this, a check that refuses every pattern would pass the test below."""
    assert (problem(pattern), known_to_re2(pattern)) == (None, True)


@pytest.mark.parametrize(
    ("pattern", "at"),
    [
        ("a(?=b)", "(?=b)"), ("a(?!b)", "(?!b)"), ("(?<=a)b", "(?<=a)b"), ("(?<!a)b", "(?<!a)b"), (r"(a)\1", r"\1"),
        ("(?P<x>a)(?P=x)", "(?P<x>a)(?P="), ("a++", "++"), ("a*+", "*+"), ("a{2}+", "{2}+"), ("(?>a)", "(?>a)"), (r"a\Z", r"\Z"),
        ("(?i)a", "(?i)a"), ("(?i:k)", "(?i:k)"), ("(?#c)a", "(?#c)a"), ("a{,5}", "{,5}"), ("a{1001}", "{1001}"),
        ("(?:[a-z]{1,64}){1,32}", "{1,32}"), ("((a{10}){10}b){11}", "{11}"), ("a{99999999999999999999}", "{99999999999"),
        ("[[:alpha:]]", "[[:alpha:]]"), ("[a&&b]", "[a&&b]"), ("[a--b]", "[a--b]"), (r"[\b]", r"[\b]"), (r"\u0041", r"\u0041"),
        (r"\pL", r"\pL"), ("[a", "[a"), ("a{x}", "{x}"),
    ],
)  # fmt: skip
def test_a_pattern_that_a_collector_reads_otherwise_is_refused_from_where_it_does(pattern, at):
    """The engines differ in look-around, back references, flags, names, possessive and excessive repetitions, and more."""
    assert problem(pattern) == (
        f"can't be read by a collector (RE2) as Python reads it, from {at!r} on: use characters, [classes], (groups), |, *, +, ? "
        "and {n,m} alone, whose counts multiply to at most 1000"
    )


@pytest.mark.parametrize("pattern", ["a\nb", "a\x00", "\ud800", "a\u200b"])
def test_a_pattern_holds_what_can_be_seen(pattern):
    """A collector's configuration can't hold an invisible character."""
    assert problem(pattern) == "must hold characters that can be seen; write others as \\x and two digits"


@pytest.mark.parametrize("pattern", ["(a", "a)", "[z-a]", "*a", "a**", "(" * 5000])
def test_a_pattern_that_is_none_is_refused(pattern):
    """The error has Python's own text, whatever Python raises."""
    found = problem(pattern)

    assert found is not None
    assert found.startswith("is no regular expression: ")


def test_every_built_in_pattern_can_be_used():
    """The patterns of the built-in table and of vLLM's are not compiled when they are declared."""
    facts = [*HARDWARE, *run_facts("vllm", APP.contexts), *APP.facts]
    patterns = {attribute.pattern for fact in facts for attribute in fact.attributes("vllm") if attribute.pattern}

    assert {pattern: problem(pattern) for pattern in patterns} == dict.fromkeys(patterns)
    assert [pattern for pattern in patterns if not known_to_re2(pattern)] == []
    assert len(patterns) >= 8


@pytest.mark.parametrize("shape", [("[a", ""), ("", "["), ("a", "(?="), ("a{1,2", ""), ("\\\\", "{"), ("(", "(?i)")])
def test_a_long_pattern_costs_its_length(shape):
    """A quadratic cost would exceed the time of a test."""
    repeated, end = shape

    assert problem(f"[{repeated * 500_000}{end}") is not None
    assert problem(f"{repeated * 500_000}{end}") is not None
