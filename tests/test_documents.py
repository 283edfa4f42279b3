"""The documents agree with the code."""

import json
import re
import subprocess
import sys
from importlib.metadata import requires

import generated
import pages
import pytest

from otel_usage import App, consent
from otel_usage.facts.admission import admit_value
from otel_usage.integrations.vllm import APP as VLLM

ROOT = pages.ROOT
README = pages.read("README.md")
OPT_OUT = pages.read("docs/opt-out.md")
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
         "otel_usage/integrations/README.md", "collector-config/README.md")  # fmt: skip


@pytest.mark.parametrize("page", generated.PAGES, ids=lambda page: page.name)
def test_the_generated_parts_of_a_page_are_those_of_the_table(page):
    """`make docs` writes them; this test fails where they differ."""
    text = page.read_text(encoding="utf-8")

    assert generated.written_again(text) == text


def test_each_generated_part_stands_in_one_page():
    """A part with a misspelt marker would not be written."""
    texts = [page.read_text(encoding="utf-8") for page in generated.PAGES]
    found = {name: sum(text.count(f"<!-- {name}: begin -->\n") * text.count(f"<!-- {name}: end -->\n") for text in texts)
             for name in generated.parts()}  # fmt: skip

    assert found == dict.fromkeys(generated.parts(), 1)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_or_a_heading(page):
    """Only links within the repository count; no page is fetched."""
    links = re.findall(r"\]\(([^)\s]+)\)", pages.read(page))
    here = [link.partition("#") for link in links if "://" not in link]
    targets = [((ROOT / page).parent / path if path else ROOT / page, heading) for path, _, heading in here]
    broken = [str(path) for path, _ in targets if not path.exists()]
    headings = [(path.name, heading) for path, heading in targets if heading and heading not in anchors(path)]

    assert (broken, headings) == ([], [])


def anchors(path):
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_can_be_read_in_a_terminal():
    """The installation comes first, both commands are on the first two screens, and no line needs to be scrolled."""
    lines = README.splitlines()
    commands = [number for number, line in enumerate(lines, 1) if line.startswith(("$ make report", "$ make test"))]

    assert lines[2:5] == ["```console", "$ pip install otel-usage", "```"]
    assert max(commands) < 80
    assert [line for line in lines if len(line) > 300] == []


def test_what_leaves_of_a_published_form_is_what_the_page_says():
    """The values are the examples of docs/facts.md."""
    shown = pages.rows(pages.read("docs/facts.md"), "attribute", "value", "leaves as")
    attributes = App("myengine").attributes

    assert [[name, value, admit_value(attributes[name], value)[0]] for name, value, _ in shown] == shown
    assert len(shown) == 10


def test_the_page_of_opt_outs_has_every_signal_and_no_other():
    """The names are those that `status` shows."""
    shown = {name for name, _, _ in pages.rows(OPT_OUT, "signal", "counts when", "means")}
    signals = [signal.name for environ in ({"HOME": "/home/you"}, {}) for signal in consent.signals("myengine", environ)]
    homeless = [signal.name for signal in consent.signals("myengine", {"HOME": "you", "XDG_CONFIG_HOME": "x"})]
    found = {name.rpartition("/")[2].replace("MYENGINE", "<APP>") for name in signals + homeless}

    assert shown == found | {"config directory"}


def test_the_page_of_opt_outs_has_every_directory_in_its_order():
    """The files of the signals are read in these directories."""
    environ = {"MYENGINE_CONFIG_ROOT": "/root", "XDG_CONFIG_HOME": "/xdg", "HOME": "/home"}
    paths = [signal.name for signal in consent.signals("myengine", environ) if signal.name.endswith("/do_not_track")]
    named = {"/root": "$<APP>_CONFIG_ROOT", "/xdg/myengine": "$XDG_CONFIG_HOME/<app>", "/home/.config/myengine": "$HOME/.config/<app>"}
    found = [path.removesuffix("/do_not_track").replace(consent.SYSTEM_DIRECTORY, "/etc") for path in paths]

    assert [name for name, _ in pages.rows(OPT_OUT, "directory", "for")] == [
        named.get(path, path.replace("myengine", "<app>")) for path in found
    ]


