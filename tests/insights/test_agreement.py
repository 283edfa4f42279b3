"""DuckDB, ClickHouse, Grafana's statements and a plain count say the same of the same reports, for every question."""

from __future__ import annotations

import datetime as dt
import json
import re

import naive
import pytest
from clickhouse import Store
from clickhouse_http import ClickHouseServer

from otel_usage.facts.question import Question
from otel_usage.insights.answer import Wanted, answers, describe
from otel_usage.insights.clickhouse import ClickHouse
from otel_usage.insights.load import Reports
from otel_usage.insights.statement import CLICKHOUSE, DUCKDB, Words, for_grafana, needed
from otel_usage.insights.synthetic import Population
from otel_usage.integrations.vllm import APP

NOW = dt.datetime.now(dt.timezone.utc)
MORE = (
    Question("Three", ("provider", "gpu_type", "gpu_count")), Question("By day", "quantization", draw="lines", over="day"),
    Question("By month", "provider", draw="lines", over="month", measure="engine_hours"),
    Question("Of the report alone, by week", "context", draw="lines", over="week"),
)  # fmt: skip
WANTED = {
    "all": Wanted(sources=()),
    "of a source": Wanted(sources=("synthetic",)),
    "of none": Wanted(),
    "of a week": Wanted(NOW.date() - dt.timedelta(days=9), NOW.date() - dt.timedelta(days=3), ()),
    "with facts": Wanted(sources=(), where=(("provider", "AWS"), ("enable_lora", "false"), ("quantization", "(none)"), ("gpu_count", "8"))),
    "with a context": Wanted(sources=(), where=(("context", "API_SERVER"),)),
}  # fmt: skip


@pytest.fixture(scope="module")
def lines():
    """Made-up lines of the last weeks, some of another app, some twice; and a run whose heartbeats disagree."""
    made = [json.loads(line) for line in Population(APP, 4000, 7, NOW.date() - dt.timedelta(days=1)).lines()]
    month = (NOW - dt.timedelta(days=28)).timestamp()
    recent = [one for one in made if int(span(one)["startTimeUnixNano"]) > month * 10**9][-700:]
    for one in recent[:40]:
        one["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"] = "sglang"
    again = json.loads(json.dumps(next(one for one in recent[50:] if span(one)["name"] == "otel_usage.heartbeat")))
    span(again).update(spanId="0123456789abcdef", attributes=[{"key": "otel_usage.uptime", "value": {"intValue": "999960"}}])
    return [json.dumps(one, separators=(",", ":")) for one in [*recent, again, *recent[100:120]]]


def span(one):
    """Return the span of a line."""
    return one["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory, lines):
    """The lines, in DuckDB."""
    path = tmp_path_factory.mktemp("files") / "usage.jsonl"
    path.write_text("\n".join(lines) + "\n")
    words = Words(APP, DUCKDB)
    keys = [key for question in (*APP.questions, *MORE) for key in question.by]
    with Reports(APP, needed(APP, keys, words)) as reports:
        reports.read([str(path)])
        yield reports.ask, words


@pytest.fixture(scope="module")
def store(tmp_path_factory, lines):
    """The lines, in the real ClickHouse engine, with the tables of the collector's configuration."""
    store = Store(tmp_path_factory.mktemp("store") / "data")
    store.insert([json.loads(line) for line in lines])
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(store):
    """The same over HTTP."""
    server = ClickHouseServer(store)
    yield server
    server.close()


def chosen(wanted):
    """Return what a naive count takes as asked for."""

    def take(time, attributes):
        day = dt.datetime.fromtimestamp(time, dt.timezone.utc).date()
        words = [("(none)" if (one := naive.value(APP, key, attributes)) is None else str(one).lower() if isinstance(one, bool) else str(one), text)
                 for key, text in wanted.where]  # fmt: skip
        return (
            (wanted.since is None or wanted.since <= day) and (wanted.until is None or day <= wanted.until)
            and (not wanted.sources or attributes.get("otel_usage.source") in wanted.sources) and all(one == text for one, text in words)
        )  # fmt: skip

    return take


@pytest.mark.parametrize("which", WANTED)
def test_every_question_has_one_answer(duckdb, server, lines, which):
    """By DuckDB, by ClickHouse, and by a plain count."""
    wanted, found = WANTED[which], naive.spans(lines)
    client = ClickHouse(f"clickhouse://reader:secret@{server.address}")
    ask, words = duckdb
    small = answers(ask, words, (*APP.questions, *MORE), wanted)
    large = answers(client.ask, Words(APP, client.dialect), (*APP.questions, *MORE), wanted)
    timed = not any(key == "context" for key, _ in wanted.where)

    for (question, rows), (_, others) in zip(small, large, strict=True):
        plain = naive.count(APP, question, found, chosen(wanted))
        if not timed:
            plain = [{**row, "engine_hours": None} for row in plain if row["runs"]]

        assert naive.sorted_rows(rows) == naive.sorted_rows(plain), question.title
        assert naive.sorted_rows(others) == naive.sorted_rows(plain), question.title
    assert describe(ask, words, wanted) == describe(client.ask, Words(APP, client.dialect), wanted)
    assert (which == "of none") == (small[0].rows == [])
    assert set(server.users) == {("reader", "secret")}


def test_grafana_has_the_same_answers(duckdb, store):
    """The statement of each question as Grafana writes it out, on the real engine, of all that the store has."""
    ask, words = duckdb
    for question, rows in answers(ask, words, APP.questions, Wanted(sources=())):
        sql = for_grafana(question, Words(APP, CLICKHOUSE))
        filled = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 >= toDateTime(now() - 40 * 86400) AND \1 <= toDateTime(now() + 60)", sql)
        answered = json.loads(store._session.query(filled, "JSONCompact").data())["data"]
        expected = sorted([row["runs"], row["gpus"], 0 if row["engine_hours"] is None else row["engine_hours"]] for row in rows)
        counted = sorted([int(row[-3]), int(row[-2]), round(int(row[-1]) / 3600, 3)] for row in answered)

        assert counted == expected, question.title
        assert "$" not in filled


def test_a_server_that_refuses_is_named_in_one_line(server):
    """With what it said, and without the password."""
    client = ClickHouse(f"clickhouse://reader:secret@{server.address}")
    with pytest.raises(OSError, match=r"^ClickHouse at 127\.0\.0\.1:\d+ refuses: .*nothing") as caught:
        list(client.ask("SELECT nothing"))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8123", "clickhouse://", "clickhouse://h/a b;c", "127.0.0.1"])
def test_a_url_that_is_none_is_refused(url):
    """Before anything is asked."""
    with pytest.raises(ValueError, match=r"clickhouse://|plain"):
        ClickHouse(url)
