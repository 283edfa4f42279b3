"""The links of the pages under docs/ work, and the contract names what exists."""

import inspect
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_usage import App, Fact, UsageReporter
from otel_usage.cli import cli
from otel_usage.consent import signals

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
CODE = re.compile(r"`[^`\n]*`")
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
CITED = re.compile(r'docs/design\.md, "([^"]+)"')


def without_code(text):
    """Return the text of a page without its blocks of code, and with nothing in its spans of code."""
    return CODE.sub("``", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def headings(text):
    """Return the titles of a page's headings."""
    blocks_removed = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", blocks_removed, re.MULTILINE)


def anchors(text):
    """Return the anchors of a page's headings: in lower case, words joined by hyphens, without other signs."""
    found = []
    for title in headings(text):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return found


def broken(page):
    """Return the links and test names of a page that lead nowhere."""
    text = page.read_text(encoding="utf-8")
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if "://" in target or target.startswith("mailto:"):
            continue
        if not file.exists() or (fragment and fragment not in anchors(file.read_text(encoding="utf-8"))):
            found.append(target)
    named = re.findall(r"\[`(tests/[\w/]+\.py)::\w+`\]\(([^)]+)\)", text)
    root = page.parents[1]
    found += [f"{file} by {link}" for file, link in named if (page.parent / link).resolve() != (root / file).resolve()]
    return found + [f"{file}::{name}" for file, name in TEST.findall(text) if not has_test(root / file, name)]


def has_test(file, name):
    """Return whether a file has a function of that name."""
    return file.is_file() and re.search(rf"^ *def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE) is not None


def section(title):
    """Return a section of the contract, up to the next heading of its level or above."""
    level, text = re.search(rf"^(#+) {re.escape(title)}$(.*)", DESIGN, re.MULTILINE | re.DOTALL).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def cells(text):
    """Return the cells of each row of the tables in a text."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def spans(cell):
    """Return the spans of code in a cell."""
    return [span.strip("`") for span in CODE.findall(cell)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_and_each_test_that_a_page_names_is_there(page):
    """A link leads to a file or a heading, and a name to a function of a test file."""
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    """One of each kind is found; text in a span of code is no link."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("def test_here():\n    pass\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text(
        "# Title: `a` and b\n\n[a](#title-a-and-b) [b](#gone) [c](page.md#title-a-and-b) [d](page.md#gone) [e](gone.md) [f](https://x.org/y)\n"
        "`[g](in-code)` [`tests/test_x.py::test_here`](../tests/test_x.py) [`tests/test_x.py::test_here`](page.md)\n"
        "`tests/test_x.py::test_gone` and `tests/test_y.py::test_here`\n\n```\n# no heading\n[h](in-a-block)\n```\n[i](#no-heading)\n"
    )

    assert broken(page) == [
        "#gone", "page.md#gone", "gone.md", "#no-heading", "tests/test_x.py by page.md", "tests/test_x.py::test_gone",
        "tests/test_y.py::test_here",
    ]  # fmt: skip


def test_each_heading_that_code_and_tests_cite_is_there():
    """They cite the contract as docs/design.md and the title of a heading between quotation marks."""
    files = [path for folder in ("otel_usage", "tests", "collector-config") for path in (ROOT / folder).rglob("*")
             if path.suffix in (".py", ".yaml", ".md") and path != Path(__file__)]  # fmt: skip
    cited = {title for path in files for title in CITED.findall(path.read_text(encoding="utf-8"))}

    assert "Facts" in cited
    assert cited - set(headings(DESIGN)) == set()


def test_each_built_in_attribute_is_in_the_table():
    """The table has no other attribute and no other key of the file."""
    rows = json.loads(CliRunner().invoke(cli, ["--app", "vllm", "facts", "--format", "json"]).stdout)
    built_in = [row for row in rows if not any(a["name"].startswith("vllm.") for a in row["attributes"])]
    keys = {row["key"].replace("vllm_version", "<app>_version") for row in built_in if row["in_file"]}
    attributes = {attribute["name"] for row in built_in for attribute in row["attributes"]}
    table = cells(section("Report: attributes"))

    assert {key for row in table for key in spans(row[0])} == keys
    assert {name for row in table for name in spans(row[1])} == {*attributes, "service.name"}


def test_each_signal_is_in_the_table(home):
    """The order is that of the code; a signal of an app has the app's name in capitals."""
    found = signals("vllm", {"HOME": str(home)})
    names = {Path(signal.name).name.replace("VLLM", "<APP>") for signal in found}
    text = section("Signals")

    assert len(names) == 9
    assert [name for name in sorted(names) if name not in text] == []


def test_each_command_is_in_the_table():
    """The table has no other command."""
    table = cells(section("The command line").partition("### ")[0])

    assert {span.split()[0] for row in table for span in spans(row[0])} == set(cli.commands)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("report --json", ["report", "--json"]), ("status --json", ["status", "--json"]), ("facts --format json", ["facts", "--format", "json"])],
    ids=["report", "status", "facts"],
)
def test_each_key_of_the_json_output_is_in_its_row(home, command, arguments):
    """These are the keys of the object, or of the first object of a list."""
    printed = json.loads(CliRunner().invoke(cli, ["--app", "vllm", *arguments]).stdout)
    keys = list(printed if isinstance(printed, dict) else printed[0])
    row = next(row for row in cells(section("JSON output")) if spans(row[0]) == [command])

    assert [key for key in keys if key not in spans(row[1])] == []


def test_each_parameter_of_a_fact_is_in_the_table():
    """The table has no other parameter."""
    assert [span for row in cells(section("Facts").partition("### ")[0]) for span in spans(row[0])] == [
        "key", "type", "why", *[name for name in inspect.signature(Fact).parameters if name not in ("key", "type", "why")],
    ]  # fmt: skip


@pytest.mark.parametrize(("function", "begin"), [(App, "`App("), (UsageReporter.report, "`report("), (UsageReporter.flush, "`flush(")])
def test_each_parameter_of_the_api_is_in_its_row(function, begin):
    """Its name is in the row that begins with the call."""
    parameters = [name for name in inspect.signature(function).parameters if name != "self"]
    row = next(row[0] for row in cells(section("The API")) if row[0].startswith(begin))

    assert [name for name in parameters if not re.search(rf"\b{name}\b", row)] == []


def test_the_reporter_takes_an_app_or_what_an_app_takes():
    """Its other parameters are in its own row."""
    own = [name for name in inspect.signature(UsageReporter).parameters if name not in inspect.signature(App).parameters]
    row = next(row[0] for row in cells(section("The API")) if row[0].startswith("`UsageReporter("))

    assert [name for name in own if not re.search(rf"\b{name}\b", row)] == []
