"""The committed dashboards: their queries as Grafana's data source writes them out, and reports for which they are asked."""

from __future__ import annotations

import json
import re

from programs import CONFIG

REPORTS = (
    *({"service.version": "0.32.0", "otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2, "cloud.provider": "gcp",
       "vllm.model.architecture": "OPTForCausalLM", "vllm.config.quantization": "awq", "otel_usage.memory.limit": 2**36},) * 3,
    *({"service.version": "0.33.0", "otel_usage.gpu.model": "NVIDIA H200", "otel_usage.gpu.count": 8, "cloud.provider": "aws",
       "vllm.model.architecture": "Qwen3ForCausalLM", "vllm.config.enable_lora": True},) * 2,
    {"service.version": "0.33.0", "vllm.config.quantization": "fp8"},
)  # fmt: skip


def boards(directory=CONFIG):
    """Return the dashboards that stand in a directory, by default the committed ones."""
    return [json.loads(path.read_text()) for path in sorted((directory / "grafana" / "dashboards").glob("*.json"))]


def queries(kind, directory=CONFIG):
    """Return each query of a kind, as (dashboard, panel, text)."""
    return [
        (board["title"], panel["title"], target[kind])
        for board in boards(directory)
        for panel in board["panels"]
        for target in panel.get("targets", ())
        if kind in target
    ]


def of_now(sql, **chosen):
    """Return a statement as its ClickHouse source writes it out: of the last two days, vLLM's, and all or what is chosen."""
    since, until = "toDateTime(now() - 172800)", "toDateTime(now() + 60)"
    sql = re.sub(r"\$__conditionalAll\((.*? IN \(\S+\)), \$(\w+)\)", lambda found: found[1] if found[2] in chosen else "1=1", sql)
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= {since} AND \1 <= {until}", sql)
    sql = sql.replace("$__fromTime", since).replace("$__toTime", until)
    for name, value in {"app": "vllm", **chosen}.items():
        sql = sql.replace(f"${{{name}:singlequote}}", f"'{value}'")
    assert "$" not in sql
    return sql


def answer(store, sql, **chosen):
    """Return the rows of a statement, and of one by day the reports of each value."""
    rows = store.query(of_now(sql, **chosen))
    assert len({row.pop("time") for row in rows if "time" in row}) <= 1
    return {row["value"]: row["reports"] for row in rows} if " AS time" in sql else rows
