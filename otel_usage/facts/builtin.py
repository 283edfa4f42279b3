"""The built-in table: every fact that any project has, one row each, in the order of the local file.

To add a fact, add a row here and let a detector yield its key. Nothing leaves that has no row.
"""

from __future__ import annotations

from otel_usage.facts.fact import Attribute, Fact
from otel_usage.facts.hardware import CPU, GPU
from otel_usage.facts.mapped import MappedFact

# The release of the semantic conventions that the names below were checked against.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

REPORT = "otel_usage.report"
HEARTBEAT = "otel_usage.heartbeat"
SCOPE = "otel_usage"

GIB, TIB = 2**30, 2**40
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"  # version 4: random
CPU_PART = r"[0-9]{1,3}|0x[0-9A-Fa-f]{1,3}"

# A kernel's own name may carry a company's or a person's: its version stays, and a flavour that is published. Numbers
# have few digits, so that none is an id.
ARCHITECTURES = "x86_64|aarch64|arm64|armv[678]l|ppc64(?:le)?|s390x|riscv64|loongarch64|mips64|i[3-6]86|AMD64|ARM64"
FLAVOURS = (
    r"generic(?:-64k)?|lowlatency|aws|azure|gcp|gke|oracle|ibm|kvm|nvidia(?:-64k)?|tegra|raspi|default|pve|"
    r"(?:(?:deb[0-9]{1,2}|bpo)-)?(?:rt-)?(?:cloud-)?(?:amd64|arm64)|microsoft-standard-WSL2|linuxkit|"
    r"(?:el[0-9]{1,2}(?:_[0-9]{1,2})?|amzn[0-9]{1,4}|fc[0-9]{1,2})(?:uek)?(?:\.(?:x86_64|aarch64|ppc64le|s390x))?"
)
RELEASE = r"Linux-[0-9]{1,2}(?:\.[0-9]{1,3}){1,3}"
BUILD = r"-(?:1[5-9]0[0-9]00|[0-9]{1,4})(?:\.[0-9]{1,3}){0,3}"  # SUSE's begins with its release, as in 150600.23
KERNEL = rf"{RELEASE}(?:{BUILD})?(?:[-.+](?:{FLAVOURS}))?"
KERNEL_WITHIN = rf"{RELEASE}(?![0-9.])(?:{BUILD}(?![0-9A-Za-z]|\.[0-9]))?(?:[-.+](?:{FLAVOURS})(?![0-9A-Za-z]))?"
LIBC = rf"-(?:{ARCHITECTURES})(?:-with(?:-?(?:glibc|musl|libc)(?:[0-9]{{1,2}}(?:\.[0-9]{{1,3}}){{0,2}})?)?)?"
MACOS = rf"macOS-[0-9]{{1,2}}(?:\.[0-9]{{1,3}}){{0,2}}-(?:{ARCHITECTURES})(?:-(?:arm|i386)-64bit)?(?:-Mach-O)?"
WINDOWS = (
    r"Windows-(?:XP|Vista|7|8|8\.1|1[0-9]|(?:post)?20[0-9]{2}Server(?:R2)?|post1[0-9])"
    r"-[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4,5}-SP[0-9]"
)
PLATFORM = rf"(?:{KERNEL}{LIBC}|{MACOS}|{WINDOWS})"
PUBLIC_PLATFORM = (rf"({KERNEL_WITHIN}).*?({LIBC})", r"\1\2")

# PEP 440's public versions and SemVer's pre-releases, with few digits. A private build says so in its local part, which
# is cut, as a leading v is; what the projects publish under is not private. A nightly build has a date for its number.
NIGHTLY = r"20[2-9][0-9][01][0-9][0-3][0-9]"
PUBLIC = (
    r"(?:[0-9]!)?[0-9]{1,4}(?:\.[0-9]{1,3}){0,3}(?:-(?:alpha|beta|rc)(?:\.?[0-9]{1,2})?|"
    rf"(?:(?:a|b|rc)[0-9]{{1,2}})?(?:\.post[0-9]{{1,2}})?(?:\.dev(?:{NIGHTLY}|[0-9]{{1,5}}))?)"
)
PUBLISHED = r"\+(?:cpu|cu[0-9]{2,3}|rocm[0-9]{1,3}(?:\.[0-9]{1,2}){0,2}|xpu|tpu|(?:neuron|gaudi)(?:[0-9]{3})?)"
VERSION = rf"{PUBLIC}(?:{PUBLISHED})?"
PUBLIC_VERSION = (rf"v?({PUBLIC}{PUBLISHED})(?:[.+-].*)?|v?({PUBLIC})(?:\+.*)?", r"\1\2")

