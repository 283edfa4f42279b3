"""Figures of the real vLLM with the plugin and with its own reporter, in turn, in fresh processes: `make bench-vllm`.

Nothing here passes or fails: machines differ.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHON = Path(__file__).parents[2] / ".cache" / "vllm" / "bin" / "python"
SCRIPTS = Path(__file__).parents[1] / "vllm" / "scripts"
SUPPORT = Path(__file__).parents[1] / "support"
REPORTS, STARTS = 5, 4
WITHOUT = {"VLLM_PLUGINS": "lora_filesystem_resolver,lora_hf_hub_resolver"}  # vLLM's own variables, which stay
REPORT = """
import json, os, resource, sys, time
from pathlib import Path
from vllm.engine.arg_utils import EngineArgs
from vllm.usage.usage_lib import UsageContext
from vllm.v1.executor.abstract import Executor
from vllm.v1.executor import multiproc_executor
from vllm.v1.utils import report_usage_stats
def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
config = EngineArgs(**json.loads(sys.argv[1])).create_engine_config(UsageContext.LLM_CLASS)
file = Path.home() / ".config" / "vllm" / "usage_stats.json"
begun, used = time.perf_counter(), cpu()
if "VLLM_PLUGINS" in os.environ:
    report_usage_stats(config, UsageContext.LLM_CLASS)
else:
    Executor.get_class(config)
called = time.perf_counter()
while not (file.exists() and file.read_text().endswith("}\\n")):
    time.sleep(0.002)
written = time.perf_counter()
time.sleep(3)
print("\\n" + json.dumps([(called - begun) * 1e3, (written - begun) * 1e3, (cpu() - used) * 1e3]), flush=True)
"""


def run(model: Path, url: str, *command: str, **variables: str) -> str:
    """Run a process in a home of its own, and return the last line that it prints."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [str(PYTHON), *command], capture_output=True, text=True, check=True,
            env={"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(SCRIPTS), "HF_HUB_OFFLINE": "1",
                 "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_STREAM": "ext://sys.stderr",
                 "VLLM_USAGE_STATS_SERVER": url, **variables},
        )  # fmt: skip
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Print one line for each figure: its median with the plugin, its median without, and the difference of each pair."""
    sys.path.insert(0, str(SUPPORT))
    from real_vllm import MODEL, SETTINGS
    from receiver import HttpReceiver

    server = HttpReceiver()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        (model / "config.json").write_text(json.dumps(MODEL))
        settings = json.dumps({"model": folder, **SETTINGS})

        def reported(**variables: str) -> list[float]:
            return json.loads(run(model, server.url, "-c", REPORT, settings, **variables))

        def started(**variables: str) -> list[float]:
            before = used()
            result = json.loads(run(model, server.url, str(SCRIPTS / "engine.py"), settings, "", **variables))
            return [result["import_s"], result["start_s"], used() - before]

        reports = [(reported(), reported(**WITHOUT)) for _ in range(REPORTS)]
        for index, name in enumerate(["the call, ms", "call to line, ms", "processor, ms"]):
            show(f"one report: {name}", [(ours[index], own[index]) for ours, own in reports])
        order = [(started(), started(**WITHOUT)) if turn % 2 else (started(**WITHOUT), started())[::-1] for turn in range(STARTS)]
        for index, name in enumerate(["import, s", "LLM(...), s", "processor, s"]):
            show(f"an engine: {name}", [(ours[index], own[index]) for ours, own in order])
    server.close()


def used() -> float:
    """Return the processor time in seconds of all children that have ended, and of their children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(name: str, pairs: list[tuple[float, float]]) -> None:
    """Print a figure."""
    ours, own = (statistics.median(column) for column in zip(*pairs, strict=True))
    each = " ".join(f"{one:.2f}/{other:.2f}" for one, other in pairs)
    print(f"{name:28} {ours:9.2f} with the plugin {own:9.2f} without   {ours / own:5.2f} x   pairs: {each}", flush=True)


if __name__ == "__main__":
    main()