def test_the_page_of_opt_outs_has_every_file_that_is_made(run_python, receiver, home):
    """The files and modes are those after a report that is not accepted, a forked child, two rotations and `off`."""
    shown = [name for cell, _ in pages.rows(OPT_OUT, "file", "what") for name in cell.split("`, `")]
    folder = home / ".config" / "vllm"
    folder.mkdir(parents=True, mode=0o700)
    for name in ("usage_stats.json", "usage_deliveries.json"):
        (folder / name).write_text("x" * 2**21 + "\n")
    receiver.reply = (503, {}, b"")
    done = run_python(f"""
        import logging, os, time
        from otel_usage import UsageReporter
        logging.basicConfig(level="INFO", filename=os.devnull)  # the notice counts where a log shows it
        usage = UsageReporter("vllm", endpoint="{receiver.url}")
        if os.fork() == 0:
            usage.report()
            usage.flush(10)
            os._exit(0)
        os.wait()
    """)
    (folder / "usage_outbox").rename(folder / "kept")
    off = pages.run("otel-usage --app vllm off", home)
    (folder / "kept").rename(folder / "usage_outbox")
    found = {re.sub(r"\d+\.\d+", "<pid>.<start>", path.name) + "/" * path.is_dir(): oct(path.stat().st_mode & 0o777)
             for path in folder.iterdir()}  # fmt: skip

    assert (done.returncode, done.stderr, off[0]) == (0, "", 0)
    assert found == {name: "0o700" if name.endswith("/") else "0o600" for name in shown}


@pytest.mark.parametrize("command", ["off", "on", "verify-off"])
def test_what_the_page_of_opt_outs_shows_is_printed(home, command):
    """The output is the same word for word, in an empty home and after `off`; `...` stands for any text."""
    if command == "on":
        pages.run("otel-usage --app vllm off", home)
    for line, shown in pages.session(OPT_OUT, f"otel-usage --app vllm {command}"):
        status, printed = pages.run(line, home)

        assert (status, printed) == (0, pages.expected(shown, printed))


def test_the_line_that_vllms_endpoint_is_named_by_is_its_own():
    """It is in the table of requests and destinations."""
    shown = pages.rows(OPT_OUT, "app", "endpoint", "what is posted there")

    assert [(app, endpoint, re.findall('wire="(.+)"', what)) for app, endpoint, what in shown] == [(VLLM.name, VLLM.endpoint, [VLLM.wire])]


def test_every_dependency_is_explained():
    """The table of the README names the dependencies of the package and no others."""
    asked = {re.match(r"[\w-]+", dependency)[0] for dependency in requires("otel-usage") if "extra ==" not in dependency}
    section = README.partition("## Dependencies")[2]

    assert set(re.findall(r"`([\w-]+)`", section.partition("None is loaded")[0])) == asked


def test_the_figures_of_the_readme_are_those_that_were_measured():
    """The page of the integrations says how they were measured; the number of vLLM's facts is the declared one."""
    columns = ("one report", "vLLM's own reporter", "otel_usage")
    measured = pages.rows(pages.read("otel_usage/integrations/README.md"), *columns)

    assert len(measured) == 3
    assert pages.rows(README, *columns) == measured
    assert f"the same {len(VLLM.report_keys)} facts" in " ".join(README.split())


def test_every_command_is_in_the_help():
    """The help of each command has an example."""
    from otel_usage.cli import cli

    examples = {name: "Example:" in (command.help or "") for name, command in cli.commands.items()}

    assert examples == dict.fromkeys(
        ["report", "preview", "status", "apps", "show", "facts", "on", "local", "off", "verify-off", "forget", "collector", "stats", "demo-data"], True
    )


def test_the_first_snippet_of_the_readme_runs(home):
    """It runs as an adopter would paste it: a script that ends at once also reports its hardware."""
    code = pages.blocks(README, "python")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
                          env={"HOME": str(home), "OTEL_USAGE_EXPORTER": "none"})  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    line = json.loads((home / ".config/myengine/usage_stats.json").read_text())

    assert (line["quantization"], line["context"]) == ("awq", "API_SERVER")
    assert line["num_cpu"] is not None


def test_every_setting_of_the_collector_is_in_its_page():
    """The page names no setting that does not exist."""
    folder = ROOT / "collector-config"
    read = {name for path in folder.glob("*.yaml") for name in re.findall(r"\$\{env:(\w+)", path.read_text(encoding="utf-8"))}
    table = (folder / "README.md").read_text(encoding="utf-8").partition("## Settings")[2].partition("## What")[0]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", table))
    of_jaeger = {name for name in read if name.startswith("JAEGER") and name != "JAEGER_OTLP"}

    assert named == read - of_jaeger


def test_the_lines_for_sglang_run():
    """They run in place of SGLang's copy of the reporter."""
    from types import SimpleNamespace

    from otel_usage.testing import capture

    page = (ROOT / "otel_usage" / "integrations" / "README.md").read_text(encoding="utf-8")
    lines = {}
    exec(page.rpartition("```python\n")[2].partition("```")[0], lines)
    with capture("sglang") as reports:
        lines["report_usage_stats"](SimpleNamespace(mem_fraction_static=0.88), "LlamaForCausalLM",
                                    SimpleNamespace(value="API_SERVER"))  # fmt: skip

    keys = ("model_architecture", "mem_fraction_static", "context")
    assert [[report[key] for key in keys] for report in reports] == [["LlamaForCausalLM", 0.88, "API_SERVER"]]
