"""All that is generated from the fact table: parts of README.md, and files of collector-config/. Run, it writes them."""

from __future__ import annotations

import re
from pathlib import Path

from otel_usage.cli.table import as_markdown
from otel_usage.collector import generated
from otel_usage.facts import registry
from otel_usage.facts.report import Report

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
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
    return {"report": f"```json\n{Report(app, EXAMPLE).line}\n```", "facts": as_markdown(app)}


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
    README.write_text(written_again(README.read_text(encoding="utf-8")), encoding="utf-8")
