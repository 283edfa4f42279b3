"""A CPU worker reports as vLLM's worker for GPUs does: by vLLM's own reporter."""

from __future__ import annotations

import threading
import time
from pathlib import Path


class ReportingWorker:
    """A mix-in for the worker of vLLM, named by its option `worker_extension_cls`."""

    def report(self, context: str) -> int:
        """Call what a worker for GPUs calls, and return how many threads vLLM's own reporter started for it.

        Its line is waited for, since it dies with the worker.
        """
        from vllm import envs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.utils import report_usage_stats

        before = set(threading.enumerate())
        report_usage_stats(self.vllm_config, UsageContext(context))
        started = len(set(threading.enumerate()) - before)
        line = Path(envs.VLLM_CONFIG_ROOT) / "usage_stats.json"
        end = time.monotonic() + 60
        while started and time.monotonic() < end and not (line.exists() and line.read_text().endswith("}\n")):
            time.sleep(0.05)
        return started
