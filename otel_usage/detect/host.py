"""CPU, memory, architecture and operating system, from /proc, the C library and psutil."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_usage.facts.fact import Scalar

CPUINFO = "/proc/cpuinfo"
LONGEST_CPUINFO = 64 * 1024
NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+~-")


def detect(cpuinfo: str = CPUINFO) -> Iterator[tuple[str, Scalar | None]]:
    """Yield the facts about this machine.

    Args:
        cpuinfo: The path of the kernel's description of the CPUs. Without this file, their facts are left out.

    Raises:
        Exception: Anything that psutil raises if it can't read the memory, after all other facts.
    """
    yield "num_cpu", os.cpu_count()
    yield "architecture", machine()
    yield "platform", platform()
    yield from processor(cpuinfo)
    import psutil  # 30 ms; last, so that only the memory is missing if it fails

    yield "total_memory", psutil.virtual_memory().total


def processor(path: str) -> Iterator[tuple[str, str]]:
    """Yield the name of the first CPU, and its family, model and stepping, which may be 0, from the file at `path`."""
    fields = _first_processor(path)
    if name := fields.get("model name"):
        yield "cpu_type", name
    numbers = [fields.get(key, "") for key in ("cpu family", "model", "stepping")]
    if any(numbers):
        yield "cpu_family_model_stepping", ",".join(numbers)


def _first_processor(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST_CPUINFO).decode("utf-8", "replace")
    except OSError:
        return {}
    lines = text.partition("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def machine() -> str:
    """Return the architecture as `platform.machine()` does, for instance x86_64, without that import on POSIX."""
    if hasattr(os, "uname"):
        return os.uname().machine
    import platform as standard  # only on Windows

    return standard.machine()


def platform() -> str:
    """Return the same as `platform.platform()`, but faster where possible: that function runs `uname -p`.

    It is possible on Linux with the GNU C library, if the release has no characters that `platform` would replace.
    """
    if sys.platform == "linux":
        system = os.uname()
        plain = f"Linux-{system.release}-{system.machine}-with-{_gnu_libc()}"
        if _gnu_libc() and set(plain) <= NAME_CHARACTERS and "--" not in plain and "unknown" not in plain:
            return plain
    import platform as standard  # 11 ms, seldom needed

    return standard.platform()


def _gnu_libc() -> str:
    """Return for instance glibc2.36, or an empty string with another C library."""
    try:
        words = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, ValueError, OSError):
        return ""
    return "".join(words) if len(words) == 2 else ""  # noqa: PLR2004 -- name and version
