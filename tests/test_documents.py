"""The documents say what is so."""

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import generated

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_generated_parts_of_the_readme_are_those_of_the_table():
    """`make docs` writes them; this fails when they drift."""
    assert generated.written_again(README) == README


def test_every_dependency_is_explained():
    """The README's table names just what the package asks for."""
    asked = {re.match(r"[\w-]+", dependency)[0] for dependency in requires("otel-usage") if "extra ==" not in dependency}
    section = README.partition("## Dependencies")[2]

    assert set(re.findall(r"`([\w-]+)`", section.partition("None is loaded")[0])) == asked


def test_every_command_is_in_the_help():
    """And each command's help has an example."""
    from otel_usage.cli import cli

    examples = {name: "Example:" in (command.help or "") for name, command in cli.commands.items()}

    assert examples == dict.fromkeys(
        ["report", "preview", "status", "show", "facts", "on", "local", "off", "verify-off", "forget", "collector"], True
    )


def test_the_six_lines_of_the_readme_run(run_python, home):
    """As an adopter would paste them."""
    code = README.partition("```python\n")[2].partition("```")[0] + "usage.close()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
                          env={"HOME": str(home), "OTEL_USAGE_EXPORTER": "none"})  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert '"quantization": "awq"' in (home / ".config/myengine/usage_stats.json").read_text()


def test_every_setting_of_the_collector_is_in_its_page():
    """And the page names none that there is not."""
    folder = ROOT / "collector-config"
    read = {name for path in folder.glob("*.yaml") for name in re.findall(r"\$\{env:(\w+)", path.read_text(encoding="utf-8"))}
    table = (folder / "README.md").read_text(encoding="utf-8").partition("## Settings")[2].partition("## What")[0]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", table))
    of_jaeger = {name for name in read if name.startswith("JAEGER") and name != "JAEGER_OTLP"}

    assert named == read - of_jaeger


def test_the_lines_for_sglang_run():
    """As they would stand in place of its copy of the reporter."""
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
