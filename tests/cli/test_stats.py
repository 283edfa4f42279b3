"""`stats` counts what a collector received; `demo-data` makes up what to try it with."""

import csv
import gzip
import json

import duckdb
import pytest
import zstandard
from otlp import as_json, request

MACHINES = (
    {"otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2, "cloud.provider": "aws", "vllm.config.quantization": "awq"},
    {"otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2, "cloud.provider": "gcp", "vllm.config.enable_lora": True},
    {"otel_usage.gpu.model": "NVIDIA H200", "otel_usage.gpu.count": 8, "cloud.provider": "aws", "vllm.config.gpu_memory_utilization": 0.9},
    {},
)  # fmt: skip
DAYS = ("2026-11-15", "2026-11-16", "2026-11-17", "2027-01-01")
NS = {"2026-11-15": 1794700800, "2026-11-16": 1794787200, "2026-11-17": 1794873600, "2027-01-01": 1798761600}


def line(resource, day="2026-11-16", span=None, name="otel_usage.report", **more):
    """Return a line as a collector's file exporter writes it."""
    made = request(({"otel_usage.source": "production", **resource}, span or {"otel_usage.context": "LLM_CLASS"}))
    one = made.resource_spans[0].scope_spans[0].spans[0]
    one.name, one.start_time_unix_nano = name, NS[day] * 10**9
    for key, value in more.items():
        setattr(one, key, value)
    return json.dumps(json.loads(as_json(made)), separators=(",", ":"))


@pytest.fixture
def files(tmp_path):
    """A directory as a collector leaves it: four reports of four days, one of them twice, and two heartbeats of a run."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [line(machine, day) for machine, day in zip(MACHINES, DAYS, strict=True)]
    beats = [line(MACHINES[0], "2026-11-16", {"otel_usage.uptime": uptime}, "otel_usage.heartbeat") for uptime in (600, 5400)]
    (folder / "usage.jsonl").write_text("\n".join([*lines, lines[0], *beats]) + "\n")
    return folder


def rows(command, *arguments):
    """Return the rows of the only question that is asked."""
    status, out, err = command("stats", *map(str, arguments), "--json")
    (question,) = json.loads(out)["questions"]

    assert (status, err) == (0, "")
    return question["rows"]


def test_reports_are_counted_by_what_is_asked(command, files):
    """Each once, in the file's words, what is absent as (none); engine-hours are a run's largest uptime."""
    assert rows(command, files, "--by", "provider,gpu_type") == [
        {"provider": "(none)", "gpu_type": "(none)", "runs": 1, "gpus": 0, "engine_hours": 0},
        {"provider": "AWS", "gpu_type": "NVIDIA H200", "runs": 1, "gpus": 8, "engine_hours": 0},
        {"provider": "AWS", "gpu_type": "NVIDIA L4", "runs": 1, "gpus": 2, "engine_hours": 1.5},
        {"provider": "GCP", "gpu_type": "NVIDIA L4", "runs": 1, "gpus": 2, "engine_hours": 0},
    ]
    assert [(row["gpu_count"], row["runs"]) for row in rows(command, files, "--by", "gpu_count")] == [(2, 2), (8, 1), ("(none)", 1)]
    assert [(row["enable_lora"], row["runs"]) for row in rows(command, files, "--by", "enable_lora")] == [("(none)", 3), (True, 1)]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (["--where", "gpu_type=NVIDIA L4"], 2), (["--where", "gpu_type='NVIDIA L4'", "--where", "provider=AWS"], 1), (["--where", "provider=(none)"], 1),
        (["--where", "enable_lora=true"], 1), (["--where", "gpu_count=8"], 1), (["--where", "gpu_memory_utilization=0.9"], 1),
        (["--since", "2026-11-16"], 3), (["--until", "2026-11-16"], 2), (["--since", "2026-11-16", "--until", "2026-11-17"], 2),
        (["--source", "ci"], 0), (["--source", "all"], 4), (["--source", "ci", "--source", "production"], 4),
    ],
)  # fmt: skip
def test_what_is_not_asked_for_is_left_out_and_said(command, files, asked, count):
    """By facts, days in UTC, and sources."""
    _, out, _ = command("stats", str(files), "--by", "source", "--json", *asked)
    found = json.loads(out)

    assert (found["reports"], sum(row["runs"] for row in found["questions"][0]["rows"])) == (count, count)
    assert sum(found["left_out"]["sources"].values()) + found["left_out"]["outside"] + found["left_out"]["unmatched"] == 4 - count


def test_weeks_are_iso_weeks(command, files):
    """The first of January 2027 is of week 53 of 2026; Sunday is the last day of a week. Months and days, too."""
    week = rows(command, files, "--by", "provider", "--over", "week")
    month = rows(command, files, "--by", "source", "--over", "month")

    assert [(row["week"], row["provider"], row["runs"]) for row in week] == [
        ("2026-W46", "AWS", 1), ("2026-W47", "AWS", 1), ("2026-W47", "GCP", 1), ("2026-W53", "(none)", 1),
    ]  # fmt: skip
    assert [(row["month"], row["runs"]) for row in month] == [("2026-11", 3), ("2027-01", 1)]


def test_the_curated_questions_are_answered(command, files):
    """All of the app's, in their order; the period is that of the reports, or what was asked for."""
    from otel_usage.integrations.vllm import APP

    _, out, _ = command("stats", str(files), "--json")
    _, later, _ = command("stats", str(files), "--json", "--since", "2026-11-01")
    found = json.loads(out)

    assert [one["title"] for one in found["questions"]] == [question.title for question in APP.questions]
    assert found["period"] == {"since": "2026-11-15", "until": "2027-01-01"}
    assert json.loads(later)["period"] == {"since": "2026-11-01", "until": "2027-01-01"}
    assert found["left_out"] == {"apps": {}, "sources": {}, "outside": 0, "unmatched": 0, "damaged": 0}


def test_files_are_read_however_they_are_compressed(command, tmp_path):
    """Each its own way, and a torn one as far as it goes: that is said, and is no error."""
    one, two, three = (line(machine) for machine in MACHINES[:3])
    (tmp_path / "usage-1.jsonl.gz").write_bytes(gzip.compress(f"{one}\n".encode()))
    (tmp_path / "usage-2.jsonl.zst").write_bytes(zstandard.compress(f"{two}\n".encode()))
    whole = zstandard.compress(f"{three}\n{line({})}\n".encode() * 500)
    (tmp_path / "usage-3.jsonl.zst").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "usage-4.jsonl.gz").write_bytes(gzip.compress(f"{one}\n{two}\n".encode())[:-20])
    status, out, err = command("stats", str(tmp_path), "--by", "gpu_type", "--json")
    found = json.loads(out)

    assert status == 0
    assert found["left_out"]["damaged"] >= 2
    assert {row["gpu_type"]: row["runs"] for row in found["questions"][0]["rows"]}["NVIDIA L4"] == 2
    assert err.count("is torn") == 2


def test_damaged_lines_are_named_and_stop_nothing(command, tmp_path):
    """Torn, glued, of another shape, too deep, no text, and with values of other types: the rest counts."""
    good = [line(machine) for machine in MACHINES]
    bad = [good[0][:200], "123", "[1]", "[" * 100_000, '{"resourceSpans":7}', '{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}', "\0\ud800"]
    text = "\n".join([good[0], *bad, good[1] + good[2], good[3].replace('"otel_usage.report"', '"\x1b[31m"')])
    (tmp_path / "usage.jsonl").write_bytes(text.encode(errors="surrogatepass"))
    status, out, err = command("stats", str(tmp_path), "--by", "gpu_type", "--json")
    found = json.loads(out)

    assert (status, found["reports"], found["left_out"]["damaged"]) == (0, 3, len(bad) + 1)
    assert err.splitlines()[-1] == f"and {len(bad) + 1 - 5} more damaged places"
    assert "\x1b" not in err


HOSTILE = ["<script>alert(1)</script>", "=1+1", "@SUM(A1)", "a\nb", "\x1b[31m", "\u202e", "x" * 5000, "'; DROP TABLE spans; --", "-1", '"', "\\", "é", "\t"]


@pytest.fixture
def hostile(tmp_path):
    """Reports whose GPUs have such names, each twice."""
    lines = [line({"otel_usage.gpu.model": name}) for name in HOSTILE for _ in range(2)]
    (tmp_path / "usage.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_hostile_values_are_counted_exactly_and_shown_safely(command, hostile):
    """On the terminal nothing that steers it; each value is one of its own."""
    counted = rows(command, hostile, "--by", "gpu_type")
    _, out, _ = command("stats", str(hostile), "--by", "gpu_type")
    asked = rows(command, hostile, "--by", "gpu_type", "--where", "gpu_type='; DROP TABLE spans; --")

    assert sorted((row["gpu_type"], row["runs"]) for row in counted) == sorted((name, 2) for name in HOSTILE)
    assert [char for char in out if not char.isprintable() and char != "\n"] == []
    assert [(row["gpu_type"], row["runs"]) for row in asked] == [("'; DROP TABLE spans; --", 2)]


def test_spreadsheets_are_given_no_formulas(command, hostile, tmp_path):
    """A text that begins as a formula does has an apostrophe before it; the counts are all there."""
    status, out, _ = command("stats", str(hostile), "--by", "gpu_type", "--csv", str(tmp_path / "csv"))
    path = tmp_path / "csv" / "gpu_model.csv"
    with path.open(newline="") as file:
        header, *found = csv.reader(file)

    assert (status, out, header) == (0, f"{path}\n", ["gpu_type", "runs", "gpus", "engine_hours"])
    assert [row[0] for row in found if row[0][:1] in ("=", "@", "-", "+", "\t", "\r")] == []
    assert sorted(row[0] for row in found) == sorted(f"'{name}" if name[0] in "=@-\t" else name for name in HOSTILE)


def test_parquet_has_the_same_columns(command, hostile, files, tmp_path):
    """Facts as texts, what is counted as numbers; a file a question, for as many as are asked."""
    command("stats", str(hostile), "--by", "gpu_type", "--parquet", str(tmp_path / "p"))
    command("stats", str(files), "--parquet", str(tmp_path / "all"), "--csv", str(tmp_path / "all"))
    found = duckdb.connect().execute("SELECT * FROM read_parquet($1) ORDER BY gpu_type", [str(tmp_path / "p" / "gpu_model.parquet")])
    columns = [(name, str(type_)) for name, type_, *_ in found.description]

    assert columns == [("gpu_type", "VARCHAR"), ("runs", "BIGINT"), ("gpus", "BIGINT"), ("engine_hours", "DOUBLE")]
    assert sorted(found.fetchall()) == sorted((name, 2, 0, 0.0) for name in HOSTILE)
    assert len(list((tmp_path / "all").glob("*.csv"))) == len(list((tmp_path / "all").glob("*.parquet"))) == 60


def test_local_files_are_counted(command, config):
    """The operator's own: each report once, heartbeats not, with exact values."""
    report = {"uuid": "u1", "log_time": NS["2026-11-16"] * 10**9, "provider": "AWS", "gpu_type": "NVIDIA L4", "gpu_count": 2, "source": "production", "num_cpu": 2}
    lines = [report, report, {**report, "uuid": "u2", "gpu_count": "two"}, {"uuid": "u1", "log_time": 1, "requests": 5}]
    config.mkdir(parents=True)
    (config / "usage_stats.json").write_text("\n".join(map(json.dumps, lines)) + '\n{"uuid": "torn", "log_time": 3, "num')

    status, out, err = command("stats", str(config / "usage_stats.json"), "--by", "provider,gpu_count", "--json")

    assert err.startswith("damaged, in ")
    assert (status, json.loads(out)["questions"][0]["rows"]) == (0, [
        {"provider": "AWS", "gpu_count": 2, "runs": 1, "gpus": 2, "engine_hours": 0},
        {"provider": "AWS", "gpu_count": "(none)", "runs": 1, "gpus": 0, "engine_hours": 0},
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "name the files of a collector, or a ClickHouse by --from"), (["--by", "gpu"], "--by gpu: vllm declares no such fact; the nearest are gpu_type"),
        (["--where", "gpu_type"], "--where gpu_type: write it as KEY=VALUE"), (["--where", "gpu_count=two"], "gpu_count has no such value"),
        (["--where", "enable_lora=maybe"], "enable_lora has no such value"), (["--since", "yesterday"], "write a day as 2026-11-30"), (["--by", ","], "name at least one fact"),
    ],
)  # fmt: skip
def test_misuse_is_said_in_one_line(command, files, asked, said):
    """Exit status 2, with what to do."""
    status, out, err = command("stats", *([str(files)] if asked else []), *asked)

    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert said in err


def test_what_is_not_installed_is_said_in_one_line(command, files, monkeypatch, tmp_path):
    """The extra that has it."""
    for package, arguments in (("duckdb", ["--json"]), ("jinja2", ["--html", str(tmp_path / "page.html")])):
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, package, None)
            status, _, err = command("stats", str(files), *arguments)

        assert (status, err.count("pip install 'otel-usage[insights]'"), len(err.splitlines())) == (1, 1, 1)


