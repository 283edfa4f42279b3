"""The table of production cases names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
ROW = re.compile(r"\| (\d+) \| ([^|]+) \| (.+) \|")
ROWS = [found.groups() for line in (TESTS / "CASES.md").read_text().splitlines() if (found := ROW.fullmatch(line))]


def test_each_of_the_71_cases_has_a_row():
    """Each case has one row, in order."""
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 72))


def test_each_test_that_the_table_names_is_there():
    """A case without a test says why."""
    named = [name for _, _, by in ROWS for name in re.findall(r"`([\w/]+\.py)::(\w+)`", by)]
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (TESTS / file).read_text(encoding="utf-8")]
    unexplained = [number for number, _, by in ROWS if "::" not in by and "out of scope: " not in by]

    assert len(named) >= len(ROWS)
    assert (missing, unexplained) == ([], [])
