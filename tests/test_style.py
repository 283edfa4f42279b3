"""The tests keep their own rules, where a test can check that."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TRUTHS = {"all", "any", "bool", "endswith", "exists", "hasattr", "is_dir", "is_file", "is_symlink", "isinstance", "issubset", "startswith"}


def hidden(code):
    """Return each truth value that a test compares as a part of a tuple or list, where a failure would show no value."""
    asserted = [node.test for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare)]
    compared = [inner for test in asserted for side in (test.left, *test.comparators) for inner in ast.walk(side)]
    parts = [part for one in compared if isinstance(one, (ast.Tuple, ast.List)) for part in one.elts]
    parts += [one.elt for one in compared if isinstance(one, (ast.ListComp, ast.GeneratorExp))]
    return [ast.unparse(part) for part in parts if is_truth(part)]


def is_truth(node):
    """Return whether an expression is a comparison, or a call that returns a truth value."""
    if isinstance(node, ast.Call):
        return getattr(node.func, "attr", getattr(node.func, "id", None)) in TRUTHS
    return isinstance(node, (ast.Compare, ast.BoolOp)) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def test_no_comparison_hides_its_value_in_a_tuple():
    """Each comparison has its own assert, which shows both sides."""
    found = {path.relative_to(TESTS).as_posix(): hidden(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py")}

    assert {path: parts for path, parts in found.items() if parts} == {}


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("assert (said, took < 1) == ('x', True)", ["took < 1"]),
        ("assert ['x' in out, not err] == [True, True]", ["'x' in out", "not err"]),
        ("assert (status, path.exists()) == (0, True)", ["path.exists()"]),
        ("assert [line.startswith('a') for line in lines] == [True]", ["line.startswith('a')"]),
        ("assert (status, out) == (0, '')\nassert took < 1", []),
    ],
)
def test_a_hidden_comparison_is_found(code, parts):
    """Without this, the test above would prove nothing."""
    assert hidden(code) == parts
