"""Records what otel_usage counts on in a release of vLLM, from its wheel: `python record_vllm.py WHEEL...`.

Nothing is imported or installed, so that the builds for GPUs can be read on any machine. Names only are kept. A wheel is
had by `pip download --no-deps vllm==0.33.0`, for example.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path

SHAPES = Path(__file__).parents[1] / "integrations" / "shapes"
USAGE, UTILS = "vllm/usage/usage_lib.py", "vllm/v1/utils.py"
FUNCTIONS = {
    "report_usage": USAGE,
    "set_runtime_usage_data": USAGE,
    "create_engine_config": "vllm/engine/arg_utils.py",
    "get_class": "vllm/v1/executor/abstract.py",
    "report_usage_stats": UTILS,
    **dict.fromkeys(("is_cuda", "is_rocm", "is_tpu", "is_xpu", "get_device_name", "get_device_total_memory"),
                    "vllm/platforms/interface.py"),
}  # fmt: skip


def named(tree: ast.AST, name: str) -> ast.AST:
    """Return the one class or function of that name."""
    (found,) = (node for node in ast.walk(tree) if getattr(node, "name", None) == name)
    return found


def attributes(tree: ast.AST) -> list[str]:
    """Return the attributes that a message has from the start, in the order in which they are set."""
    made = named(named(tree, "UsageMessage"), "__init__")
    targets = [node.targets[0] if isinstance(node, ast.Assign) else node.target for node in made.body
               if isinstance(node, (ast.Assign, ast.AnnAssign))]  # fmt: skip
    return [target.attr for target in targets]


def facts(tree: ast.AST) -> list[str]:
    """Return the keys of the configuration's facts."""
    (given,) = (keyword.value for node in ast.walk(named(tree, "report_usage_stats")) if isinstance(node, ast.Call)
                for keyword in node.keywords if keyword.arg == "extra_kvs")  # fmt: skip
    return [key.value for key in given.keys]


def variables(tree: ast.AST) -> list[str]:
    """Return the environment variables that are reported."""
    (value,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
                and getattr(node.targets[0], "id", "") == "_USAGE_ENV_VARS_TO_COLLECT")  # fmt: skip
    return ast.literal_eval(value)


def shape(wheel: Path) -> dict[str, object]:
    """Return what is kept of a release."""
    with zipfile.ZipFile(wheel) as files:
        sources = {name: files.read(name).decode() for name in files.namelist() if name.endswith(".py")}
    trees = {path: ast.parse(sources[path]) for path in {UTILS, *FUNCTIONS.values()}}
    callers = [path for path, text in sources.items() if re.search(r"^\s+report_usage_stats\(", text, re.MULTILINE)]
    return {
        "version": wheel.name.split("-")[1],
        "message": attributes(trees[USAGE]),
        "facts": facts(trees[UTILS]),
        "variables": variables(trees[USAGE]),
        "contexts": [node.targets[0].id for node in named(trees[USAGE], "UsageContext").body if isinstance(node, ast.Assign)],
        "server": re.search(r'"VLLM_USAGE_STATS_SERVER", "([^"]+)"', sources["vllm/envs.py"])[1],
        "functions": {name: [argument.arg for argument in named(trees[path], name).args.args]
                      for name, path in FUNCTIONS.items()},
        "callers": callers,
    }  # fmt: skip


if __name__ == "__main__":
    for wheel in map(Path, sys.argv[1:]):
        recorded = shape(wheel)
        (SHAPES / f"{recorded['version']}.json").write_text(json.dumps(recorded, indent=1) + "\n")
