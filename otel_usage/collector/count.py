"""What is counted for Prometheus: by version, by GPU, and by each closed set that an app names, all of them bounded.

Series live in memory, and who can invent values can fill it. So each count has its own few series, rather than one for
each combination, and a value that the project does not know counts as `other`. What was reported stays in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_usage.collector.ottl import allowed, path, string, union
from otel_usage.facts.builtin import SERVICE_NAME, SERVICE_VERSION
from otel_usage.facts.fact import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Attribute

# Models that run within another's class are counted under the outer one: one after the other, there are few.
OF_ANOTHER = r"\(.*\)$"

# A minor release: 1,000 at most, so that next year's count by themselves.
MINOR = r"^([0-9]\.(?:0|[1-9][0-9]?))(?:[^0-9].*)?$"

# The names that drivers give to the GPUs on which engines run, each a finite set.
GPUS = (
    r"NVIDIA GB?[23]00(?: NVL)?",
    r"NVIDIA B(?:200|300)(?: SXM6 AC)?",
    r"NVIDIA GH200 (?:480GB|144G HBM3e|120GB)",
    r"NVIDIA H(?:100|200|800|20)(?: 80GB HBM3| 64GB HBM2| PCIe| NVL| 96GB HBM3)?",
    r"(?:NVIDIA )?A(?:100|800|30)(?:-SXM4-[48]0GB|-PCIE-[48]0GB| 80GB PCIe| PCIe)?",
    r"(?:NVIDIA )?A(?:2|10|10G|16|40|5000|6000|4000|4500|5500)",
    r"NVIDIA L(?:4|20|40|40S|2)",
    r"NVIDIA RTX (?:[2456][05]00|4000 SFF|5880|6000) Ada Generation",
    r"NVIDIA RTX PRO [2456][05]00 Blackwell(?: (?:Workstation|Max-Q Workstation|Server) Edition)?",
    r"NVIDIA RTX A(?:[2456]000|[45]500)",
    r"(?:Tesla|NVIDIA) (?:T4|P4|P40|M60|K80)",
    r"(?:Tesla |NVIDIA )?(?:V100|P100)(?:-(?:SXM2|SXM3|PCIE|FHHL|DGXS|NVLINK))?(?:-(?:12|16|32)GB)?",
    r"NVIDIA GeForce (?:RTX [2-5]0[5-9]0|GTX 16[3-6]0|GTX 10[5-8]0)(?: Ti| SUPER| D| Ti SUPER)?(?: Laptop GPU| Max-Q)?",
    r"NVIDIA TITAN (?:RTX|V|Xp|X \(Pascal\))",
    r"(?:NVIDIA )?(?:Jetson AGX )?(?:Orin|Xavier|Thor)",
    r"NVIDIA GB10",
    r"AMD Instinct MI(?:50|60|100|210|250|250X|300A|300X|308X|325X|350X|355X)(?: OAM| VF)?",
    r"AMD Radeon (?:RX (?:6[6-9]|7[6-9]|9[0-9])[05]0|PRO W[67][5-9]00)(?: XTX?| GRE| DUAL SLOT)?",
    r"Intel\(R\) Data Center GPU Max (?:1100|1350|1550)",
    r"Intel\(R\) Arc\(TM\) [AB][3-7][1-9]0(?: Graphics)?",
)


class Count(NamedTuple):
    """One thing by which reports are counted: the key of its fact, and the attribute that it is of each app."""

    key: str
    attributes: dict[str, Attribute]


def counts(apps: Iterable[App]) -> list[Count]:
    """Return what is counted for these apps, beside their versions: GPUs, and each closed set that an app declares."""
    found: dict[str, dict[str, Attribute]] = {}
    for app in apps:
        found.setdefault("gpu_type", {})[app.name] = app.attributes_of["gpu_type"][0]
        for fact in app.facts:
            attribute = app.attributes_of[fact.key][0] if fact.on == "report" else None
            if attribute is not None and attribute.values is not None:
                found.setdefault(fact.key, {})[app.name] = attribute
    return [Count(key, attributes) for key, attributes in found.items()]


def statements(apps: Iterable[App]) -> Iterator[str]:
    """Yield the statements that set the labels of a span to values of which there are few."""
    yield f'set(span.attributes["{SERVICE_NAME}"], resource.attributes["{SERVICE_NAME}"])'
    yield _label(SERVICE_VERSION.name, SERVICE_VERSION)
    yield from _known(SERVICE_VERSION.name, MINOR)
    admitted = {attribute.name: allowed(attribute) for attribute in union(apps)}
    for count in counts(apps):
        for app, attribute in count.attributes.items():
            of_app = f'resource.attributes["{SERVICE_NAME}"] == "{app}"'
            yield f"{_label(count.key, attribute)} and {of_app}"
            if (words := allowed(attribute)) and words != admitted[attribute.name]:  # another app's may be any text
                yield f"{_other(count.key, words)} and {of_app}"
        if count.key == "gpu_type":
            yield from _known(count.key, f"^({'|'.join(GPUS)})$")
        else:
            value = f'span.attributes["{count.key}"]'
            yield f'replace_pattern({value}, {string(OF_ANOTHER)}, "") where {value} != nil'


def _label(label: str, attribute: Attribute) -> str:
    """Return the statement that makes a label of an attribute where there is one; else there would be an empty one."""
    return f'set(span.attributes["{label}"], {path(attribute)}) where {path(attribute)} != nil'


def _known(label: str, pattern: str) -> Iterator[str]:
    """Yield what keeps the first group of a pattern, and makes `other` of what does not match it."""
    value = f'span.attributes["{label}"]'
    yield _other(label, pattern)
    yield f'replace_pattern({value}, {string(pattern)}, "$$1") where {value} != nil'


def _other(label: str, pattern: str) -> str:
    """Return the statement that makes `other` of a label that a pattern does not match."""
    value = f'span.attributes["{label}"]'
    return f'set({value}, "{OTHER}") where {value} != nil and not IsMatch({value}, {string(pattern)})'
