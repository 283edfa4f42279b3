"""Runs a model through vLLM's LLM class, as in the argument's JSON, then has each worker report as a GPU's would.

No worker reports where the context is empty. Prints, as the last line, what was generated, how many of vLLM's own
reporters started, and how long the start took.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Run it."""
    started = time.perf_counter()
    from vllm import LLM, SamplingParams

    imported = time.perf_counter()
    settings, context = json.loads(sys.argv[1]), sys.argv[2]
    llm = LLM(worker_extension_cls="as_gpu.ReportingWorker", **settings)
    up = time.perf_counter()
    outputs = llm.generate([{"prompt_token_ids": [1, 2, 3]}], SamplingParams(max_tokens=4, detokenize=False))
    reporters = llm.collective_rpc("report", args=(context,)) if context else []
    result = {
        "tokens": list(outputs[0].outputs[0].token_ids),
        "reporters": reporters,
        "import_s": imported - started,
        "start_s": up - imported,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