# A runtime is numbers and dots; Intel's may be a date.
RUNTIME = rf"(?:{NIGHTLY}|[0-9]{{1,4}}(?:\.[0-9]{{1,3}}(?:\.[0-9]{{1,5}})?)?)"
PUBLIC_RUNTIME = (rf"({RUNTIME})(?:[^0-9].*)?", r"\1")

UNKNOWN_CONTEXT = "UNKNOWN_CONTEXT"
SOURCES = ("production", "production-docker-image", "ci", "ci-test", "test", "development", "synthetic")
DETECTORS = ("cloud", "gpu", "host", "cloud,gpu", "cloud,host", "gpu,host", "cloud,gpu,host")

PROVIDERS = {"AWS": "aws", "AZURE": "azure", "GCP": "gcp", "OCI": "oracle_cloud", "RUNPOD": "runpod"}
HOST_ARCH = {
    "x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "ARM64": "arm64", "armv6l": "arm32", "armv7l": "arm32",
    "armv8l": "arm32", "ppc64le": "ppc64", "i386": "x86", "i486": "x86", "i586": "x86", "i686": "x86",
}  # fmt: skip
ARCHES = (*dict.fromkeys(HOST_ARCH.values()), "riscv64", "s390x", "loongarch64", "mips64")
OS_TYPES = {"Linux": "linux", "macOS": "darwin", "Windows": "windows", "FreeBSD": "freebsd"}
RUNTIMES = ("cuda", "rocm", "xpu", "tpu_inference")
TITLES = {"cuda": "CUDA", "rocm": "ROCm", "xpu": "Intel GPU"}

SERVICE_NAME = "service.name"
SERVICE_VERSION = Attribute("service.version", str, pattern=VERSION, clean=PUBLIC_VERSION)
RUNTIME_NAME = Attribute("otel_usage.gpu.runtime.name", str, values=RUNTIMES)
RUNTIME_VERSION = Attribute("otel_usage.gpu.runtime.version", str, pattern=RUNTIME, clean=PUBLIC_RUNTIME)


def _inverse(words: dict[str, str]) -> dict[str, str]:
    """Turn the words of OpenTelemetry back into those of the file; the first of several wins."""
    return {theirs: ours for ours, theirs in reversed(words.items())}


_KEYS_OF_PROVIDERS = _inverse(PROVIDERS)
_KEYS_OF_HOST_ARCH = _inverse(HOST_ARCH)


def _runtime(key: str, name: str, why: str, *, alone: str | None = None, in_file: bool = True) -> MappedFact:
    """Make the row of one vendor's runtime: three keys of the file share two attributes.

    alone: a runtime without a version, whose name stands in the file in its place.
    """
    return MappedFact(
        key, str, RUNTIME_NAME, RUNTIME_VERSION, why=why, title=f"{TITLES[name]} runtime", in_file=in_file,
        split=lambda value: (alone, None) if value == alone else (name, value),
        join=lambda found, version: version if found == name else alone if found == alone else None,
    )  # fmt: skip


