"""`otel-usage collector` writes what a collector needs for the apps that are installed."""

from generated import REPOSITORY, collector_files


def test_collector_writes_the_committed_files_for_vllm(command, tmp_path):
    """They are its output, byte for byte; each is named."""
    status, output, _ = command("collector", "--out", str(tmp_path / "made"))

    written = {path.relative_to(tmp_path / "made"): path.read_text() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    committed = {path.relative_to(REPOSITORY / "collector-config"): text for path, text in collector_files().items()}
    assert written == committed
    assert (status, sorted(output.splitlines())) == (0, sorted(str(tmp_path / "made" / path) for path in committed))


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
