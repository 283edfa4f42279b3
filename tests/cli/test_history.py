"""`show` reads the local history, `forget` deletes it."""

import json
import time

import pytest


def line(number, **more):
    """Return a line of the file."""
    return json.dumps({"uuid": f"u{number}", "num_cpu": 2, "cpu_type": "AMD EPYC", "total_memory": 2**34, "gpu_count": 2,
                       "gpu_type": "NVIDIA L4", "vllm_version": "0.32.0", "context": "LLM_CLASS", "log_time": number * 10**9,
                       "dtype": "torch.float16", "enable_lora": False, **more}) + "\n"  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """A time of day that is not UTC's."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def history(config):
    """A rotated history, with a torn line, a line twice, a heartbeat and a line that is no report."""
    config.mkdir(parents=True)
    (config / "usage_stats.json.1").write_text(line(1) + line(2))
    (config / "usage_stats.json").write_text(
        line(3) + '{"torn": \n' + line(3) + "7\n" + json.dumps({"uuid": "u3", "log_time": 4 * 10**9}) + "\n" + line(5, dtype="\x1b[31m")
    )
    return config


@pytest.mark.usefixtures("history")
def test_each_report_is_shown_once_oldest_first(command):
    """The rotated file first; a torn line is passed over, what was written twice counts once."""
    status, out, _ = command("show", "--json")

    assert (status, [(entry["uuid"], entry["log_time"] // 10**9) for entry in json.loads(out)]) == (
        0, [("u1", 1), ("u2", 2), ("u3", 3), ("u3", 4), ("u5", 5)],
    )  # fmt: skip


@pytest.mark.usefixtures("history")
def test_the_newest_few_can_be_asked_for(command):
    """By -n."""
    _, out, _ = command("show", "-n", "2", "--json")

    assert [entry["uuid"] for entry in json.loads(out)] == ["u3", "u5"]


def test_people_get_a_table(command, history):
    """When, in which context, on which machine; what was declared and is known stands together."""
    before = {path: path.read_bytes() for path in history.iterdir()}
    status, out, _ = command("show", "-n", "3")

    assert (status, out.splitlines()[0].strip()) == (0, str(history / "usage_stats.json"))
    assert cells(out) == [
        ["1970-01-01 00:00:03Z", "2 x AMD EPYC, 16 GiB", "dtype=torch.float16, enable_lora=False"],
        ["LLM_CLASS, 0.32.0", "2 x NVIDIA L4", ""],
        ["1970-01-01 00:00:04Z", "", ""],
        ["heartbeat", "", ""],
        ["1970-01-01 00:00:05Z", "2 x AMD EPYC, 16 GiB", "dtype=\\x1b[31m, enable_lora=False"],
        ["LLM_CLASS, 0.32.0", "2 x NVIDIA L4", ""],
    ]
    assert {path: path.read_bytes() for path in history.iterdir()} == before


def cells(out):
    """Return the cells of each line of a table."""
    return [[cell.strip() for cell in text.split("│")[1:-1]] for text in out.splitlines() if text.startswith("│")]


def test_a_line_that_others_have_written_stops_nothing(command, config):
    """Numbers beyond any clock and any memory, and what is no number."""
    config.mkdir(parents=True)
    huge = 10**400
    entries = [{"uuid": ["u"], "log_time": huge, "num_cpu": 2, "total_memory": huge}, {"log_time": "x"}, {"log_time": 1e300}]
    (config / "usage_stats.json").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + '{"log_time": 1e400}\n')
    status, out, err = command("show")

    assert (status, err, [row[0] for row in cells(out) if row[0]]) == (0, "", ["heartbeat"] * 4)


@pytest.mark.parametrize("content", [b"[" * 60_000, b'{"a":' * 100_000, b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", b"9" * 5_000, b"\xff\x00", b'{"log_time": ' + b"9" * 5_000 + b"}"],
                         ids=lambda content: repr(content[:9]))  # fmt: skip
@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["status"], ["status", "--json"]], ids=" ".join)
def test_no_line_makes_a_traceback(command, config, content, arguments):
    """Neither of the history nor of the ledger: it is passed over, and what is whole is shown."""
    config.mkdir(parents=True)
    for name in ("usage_stats.json", "usage_deliveries.json"):
        (config / name).write_bytes(content + b"\n" + json.dumps({"uuid": "u1", "time": "now", "log_time": 10**9}).encode() + b"\n" + content)
    status, out, err = command(*arguments)

    assert (status, err) == (0, "")
    assert ("1970-01-01 00:00:01Z" if arguments == ["show"] else "u1" if "show" in arguments else "now") in out


def test_what_is_nested_or_no_number_is_left_out(command, config):
    """No line of ours holds such, and programs that read it expect JSON."""
    config.mkdir(parents=True)
    (config / "usage_stats.json").write_text('{"uuid": "u1", "nested": {"a": [1]}, "list": [1], "nan": NaN, "infinite": 1e400, "none": null}\n')

    assert json.loads(command("show", "--json")[1]) == [{"uuid": "u1", "none": None}]


def test_the_name_of_the_file_can_not_steer_a_terminal(command, tmp_path, monkeypatch):
    """Its control characters are escaped, in a table and in an empty one."""
    place = tmp_path / "\x1b[31m"
    monkeypatch.setenv("VLLM_CONFIG_ROOT", str(place))
    empty = command("show")[1]
    place.mkdir()
    (place / "usage_stats.json").write_text(line(1))
    shown = command("show")[1]

    assert [out for out in (empty, shown) if "\x1b" in out] == []
    assert [out for out in (empty, shown) if "\\x1b[31m/usage_stats.json" not in out] == []


def test_an_empty_history_is_said_to_be_so(command, config):
    """With the file that would hold it."""
    assert command("show") == (0, f"Nothing is recorded in {config}/usage_stats.json.\n", "")
    assert command("show", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_a_count_that_makes_no_sense_is_refused(command, count):
    """In one line, with exit status 2."""
    status, out, err = command("show", "-n", count)

    assert (status, out, err.count("\n")) == (2, "", 1)


def test_forget_deletes_the_history_the_ledger_and_what_waits(shell, config):
    """And says what is gone; a second time there is nothing."""
    shell("report", VLLM_USAGE_STATS_SERVER="http://127.0.0.1:9")
    (config / "usage_stats.json.1").touch()
    (config / "usage_mode").write_text("local")
    (waiting,) = (path.name for path in (config / "usage_outbox").iterdir())
    status, out, _ = shell("forget")
    again = shell("forget")

    assert (status, out.splitlines()) == (0, [
        f"deleted {config}/{name}"
        for name in ("usage_stats.json", "usage_stats.json.1", "usage_deliveries.json", f"usage_outbox/{waiting}")
    ])  # fmt: skip
    assert again == (0, "There was nothing to delete.\n", "")
    assert sorted(path.name for path in config.iterdir()) == ["usage_mode", "usage_outbox"]


def test_what_can_not_be_deleted_is_named(command, config):
    """In one line."""
    (config / "usage_stats.json").mkdir(parents=True)
    status, out, err = command("forget")

    assert (status, out, err) == (1, "", f"otel-usage: can't delete {config}/usage_stats.json: Is a directory\n")
