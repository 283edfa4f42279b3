"""Everything that docs/adopting.md shows runs as it stands there."""

import inspect
import json
import re
import sys

import pages
import pytest

from otel_usage import App, Fact, UsageReporter

PAGE = pages.read("docs/adopting.md")
ENDPOINT = "https://stats.example.org"


@pytest.fixture
def project(tmp_path, receiver, monkeypatch):
    """The files of the page, with myengine installed like a package; reports go to a receiver on this machine."""
    folder = tmp_path / "project"
    info = folder / "myengine-1.2.0.dist-info"
    info.mkdir(parents=True)
    pages.write_files(PAGE, folder)
    group, line = re.search(r'^\[project\.entry-points\."(.+)"\]\n(.+)$', (folder / "pyproject.toml").read_text(), re.MULTILINE).groups()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: myengine\nVersion: 1.2.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    for app in ("MYENGINE", "MYTOOL", "MYLIB"):
        monkeypatch.setenv(f"{app}_USAGE_STATS_SERVER", receiver.url)
    return folder


def reports(lines, app, *keys):
    """Return these values of each report in the file of an app, without heartbeats."""
    return [tuple(line[key] for key in keys) for line in lines(app) if "context" in line]


def test_every_block_of_python_is_a_file_that_a_test_here_runs(project):
    """No test would run a block without a path in its first line."""
    paths = [block.partition("\n")[0].removeprefix("# ") for block in pages.blocks(PAGE, "python")]

    assert sorted(paths) == [
        "again.py", "bigapp.py", "launch.py", "myengine/serve.py", "myengine/start.py", "myengine/usage.py",
        "mylib/__init__.py", "mytool/__main__.py", "noticed.py", "pipeline.py", "spans.py", "switches.py", "tests/test_usage.py",
    ]  # fmt: skip


def test_the_command_line_knows_the_app(project):
    """The entry point of the page makes it known."""
    shown = pages.session(PAGE, "otel-usage --app myengine facts")
    printed = [pages.run(command, project) for command, _ in shown]
    told = ["quantization" in "\n".join(out) for _, out in printed[:2]]

    assert [status for status, _ in printed] == [0, 0, 0]
    assert told == [True, True]
    assert printed[2][1][0] == "myengine reports are on, by default."


def test_the_tests_of_the_page_pass(project):
    """They run under the real pytest, without a file and the network."""
    status, printed = pages.run(f"{sys.executable} -m pytest -q -p no:cacheprovider -p no:randomly tests", project)

    assert (status, re.sub(r" in .*", "", printed[-1])) == (0, "2 passed")


def test_a_server_with_workers_is_one_report(project, lines):
    """The workers run the same code; the last heartbeat has what they served."""
    # Sent nowhere: the endpoint of the page is not on this machine.
    done = pages.run("python -m myengine.serve", project, OTEL_USAGE_EXPORTER="none")
    heartbeats = [line["requests"] for line in lines("myengine") if "context" not in line]

    assert done == (0, ())
    assert reports(lines, "myengine", "context", "quantization", "max_batch") == [("API_SERVER", "awq", 64)]
    assert heartbeats == [1201]


def test_a_short_lived_tool_reports_each_run_and_a_later_run_delivers(project, lines, receiver, home):
    """Each report has the hardware, and all arrive in the order of the runs once the server answers again."""
    takes, receiver.reply = receiver.reply, (503, {}, b"")
    runs = [pages.run("python -m mytool build", project), pages.run("python -m mytool check", project)]
    waiting = len(list((home / ".config/mytool/usage_outbox").glob("*.json")))
    receiver.reply = takes
    receiver.received.clear()
    runs.append(pages.run("python -m mytool upgrade", project))
    written = reports(lines, "mytool", "command", "uuid")
    taken = {resource["service.instance.id"] for one in receiver.received for resource, _, _ in one.spans}
    left = list((home / ".config/mytool/usage_outbox").glob("*.json"))

    assert runs == [(0, ("build is done",)), (0, ("check is done",)), (0, ("upgrade is done",))]
    assert [command for command, _ in written] == ["build", "check", "upgrade"]
    assert (waiting, left) == (2, [])
    assert taken == {uuid for _, uuid in written}
    assert [cpus for (cpus,) in reports(lines, "mytool", "num_cpu") if cpus is None] == []


