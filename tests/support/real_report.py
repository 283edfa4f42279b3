"""The real command line makes a report, and the mapping table turns it into attributes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from otel_usage.facts import registry
from otel_usage.facts.admission import admit_attributes
from otel_usage.facts.report import Report

SETTINGS = ("model_architecture=OPTForCausalLM", "dtype=torch.float16", "gpu_memory_utilization=0.92",
            "enable_lora=false", "tensor_parallel_size=2", "context=API_SERVER")  # fmt: skip
OVER_HTTP = (
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
)
PROTOCOLS = (
    *OVER_HTTP,
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
)


def report(collector, home, **environment):
    """Make a report by the real command line; return the attributes that the mapping table makes of its line."""
    url = collector.grpc if environment["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc" else collector.http
    command = [Path(sys.executable).with_name("otel-usage"), "report", "--json"]
    for setting in SETTINGS:
        command += ["--set", setting]
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=30,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": url, **environment},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return expected(json.loads(ran.stdout)["line"])


def expected(line):
    """Return the resource and span attributes that the mapping table makes of a line of the file, as an object."""
    app = registry.load("vllm")
    facts = {key: value for key, value in line.items() if value is not None}
    made = Report(app, facts)
    return tuple(admit_attributes(app, made.attributes(place), place)[0] for place in ("resource", "span"))