def test_nothing_heavy_is_loaded_for_other_commands(run_python):
    """Neither DuckDB nor Jinja2, whose import takes longer than the rest."""
    done = run_python("""
        import sys, contextlib
        sys.argv = ["otel-usage", "status"]
        from otel_usage.cli import main
        with contextlib.suppress(SystemExit):
            main()
        print(sorted(name for name in ("duckdb", "jinja2", "zstandard", "otel_usage.insights") if name in sys.modules))
    """)

    assert done.stdout.splitlines()[-1] == "[]"


def test_people_get_tables_with_bars(command, files):
    """A title, a row a value, the share; the longest bar for the most."""
    _, out, _ = command("stats", str(files), "--by", "gpu_type", "--source", "all")
    rows = [text.split() for text in out.splitlines()]

    assert rows[0] == "vllm: 4 reports, 2026-11-15 to 2027-01-01".split()
    assert ["NVIDIA", "L4", "2", "4", "1.5", "█" * 24, "50", "%"] in rows
    assert ["(none)", "1", "0", "0", "█" * 12, "25", "%"] in rows


def test_nothing_is_left_in_the_temporary_directory(command, files, tmp_path, monkeypatch):
    """The database goes with the command, also where it fails."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    command("stats", str(files), "--json")
    command("stats", str(files), "--csv", str(tmp_path / "csv"), "--parquet", str(tmp_path / "csv"))
    monkeypatch.setattr("otel_usage.insights.statement.overview", lambda *_: "SELECT nothing")

    assert list((tmp_path / "tmp").iterdir()) == []


def test_made_up_data_is_the_same_for_the_same_seed(command, tmp_path):
    """As many reports as asked, all of them synthetic, and so left out unless asked for; no file is written over."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        command("demo-data", "--reports", "300", "--seed", str(seed), "--until", "2026-11-22", "--out", str(tmp_path / name))
    texts = [(tmp_path / name / "usage.jsonl").read_text() for name in "abc"]
    _, out, _ = command("stats", str(tmp_path / "a"), "--json")
    again, _, err = command("demo-data", "--reports", "1", "--out", str(tmp_path / "a"))

    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert (again, err) == (1, f"otel-usage: File exists: {tmp_path / 'a' / 'usage.jsonl'}\n")
    assert (json.loads(out)["reports"], json.loads(out)["left_out"]["sources"]) == (0, {"synthetic": 300})


