"""`otel-usage collector` writes what a collector needs for the apps that are installed."""

import json
from pathlib import Path

import pytest
from generated import REPOSITORY, collector_files


def test_collector_writes_the_committed_files_for_vllm(command, tmp_path):
    """They are its output, byte for byte; each is named."""
    status, output, errors = command("collector", "--out", str(tmp_path / "made"))

    written = {path.relative_to(tmp_path / "made"): path.read_text() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    committed = {path.relative_to(REPOSITORY / "collector-config"): text for path, text in collector_files().items()}
    assert written == committed
    assert (status, sorted(output.splitlines())) == (0, sorted(str(tmp_path / "made" / path) for path in committed))
    assert errors.partition("\nnext:\n")[2].splitlines()[:2] == [
        f"  docker compose -f {tmp_path}/made/compose.yaml up -d",
        "  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 otel-usage --app vllm report",
    ]


def test_collector_writes_all_that_runs(command, tmp_path):
    """Every file of collector-config/ but its page; scripts can be run."""
    command("collector", "--out", str(tmp_path / "made"))
    here = REPOSITORY / "collector-config"
    written = {path.relative_to(tmp_path / "made") for path in (tmp_path / "made").rglob("*") if path.is_file()}
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "made").glob("*.sh")}

    assert {path.relative_to(here) for path in here.rglob("*") if path.is_file()} - written == {Path("README.md")}
    assert modes == {"start.sh": "0o755", "retention.sh": "0o755"}


DROPPED = 'otelcol_processor_filter_spans_filtered{filter="filter/known"}'


@pytest.mark.usefixtures("made_up_app")
def test_collector_says_which_apps_are_taken_and_what_counts_the_rest(command, tmp_path):
    """A gateway answers 200 for an app that it does not take, so no client can know."""
    words = ("collector", "--app", "vllm", "--app", "myengine", "--out", str(tmp_path))
    _, output, errors = command(*words)
    _, for_programs, nothing = command(*words, "--json")

    assert errors.partition("\nnext:\n")[0] == (
        "A gateway with these takes the reports of vllm, myengine; any other app's are answered 200 and dropped, "
        f"and counted as {DROPPED}.\n"
    )
    assert (json.loads(for_programs), nothing) == (
        {"apps": ["vllm", "myengine"], "files": output.splitlines(), "dropped": DROPPED}, "",
    )  # fmt: skip
    assert "OTEL_USAGE_APPS:-vllm,myengine}" in (tmp_path / "gateway.yaml").read_text()


def test_the_page_of_the_collector_says_so_too():
    """Which apps a gateway takes, and how to see what was dropped."""
    page = (REPOSITORY / "collector-config" / "README.md").read_text()

    assert [word for word in ("## Which apps are taken", "`OTEL_USAGE_APPS`", DROPPED) if word not in page] == []


def test_collector_leaves_what_else_is_in_the_directory(command, tmp_path):
    """Only what has the same name is replaced."""
    (tmp_path / "gateway.yaml").write_text("old")
    (tmp_path / "notes").write_text("mine")

    command("collector", "--out", str(tmp_path))

    assert (tmp_path / "notes").read_text() == "mine"
    assert (tmp_path / "gateway.yaml").read_text() != "old"


def test_collector_names_the_known_apps_where_one_is_unknown(command, tmp_path):
    """One line, and nothing is written."""
    ran = command("collector", "--app", "vllm", "--app", "nope", "--out", str(tmp_path / "made"))

    error = "otel-usage: no app 'nope' is installed; the known ones are: vllm (see otel-usage collector --help)\n"
    assert ran == (2, "", error)
    assert not (tmp_path / "made").exists()
