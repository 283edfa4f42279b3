"""vLLM's own reporter reports what an API server with these arguments would run; the script waits for its line."""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main() -> None:
    """Make the configuration as `vllm serve` does, and report it."""
    from vllm import AsyncEngineArgs, envs
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.usage.usage_lib import UsageContext
    from vllm.utils.argparse_utils import FlexibleArgumentParser
    from vllm.v1.utils import report_usage_stats

    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
    context = UsageContext.OPENAI_API_SERVER
    report_usage_stats(AsyncEngineArgs.from_cli_args(parsed).create_engine_config(context), context)
    line = Path(envs.VLLM_CONFIG_ROOT) / "usage_stats.json"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (line.exists() and line.read_text().endswith("}\n")):
        time.sleep(0.05)


if __name__ == "__main__":
    main()
