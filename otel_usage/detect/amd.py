"""AMD's GPUs, by the files of the kernel's compute driver (kfd), as ROCm enumerates them.

A GPU counts where the compute driver has a node with SIMD units for it. One that can only drive displays has none,
though it stands in /sys/class/drm like the others; and without that driver ROCm can't use any.
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
    """Return the GPUs that ROCm would see, or None where there is no GPU of AMD's.

    sysfs: the directory of the kernel's files. Raises OSError where a file of the compute driver can't be read.
    """
    nodes = list(_gpu_nodes(os.path.join(sysfs, NODES)))
    # The properties of a GPU that a device cgroup denies this process are not to be read, and it is not ours.
    return Gpus(_visible([node for node in nodes if node.properties], environ), sysfs) if nodes else None


class Node:
    """A GPU as the compute driver has it: its directory, and its properties, empty where they may not be read."""

    __slots__ = ("directory", "properties")

    def __init__(self, directory: str, properties: dict[str, int]) -> None:
        self.directory, self.properties = directory, properties


class Gpus:
    """The visible GPUs, by the nodes that they have in `sysfs`."""

    def __init__(self, nodes: list[Node], sysfs: str) -> None:
        self.count = len(nodes)
        self._first = nodes[0] if nodes else None
        self._renderers = os.path.join(sysfs, "class/drm")

    def name(self) -> str | None:
        """Return the first GPU's product name, or its architecture's, such as gfx1100; None where there is no GPU.

        Only server cards hold their product's name; LLVM's name of the architecture is what ROCm is built for.
        """
        if self._first is None:
            return None
        return self._file(self._first, "product_name") or _architecture(self._first) or None

    def memory(self) -> int | None:
        """Return the bytes of video memory of the first GPU, or of the part that a partition has; None if not known."""
        if self._first is None:
            return None
        return _banks(self._first) or _number(self._file(self._first, "mem_info_vram_total")) or None

    def _file(self, gpu: Node, name: str) -> str:
        """Return what the display driver says of a GPU in one line, "" where it doesn't; not every GPU has each."""
        path = os.path.join(self._renderers, f"renderD{gpu.properties.get('drm_render_minor')}", "device", name)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return ""

    def close(self) -> None:
        """Do nothing: no file is kept open."""


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
    """Return the paths of the entries that are numbers, in their order; none where there is no such directory."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return [os.path.join(directory, name) for name in sorted(filter(str.isdecimal, names), key=int)]


def _properties(directory: str) -> dict[str, int]:
    """Return the numbers of the file `properties`, which has a name and a number on each line; raises OSError."""
    with open(os.path.join(directory, "properties"), encoding="ascii", errors="replace") as file:
        pairs = [line.split() for line in file]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004 -- name, number


def _visible(gpus: list[Node], environ: Mapping[str, str]) -> list[Node]:
    """Return the GPUs that ROCm's variables leave: the runtime below takes its choice first, HIP chooses from that."""
    value = environ.get("ROCR_VISIBLE_DEVICES")
    if value is not None:
        gpus = [gpus[index] for index in visible.rocr(value, _uuids(gpus))]
    # HIP takes an empty variable for one that is not set, unlike CUDA and unlike the runtime below.
    value = environ.get("HIP_VISIBLE_DEVICES") or environ.get("CUDA_VISIBLE_DEVICES")
    if value:
        gpus = [gpus[index] for index in visible.hip(value, _uuids(gpus))]
    return gpus


def _uuids(gpus: list[Node]) -> list[str]:
    """Return each GPU's UUID as ROCm writes it, "" for those that have none."""
    numbers = [gpu.properties.get("unique_id", 0) for gpu in gpus]
    return [f"GPU-{number:016x}" if number else "" for number in numbers]


def _architecture(gpu: Node) -> str:
    version = gpu.properties.get("gfx_target_version", 0)
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""


def _banks(gpu: Node) -> int:
    """Return the bytes of all banks of video memory; the kernel counts those of a partition as its own."""
    banks = [_properties(path) for path in _numbered(os.path.join(gpu.directory, "mem_banks"))]
    return sum(bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in VIDEO_MEMORY)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
