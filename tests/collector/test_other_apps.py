"""Any app that is installed: its own tables, its own allow-list, and a report of its own through all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse import Store
from collector import Collector
from otlp import RUN, found, request

from otel_usage.admit import admit_attributes
from otel_usage.report import Report

pytestmark = pytest.mark.slow


def cli(*arguments, **environment):
    """Run the real command line, where the made-up app is installed."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("otel-usage"), *arguments], check=False, capture_output=True, text=True, timeout=30,
        env={"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "PYTHONPATH": os.environ["PYTHONPATH"], **environment},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_report_of_another_app_goes_through_what_was_written_for_it(tmp_path, start, made_up_app):
    """The command writes it for two apps; each is taken with its own facts, and none with the other's names alone."""
    cli("collector", "--app", "myengine", "--app", "vllm", "--out", str(tmp_path / "made"))
    gateway = start(Collector(tmp_path, tmp_path / "made" / "gateway.yaml", JAEGER_OTLP="127.0.0.1:9"))
    settings = ("quantization=awq", "batch=13", "cache_share=0.33", "eager=true", "note=Site 7: lab", "scheduler=fair")
    answer = cli("--app", "myengine", "report", "--json", *(part for one in settings for part in ("--set", one)),
                 OTEL_EXPORTER_OTLP_ENDPOINT=gateway.http, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")  # fmt: skip
    line = json.loads(json.loads(answer)["line"])
    made = Report(made_up_app, {key: value for key, value in line.items() if value is not None})
    assert gateway.post(request({"vllm.config.dtype": "auto"}).SerializeToString()) == 200

    (_, _, resource, span), (_, _, of_vllm, _) = found(gateway.requests)

    assert (resource, span) == tuple(admit_attributes(made_up_app, made.attributes(place), place)[0] for place in ("resource", "span"))
    assert resource.items() >= {"myengine.config.quantization": "awq", "myengine.config.note": "Site 7: lab"}.items()
    assert of_vllm == {**RUN, "vllm.config.dtype": "auto"}
    assert gateway.counts['otel_usage_reports_by_quantization_total{quantization="awq",service_name="myengine"}'] == 1


def test_tables_of_another_app_have_its_columns(tmp_path, made_up_app):
    """The statements run on the real engine."""
    cli("collector", "--app", "myengine", "--out", str(tmp_path / "made"))
    store = Store(tmp_path / "store", tmp_path / "made" / "clickhouse" / "otel_usage.sql")
    columns = [row["name"] for row in store.query("SELECT name FROM system.columns WHERE table = 'reports'")]
    store.close()

    ours = [name.replace(".", "_") for name, a in made_up_app.attributes.items() if a.place == "resource" and name != "service.name"]
    assert set(columns) >= set(ours)
    assert [name for name in columns if "vllm" in name] == []