HARDWARE = (
    MappedFact("uuid", str, Attribute("service.instance.id", str, pattern=UUID),
               title="Run",
               why="counts a run once; random for every run, never stored, never derived from the machine"),
    MappedFact("provider", str, Attribute("cloud.provider", str, values=tuple(PROVIDERS.values())),
               split=lambda value: (PROVIDERS.get(value) if value == "UNKNOWN" else PROVIDERS.get(value, value),),
               join=lambda value: _KEYS_OF_PROVIDERS.get(value, value),
               title="Cloud provider", why="which clouds to test and tune for"),
    Fact("num_cpu", int, attribute="otel_usage.cpu.logical_count", unit="{cpu}", minimum=1, maximum=8192,
         title="Logical processors", why="how many threads and workers to plan for"),
    Fact("cpu_type", str, attribute="host.cpu.model.name", pattern=CPU,
         title="Processor model", why="which processors to test and tune for"),
    MappedFact("cpu_family_model_stepping", str,
               Attribute("host.cpu.family", str, pattern=CPU_PART),
               Attribute("host.cpu.model.id", str, pattern=CPU_PART),
               Attribute("host.cpu.stepping", str, pattern=CPU_PART),
               split=lambda value: tuple(part or None for part in [*value.split(","), "", ""][:3]),
               join=lambda *parts: ",".join(part or "" for part in parts),
               title="Processor family, model, stepping", why="which instruction sets a build may use"),
    Fact("total_memory", int, attribute="otel_usage.memory.limit", unit="By", step=GIB, minimum=0, maximum=128 * TIB,
         title="Host memory", why="how much host memory offloading may count on"),
    MappedFact("architecture", str, Attribute("host.arch", str, values=ARCHES),
               split=lambda value: (HOST_ARCH.get(value, value),),
               join=lambda value: _KEYS_OF_HOST_ARCH.get(value, value),
               title="Processor architecture", why="which builds to publish"),
    MappedFact("platform", str,
               Attribute("os.description", str, pattern=PLATFORM, clean=PUBLIC_PLATFORM),
               Attribute("os.type", str, values=tuple(OS_TYPES.values())),
               split=lambda value: (value, OS_TYPES.get(value.partition("-")[0])),
               join=lambda description, _: description,
               title="Operating system", why="which kernels and C libraries to support"),
    _runtime("xpu_runtime", "xpu", "which Intel GPU runtimes to support"),
    _runtime("cuda_runtime", "cuda", "which CUDA runtimes to support", alone="tpu_inference"),
    _runtime("rocm_runtime", "rocm", "which ROCm runtimes to support", in_file=False),
    Fact("gpu_count", int, attribute="otel_usage.gpu.count", unit="{gpu}", minimum=0, maximum=4096,
         title="GPUs per machine", why="how many GPUs a machine has that the process may use"),
    Fact("gpu_type", str, attribute="otel_usage.gpu.model", pattern=GPU,
         title="GPU model", why="which GPUs to optimise for first"),
    Fact("gpu_memory_per_device", int, attribute="otel_usage.gpu.memory.limit", unit="By", step=GIB, minimum=0,
         maximum=4 * TIB,
         title="Memory per GPU", why="which models and batch sizes fit"),
    MappedFact("detect_failed", str,
               Attribute("otel_usage.detect.failed", str, values=DETECTORS),
               in_file=False, title="Detectors that failed",
               why="tells a machine without a GPU from one whose driver did not answer"),
    MappedFact("detect_unfinished", str,
               Attribute("otel_usage.detect.unfinished", str, values=DETECTORS),
               in_file=False, title="Detectors that did not finish",
               why="tells a driver that failed from a run that ended before it could answer"),
)  # fmt: skip


def run_facts(app: str, contexts: tuple[str, ...]) -> tuple[Fact, ...]:
    """Return the rows about the run itself, which every app has under its own name and contexts."""
    return (
        MappedFact(f"{app}_version", str, SERVICE_VERSION, title="Version", why="which releases are in use"),
        MappedFact("context", str, Attribute("otel_usage.context", str, place="span", values=contexts),
                   title="How it was started", why="how it was started"),
        MappedFact("log_time", int, title="Time", why="when it was reported; the span's start, in ns since the epoch"),
        MappedFact("source", str, Attribute("otel_usage.source", str, values=SOURCES),
                   why="keeps test machines apart from production"),
    )  # fmt: skip


TEN_YEARS = 10 * 366 * 24 * 3600
UPTIME = MappedFact("uptime", int, Attribute("otel_usage.uptime", int, place="span", unit="s", step=60, minimum=0,
                                             maximum=TEN_YEARS),
                    on="heartbeat", in_file=False, why="how long runs last")  # fmt: skip
