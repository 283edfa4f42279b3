"""Everything that is generated from the fact table: parts of pages and files of collector-config/. As a script it writes them."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

from otel_usage.cli.table import FEW, as_markdown
from otel_usage.collector import generated
from otel_usage.facts import registry
from otel_usage.facts.report import Report

REPOSITORY = Path(__file__).parents[2]
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "facts.md")
WIDTH = 118
# The keys of the example that README shows; docs/facts.md has all of them.
TEN = ("provider", "num_cpu", "total_memory", "gpu_count", "gpu_type", "gpu_memory_per_device", "model_architecture",
       "vllm_version", "dtype", "tensor_parallel_size")  # fmt: skip
EXAMPLE = {
    "uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "provider": "GCP", "num_cpu": 24,
    "cpu_type": "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu_family_model_stepping": "6,85,7", "total_memory": 101261135872,
    "architecture": "x86_64", "platform": "Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35", "cuda_runtime": "12.8",
    "gpu_count": 2, "gpu_type": "NVIDIA L4", "gpu_memory_per_device": 23580639232, "model_architecture": "OPTForCausalLM",
    "vllm_version": "0.32.0", "context": "LLM_CLASS", "log_time": 1795489108384242176, "source": "production",
    "dtype": "torch.float16", "tensor_parallel_size": 2,
}  # fmt: skip


def parts() -> dict[str, str]:
    """Return the text of each generated part, by its name."""
    app = registry.load("vllm")
    report = json.loads(Report(app, EXAMPLE).line)
    return {
        "ten keys": as_json({key: report[key] for key in report if key in TEN}),
        "report": as_json(report),
        "built-in facts": table(app, declared=False),
        "facts of vLLM": table(app, declared=True),
        "closed sets": closed_sets(app),
    }


def as_json(values) -> str:
    """Return an object as a block of JSON, one key in each line."""
    return f"```json\n{json.dumps(values, indent=2)}\n```"


def table(app, *, declared: bool) -> str:
    """Return the table of the facts that an app declares, or of those that are built in."""
    head, rule, *rows = as_markdown(app).splitlines()
    picked = [row for fact, row in zip(app.facts_by_key.values(), rows, strict=True) if (fact in app.facts) is declared]
    return "\n".join([head.replace("allowed", "what may leave over OTLP"), rule, *picked])


def closed_sets(app) -> str:
    """Return every value of each closed set that the tables cut short."""
    folded = []
    for attribute in app.attributes.values():
        if len(attribute.values or ()) > FEW:
            values = textwrap.fill(", ".join(attribute.values), WIDTH, break_long_words=False, break_on_hyphens=False)
            title = f"<summary><code>{attribute.name}</code>: {len(attribute.values)} values</summary>"
            folded.append(f"<details>\n{title}\n\n```text\n{values}\n```\n\n</details>")
    return "\n".join(folded)


def written_again(text: str) -> str:
    """Return a document with its generated parts as they should be."""
    for name, part in parts().items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        text = re.sub(f"{begin}.*{end}", lambda _, p=part, b=begin, e=end: f"{b}\n{p}\n{e}", text, flags=re.DOTALL)
    return text


def collector_files():
    """Return the text of each generated file of collector-config/, by its path."""
    return {REPOSITORY / "collector-config" / name: text for name, text in generated([registry.load("vllm")]).items()}


if __name__ == "__main__":
    for path, text in collector_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for page in PAGES:
        page.write_text(written_again(page.read_text(encoding="utf-8")), encoding="utf-8")
