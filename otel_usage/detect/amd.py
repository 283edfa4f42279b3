"""AMD GPUs, from the files of the kernel's compute driver (kfd), as ROCm enumerates them.

A GPU counts if the compute driver has a node with SIMD units for it: ROCm uses only these. A GPU that can only drive
displays is in /sys/class/drm too, but has no such node.
"""

from __future__ import annotations

import os

from otel_usage.detect import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NODES = "class/kfd/kfd/topology/nodes"
VIDEO_MEMORY = (1, 2)  # public and private frame buffer, HSA_MEM_HEAP_TYPE_FB_* in the kernel's kfd_crat.h


def find(environ: Mapping[str, str], sysfs: str) -> Gpus | None:
    """Find the GPUs that ROCm would see.

    Args:
        environ: The environment variables.
        sysfs: The directory of the kernel's files.

    Returns:
        The GPUs; None if there is no AMD GPU.

    Raises:
        OSError: A file of the compute driver can't be read.
    """
    nodes = list(_gpu_nodes(os.path.join(sysfs, NODES)))
    # This process can't read the properties of a GPU that a device cgroup denies it, and can't use that GPU.
    return Gpus(_visible([node for node in nodes if node.properties], environ), sysfs) if nodes else None


class Node:
    """A node of the compute driver, which is one GPU.

    Attributes:
        directory: Its directory.
        properties: Its properties; empty if this process must not read them.
    """

    __slots__ = ("directory", "properties")

    def __init__(self, directory: str, properties: dict[str, int]) -> None:
        self.directory, self.properties = directory, properties


class Gpus:
    """The visible GPUs.

    Args:
        nodes: Their nodes of the compute driver.
        sysfs: The directory of the kernel's files.

    Attributes:
        count: How many GPUs are visible.
    """

    def __init__(self, nodes: list[Node], sysfs: str) -> None:
        self.count = len(nodes)
        self._first = nodes[0] if nodes else None
        self._renderers = os.path.join(sysfs, "class/drm")

    def name(self) -> str | None:
        """Return the product name of the first GPU, or its architecture such as gfx1100; None if there is no GPU.

        Only server cards store a product name. The architecture has LLVM's name, which ROCm uses as well.
        """
        if self._first is None:
            return None
        return self._file(self._first, "product_name") or _architecture(self._first) or None

    def memory(self) -> int | None:
        """Return the video memory of the first GPU, or of its partition, in bytes; None if it is not known."""
        if self._first is None:
            return None
        return _banks(self._first) or _number(self._file(self._first, "mem_info_vram_total")) or None

    def _file(self, gpu: Node, name: str) -> str:
        """Return the text of a file of the display driver about a GPU; "" if the GPU has no such file."""
        path = os.path.join(self._renderers, f"renderD{gpu.properties.get('drm_render_minor')}", "device", name)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return ""

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _gpu_nodes(directory: str) -> Iterator[Node]:
    for path in _numbered(directory):
        try:
            properties = _properties(path)
        except PermissionError:
            yield Node(path, {})
        else:
            if properties.get("simd_count"):
                yield Node(path, properties)


def _numbered(directory: str) -> list[str]:
    """Return the paths of the entries whose names are numbers, in numeric order; none if there is no directory."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return [os.path.join(directory, name) for name in sorted(filter(str.isdecimal, names), key=int)]


def _properties(directory: str) -> dict[str, int]:
    """Parse the file `properties`, which has a name and a number on each line. OSError if it can't be read."""
    with open(os.path.join(directory, "properties"), encoding="ascii", errors="replace") as file:
        pairs = [line.split() for line in file]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004 -- name, number


def _visible(gpus: list[Node], environ: Mapping[str, str]) -> list[Node]:
    """Return the GPUs that ROCm's variables make visible: ROCR chooses first, and HIP chooses from those."""
    value = environ.get("ROCR_VISIBLE_DEVICES")
    if value is not None:
        gpus = [gpus[index] for index in visible.rocr(value, _uuids(gpus))]
    # An empty variable counts as unset to HIP, but not to CUDA and ROCR.
    value = environ.get("HIP_VISIBLE_DEVICES") or environ.get("CUDA_VISIBLE_DEVICES")
    if value:
        gpus = [gpus[index] for index in visible.hip(value, _uuids(gpus))]
    return gpus


def _uuids(gpus: list[Node]) -> list[str]:
    """Return the UUID of each GPU as ROCm writes it; "" for a GPU without one."""
    numbers = [gpu.properties.get("unique_id", 0) for gpu in gpus]
    return [f"GPU-{number:016x}" if number else "" for number in numbers]


def _architecture(gpu: Node) -> str:
    version = gpu.properties.get("gfx_target_version", 0)
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""


def _banks(gpu: Node) -> int:
    """Return the size of all banks of video memory in bytes. The node of a partition has only its own banks."""
    banks = [_properties(path) for path in _numbered(os.path.join(gpu.directory, "mem_banks"))]
    return sum(bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in VIDEO_MEMORY)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
