"""Pages need nothing else, run no script, show exactly what was counted, and can be read on a phone."""

from __future__ import annotations

import datetime as dt
import json
import re
from html.parser import HTMLParser

import pytest
from browser import Figures, look

from otel_usage.facts.app import App
from otel_usage.facts.question import Question
from otel_usage.insights.answer import Answer, Data
from otel_usage.insights.page import show_page, stats_page
from otel_usage.insights.synthetic import Population
from otel_usage.integrations.vllm import APP

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "\x1b[31m", "\u202e", "x" * 5000, "</style>", "&amp;"]
DATA = Data("vllm", "2026-11-01", "2026-11-22", 3, 4, 5.5, {"<b>app": 1}, {"<i>ci": 2}, 3, 0)
VOID = {"meta", "link", "br", "line", "polyline", "img"}


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """The page of made-up reports, and what `--json` says of them."""
    import contextlib
    import io

    from otel_usage.cli import cli

    folder = tmp_path_factory.mktemp("made-up")
    (folder / "usage.jsonl").write_text("\n".join(Population(APP, 3000, 3, dt.date(2026, 11, 22)).lines()))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        cli.main(["stats", str(folder), "--source", "synthetic", "--html", str(folder / "page.html"), "--json"], standalone_mode=False)
    return (folder / "page.html").read_text(), json.loads(out.getvalue())


class Tags(HTMLParser):
    """The tags of a page, and whether each is closed where it should be."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self._open, self.wrong = set(), [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID and self._open.pop() != tag:
            self.wrong.append(tag)


def hostile_page():
    """Return a page whose every value is hostile, in each way to draw."""
    made = [{"gpu_type": name, "provider": name, "runs": 2, "gpus": 4, "engine_hours": 0.5} for name in HOSTILE]
    weeks = [{"week": week, **row} for row in made for week in ("2026-W01", "2026-W02")]
    grid = [{**row, "provider": other} for row in made for other in HOSTILE]
    questions = [Answer(Question("Bars", "gpu_type"), made), Answer(Question("Grid", ("gpu_type", "provider"), draw="grid"), grid),
                 Answer(Question("Lines", "gpu_type", draw="lines", over="week"), weeks), Answer(Question("Nothing", "gpu_type"), [])]  # fmt: skip
    return stats_page(APP, DATA, questions, 7)


def safe(page):
    """Check that a page has no tag, attribute or address that could run or ask for anything."""
    found = Tags(page)
    addresses = [value for name, value in found.attributes if name in ("href", "src", "srcset", "action", "data", "xlink:href")]

    assert found.tags & {"script", "img", "iframe", "object", "embed", "form", "video", "audio", "b", "i-"} == set()
    assert [value for value in addresses if not value.startswith(("#", "data:,"))] == []
    assert [name for name, _ in found.attributes if name.startswith("on")] == []
    assert (found.wrong, re.findall(r"url\(|@import", page)) == ([], [])
    assert [char for char in page if not char.isprintable() and char != "\n"] == []


def test_hostile_values_stay_text():
    """Whatever a report says: tags, templates, control characters, text that runs backwards, very long text."""
    page = hostile_page()
    safe(page)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert "x" * 79 + "…" in page
    assert "x" * 80 not in page
    assert "left out: 2 reports of the source &lt;i&gt;ci" in page


def test_page_of_a_hostile_history_is_safe():
    """Lines of the local file that others may have written."""
    lines = [{"uuid": name, "gpu_type": name, "log_time": name, "total_memory": name, "num_cpu": ["<b>"]} for name in HOSTILE]
    safe(show_page(APP, "/home/<b>\x1b/usage_stats.json", [*lines, {}, {"log_time": 10**400, "uuid": {"a": "<b>"}}]))


def test_page_says_what_the_data_is(counted):
    """The period, how much, and what is not counted, before all charts."""
    page, found = counted
    tiles = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))

    assert tiles["From"] == found["period"]["since"]
    assert tiles["Runs, one report each"] == "3,000"
    assert page.index("Engine-hours</dt>") < page.index("<main>")
    assert len(re.findall("<h2 ", page)) == len({question["subject"] for question in found["questions"]})


def test_page_of_another_app_has_its_own_questions():
    """By default hardware, versions and each declared fact."""
    app = App("myengine")
    page = stats_page(app, DATA, [Answer(question, []) for question in app.questions], 0)

    assert [re.sub("<.*?>", "", title) for title in re.findall("<h3.*?</h3>", page)] == [question.title for question in app.questions]


def shown_rows(question):
    """Return what a chart of bars must show: the rows with most, in no order, and the sum of the rest."""
    rows = [(str(row[question["by"][0]]), row[question["measure"]]) for row in question["rows"] if row[question["measure"]]]
    return rows[:15], sum(count for _, count in rows[15:])


def test_charts_have_the_values_of_json(counted):
    """Each of them: bars, grids and lines; the sum of a chart is the sum of its question."""
    page, found = counted
    charts = Figures(page).charts

    assert list(charts) == [question["title"] for question in found["questions"]]
    for question in found["questions"]:
        drawn = charts[question["title"]]
        total = sum(row[question["measure"]] or 0 for row in question["rows"])

        assert sum(value for row in drawn for value in row[1:]) == pytest.approx(total), question["title"]
        if question["draw"] == "bars":
            rows, rest = shown_rows(question)

            assert sorted(row[1] for row in drawn) == pytest.approx(sorted([count for _, count in rows] + [rest] * (rest > 0)))
            if question["by"] == ["gpu_type"]:
                assert {row[0]: row[1] for row in drawn if not row[0].startswith("(rest)")} == pytest.approx(dict(rows))


def test_screen_readers_are_told_what_is_drawn(counted):
    """Tables have captions and headings, pictures a title and a description, and there is one heading of each page."""
    page, _ = counted
    tables, pictures = page.count("<table"), page.count("<svg")

    assert tables == page.count("<caption") == 60
    assert pictures == page.count('role="img"') == page.count("</desc>") == page.count("</title>") - 1 > 3
    assert page.count("<h1>") == 1
    assert 'lang="en"' in page


@pytest.mark.slow
def test_browser_asks_for_nothing_and_complains_of_nothing(counted):
    """In Chromium: the page alone is fetched, its document has the same charts, and the console stays empty."""
    page, _ = counted
    document, asked, console = look(page)

    assert ([path.rpartition("/")[2] for path in asked], console) == (["page.html"], [])
    assert Figures(document).charts == Figures(page).charts


@pytest.mark.slow
def test_browser_would_show_what_a_page_asks_for():
    """The same means find a picture from elsewhere, and a script that fails."""
    _, asked, console = look('<!doctype html><img src="http://example.org/picture.png"><script>nothing()</script>')

    assert [path for path in asked if "picture" in path] == ["http://example.org/picture.png"]
    assert len(console) == 1


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_page_fits_its_window_in_both_colours(counted, width, dark):
    """Nothing is wider than the window, on a phone or a desk; by night the paper is dark and the ink is light."""
    page, _ = counted
    document, _, console = look(page, width=width, dark=dark, probe=True)
    seen = json.loads(re.search("<title>(.*?)</title>", document)[1].replace("&quot;", '"'))
    paper, ink = (sum(map(int, re.findall(r"\d+", seen[name]))) for name in ("paper", "ink"))

    assert (seen["width"], console) == (seen["window"], [])
    assert (paper < ink) is dark