def test_an_embedder_turns_the_library_off(project, lines, home):
    """Without the embedder the same library reports, though the first run sends nothing."""
    embedded = pages.run("python bigapp.py", project)
    off = reports(lines, "mylib", "context")
    alone = pages.run("""python -c 'import mylib; print(mylib.transform([1, 2], "cuda")); mylib._usage.close()'""", project)
    by_variable = pages.run("python -c 'import mylib; print(mylib.transform([1, 2]))'", project, OTEL_USAGE_SUPPRESSED_MYLIB="bigapp")

    assert embedded == alone == by_variable == (0, ("[2, 4]",))
    assert off == []
    assert reports(lines, "mylib", "context", "backend") == [("LIBRARY", "cuda")]


def test_a_launcher_hands_the_mark_to_its_workers(project, lines):
    """The worker has nothing else in its environment."""
    done = pages.run("python launch.py", project)

    assert done == (0, ())
    assert reports(lines, "myengine", "quantization") == [("awq",)]


@pytest.mark.parametrize("first", ["python switches.py", "OTEL_USAGE_EXPORTER=none python again.py", "python noticed.py"])
def test_what_the_page_says_is_printed(project, receiver, first):
    """The output is the same word for word; `...` stands for any text."""
    for command, shown in pages.session(PAGE, first):
        _, printed = pages.run(command, project)
        printed = tuple(line.replace(receiver.url, ENDPOINT) for line in printed)

        assert printed == pages.expected(shown, printed)


def test_before_send_the_run_that_gives_the_notice_sends_nothing(project, receiver, lines):
    """The next run sends."""
    pages.run("python noticed.py", project)
    first = len(receiver.received)
    pages.run("python noticed.py", project)

    assert (first, len(receiver.received), len(lines("myengine"))) == (0, 1, 2)


def test_the_parts_by_their_entry_points_write_the_local_file(project, lines):
    """The line has the hardware from the detector; when off, no line is written."""
    (command, _), = pages.session(PAGE, "OTEL_SERVICE_NAME=myengine")
    off, on = pages.run(command, project, MYENGINE_DO_NOT_TRACK="1"), pages.run(command, project)

    assert (off, on) == ((0, ()), (0, ()))
    assert reports(lines, "myengine", "context") == [("API_SERVER",)]
    assert reports(lines, "myengine", "num_cpu") != [(None,)]


def test_the_parts_by_hand_write_the_local_file(project, lines):
    """The line has the declared fact of the resource and the hardware from the detector."""
    done = pages.run("python pipeline.py", project)

    assert done == (0, ())
    assert reports(lines, "myengine", "context", "quantization") == [("API_SERVER", "awq")]
    assert reports(lines, "myengine", "num_cpu") != [(None,)]


def test_each_parameter_of_a_fact_does_to_a_value_what_the_page_says(receiver, lines):
    """This holds in the file, and over OTLP at a real receiver."""
    table = pages.rows(PAGE, "declared", "given", "in the file", "over OTLP")
    facts = [eval(declared, {"Fact": Fact, "WHY": "to test the page"}) for declared, *_ in table]
    values = {fact.key: [json.loads(json.dumps(eval(cell))) for cell in cells] for fact, (_, *cells) in zip(facts, table, strict=True)}
    with UsageReporter("myengine", endpoint=receiver.url, facts=facts, heartbeat=0) as usage:
        usage.report({key: given for key, (given, _, _) in values.items()}, context="LIBRARY")
        sent = usage.flush(10)
    resource, _, _ = receiver.received[0].spans[0]
    names = {fact.key: fact.attribute or f"myengine.config.{fact.key}" for fact in facts}
    found = {key: [given, lines()[0][key], resource.get(names[key])] for key, (given, _, _) in values.items()}

    assert sent is True
    assert len(values) == len(table) == 12
    assert found == values


@pytest.mark.parametrize("part", [App, Fact, UsageReporter])
def test_every_parameter_is_on_the_page(part):
    """It is in the section of its class."""
    section = PAGE.partition(f"\n## `{part.__name__}`\n")[2].partition("\n## ")[0]
    parameters = [name for name in inspect.signature(part).parameters if name != "app"]
    missing = [name for name in parameters if f"`{name}`" not in section and f"`{name}=" not in section]
    explained_with_app = {name for name in inspect.signature(App).parameters if part is UsageReporter}

    assert [name for name in missing if name not in explained_with_app] == []