def test_what_a_version_does_not_report_was_not_asked(tmp_path):
    """Before the version that has a fact first, and from the one that has it no longer; else it is absent."""
    from otel_usage import App, Fact
    from otel_usage.facts.question import Question
    from otel_usage.insights.answer import Wanted, answers
    from otel_usage.insights.load import Reports
    from otel_usage.insights.statement import DUCKDB, Words, needed

    app = App("myengine", facts=[Fact("eager", bool, why="x", since="1.9", deprecated="1.10.1"), Fact("kind", str, why="x", since="1.10")])
    made = [("1.8.5", {}), ("1.9", {}), ("1.10", {"myengine.config.eager": True, "myengine.config.kind": "a"}), ("1.10.1", {}), ("other", {})]
    lines = [line({"service.name": "myengine", "service.version": version, **more}) for version, more in made]
    (tmp_path / "usage.jsonl").write_text("\n".join(lines))
    words = Words(app, DUCKDB)
    with Reports(app, needed(app, ["eager", "kind"], words)) as reports:
        reports.read([str(tmp_path)])
        found = answers(reports.ask, words, [Question("x", "eager"), Question("y", "kind")], Wanted())

    assert [[(row[question.by[0]], row["runs"]) for row in rows] for question, rows in found] == [
        [("(none)", 2), ("(not asked)", 2), (True, 1)], [("(none)", 2), ("(not asked)", 2), ("a", 1)],
    ]  # fmt: skip
