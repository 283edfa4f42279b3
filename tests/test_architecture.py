"""The modules keep their order of imports, and each fact is named once."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from otel_usage.facts import registry
from otel_usage.facts.builtin import HARDWARE, UPTIME

PACKAGE = Path(__file__).parents[1] / "otel_usage"
# Names of the standard library, and those of vLLM that are recorded in its shapes.
ALLOWED = {
    "_thread", "_getframe", "_DummyThread", "_active", "_is_main_interpreter", "_xxsubinterpreters", "_lock", "_is_owned",
    "_initializing",
    "_USAGE_ENV_VARS_TO_COLLECT", "_report_tpu_inference_usage",
}  # fmt: skip
CONTRACTS = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
LAYERS = [{name.strip() for name in layer.split("|")} for one in CONTRACTS if one["type"] == "layers" for layer in one["layers"]]
SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def strings(tree):
    """Return every string of a module."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


STRINGS = {path: strings(tree) for path, tree in SOURCES.items()}


def names(tree):
    """Return every name that a module uses: imports, bare names and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def private_names_of_others(tree):
    """Return the underscored names that a module uses and does not define, without those of its own package."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    looked_up = {part for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr")
                 for part in strings(node.args[1])}  # fmt: skip
    return {name for name in {*names(tree), *looked_up} - own if name.startswith("_") and not name.endswith("__")}


def test_the_map_in_contributing_names_the_layers_in_the_order_of_the_contract():
    """The map begins at the foundation and the contract ends there; layers on one level may have any order."""
    layers = list(reversed(LAYERS))
    rows = re.findall(r"^\| `([\w.]+)/?` \|", (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = [row.removesuffix(".py") for row in rows]
    places = [next((place for place, layer in enumerate(layers) if name in layer), None) for name in named]

    assert set(named) == set().union(*layers)
    assert places == sorted(places)


def test_each_file_and_folder_of_the_package_has_a_layer():
    """There are at most 16 entries, so that a reader takes in the folder at one look."""
    entries = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}

    assert {name.removesuffix(".py") for name in entries} - set().union(*LAYERS) - {"__init__", "__main__", "py.typed"} == set()
    assert len(entries) <= 16


def test_imports_flow_one_way():
    """The import contract of pyproject.toml holds."""
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=PACKAGE.parent,
                          capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_each_attribute_of_the_built_in_table_is_named_in_one_place():
    """The name of each attribute is in the table and in no other module."""
    attributes = {a.name for fact in (*HARDWARE, UPTIME) for a in fact.attributes("x")}
    places = {name: [path.name for path, found in STRINGS.items() if name in found] for name in attributes}

    assert places == {name: ["builtin.py"] for name in attributes}


def test_each_detected_fact_has_one_detector():
    """Each hardware key is in one file of `detect/`, and such a file yields only such keys."""
    files = [path for path in SOURCES if path.parent.name == "detect" and path.name != "__init__.py"]
    keys = {fact.key for fact in HARDWARE if fact.key != "uuid" and not fact.key.startswith("detect_")}
    yielded = {found.value.elts[0].value for path in files for found in ast.walk(SOURCES[path])
               if isinstance(found, ast.Yield) and isinstance(found.value, ast.Tuple) and isinstance(found.value.elts[0], ast.Constant)}  # fmt: skip
    places = {key: [path.name for path in files if key in STRINGS[path]] for key in keys}

    assert {key: found for key, found in places.items() if len(found) != 1} == {}
    assert yielded - keys == set()


def test_only_the_pipeline_makes_a_tracer_and_nobody_a_provider():
    """A provider would leave a hook that runs at every fork of the host."""
    made = {path.name: found for path, tree in SOURCES.items() if (found := {"Tracer", "TracerProvider"}.intersection(names(tree)))}

    assert made == {"pipeline.py": {"Tracer"}}


def test_only_the_command_line_looks_for_installed_apps():
    """A process that reports does not: a package that is installed beside it widens nothing that it sends.

    Nor do the parts that stand alone widen that: the exporter sends nothing, and the sampler learns of a default alone.
    """
    looks = {path.relative_to(PACKAGE).as_posix() for path, tree in SOURCES.items() if {"registry", "entry_points"} & {*names(tree)}}

    assert {place for place in looks if not place.startswith("cli/")} == {
        "facts/registry.py", "standalone/exporter.py", "standalone/sampler.py",
    }  # fmt: skip


def test_nothing_private_of_others_is_used():
    """No underscored name of OpenTelemetry or of another package is used."""
    used = {path.relative_to(PACKAGE).as_posix(): private_names_of_others(tree) - ALLOWED for path, tree in SOURCES.items()}

    assert {path: found for path, found in used.items() if found} == {}


@pytest.mark.parametrize(
    "code",
    [
        "from opentelemetry.sdk.trace import _Span",
        "from opentelemetry.sdk.trace import (\n    Tracer,\n    _Span,\n)",
        "from opentelemetry._logs import Logger",
        "import opentelemetry.sdk._logs",
        "import opentelemetry.sdk\nopentelemetry.sdk.trace._Span()",
        "def end(span):\n    return span._context",
        "def end(span):\n    return getattr(span, '_context')",
    ],
)
def test_a_private_name_is_found_wherever_it_is_used(code):
    """Without this, the test above would prove nothing."""
    assert len(private_names_of_others(ast.parse(code))) == 1


def test_the_installed_app_of_this_package_is_vllm():
    """The core knows no app; the entry point names this one."""
    assert registry.load("vllm").name == "vllm"
