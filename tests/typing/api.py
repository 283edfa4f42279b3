"""The public API as an adopter's type checker sees it: this file is checked and never run."""

from __future__ import annotations

from typing import TypedDict

import otel_usage
from otel_usage import App, EnvironmentFact, Fact, UsageReporter, child_env, suppress
from otel_usage.testing import capture


class MyFacts(TypedDict, total=False):
    """Types with which an adopter may check a report."""

    quantization: str
    batch: int


APP: App = App(
    "myengine",
    version=lambda: "1.2.0",
    endpoint="https://stats.example.org",
    facts=[
        Fact("quantization", str, values=("awq", "gptq"), why="which kernels to optimise first"),
        Fact("batch", int, unit="{sequence}", step=8, why="which sizes to tune for"),
        Fact("load", float, on="heartbeat", why="how busy runs are"),
        EnvironmentFact("env_var_json", [Fact("MYENGINE_FAST", bool, why="who uses it")], why="who changes defaults"),
    ],
    contexts=["API_SERVER"],
    wire="otlp",
    leading=["env_var_json"],
)
usage = UsageReporter(APP, strict=True)
usage.report({"quantization": "awq"}, context="API_SERVER", force=True)
facts: MyFacts = {"quantization": "awq", "batch": 8}
usage.report(facts)
usage.report(quantization="awq")
usage.set_runtime(load=0.5)
workers: dict[str, str] = child_env()
suppress("myengine", by="embedder")
taken: bool = usage.flush(timeout=1.0)
dropped: int = usage.dropped
version: str = otel_usage.__version__

with UsageReporter("myengine", version="1.2.0", heartbeat=0, notice="before-send") as reporter:
    shown: str = reporter.notice()
    reporter.report(context="LIBRARY")

with capture(APP) as reports:
    first: str | int | float | bool | None = reports[0]["quantization"]
