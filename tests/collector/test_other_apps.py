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
from worst import attribute, field, resource, scope, span, string

from otel_usage import App, Fact
from otel_usage.collector import generated
from otel_usage.facts.admission import admit_attributes
from otel_usage.facts.report import Report

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
    line = json.loads(answer)["line"]
    made = Report(made_up_app, {key: value for key, value in line.items() if value is not None})
    assert gateway.post(request({"vllm.config.dtype": "auto"}).SerializeToString()) == 200

    (_, _, resource, span), (_, _, of_vllm, _) = found(gateway.requests)

    assert (resource, span) == tuple(admit_attributes(made_up_app, made.attributes(place), place)[0] for place in ("resource", "span"))
    assert resource.items() >= {"myengine.config.quantization": "awq", "myengine.config.note": "Site 7: lab"}.items()
    assert of_vllm == {**RUN, "vllm.config.dtype": "auto"}
    assert gateway.counts['otel_usage_reports_by_quantization_total{quantization="awq",service_name="myengine"}'] == 1


NOTE = "odd.config.note"
ODD = App("odd", version="1", facts=[
    Fact("note", str, open="operators name their own site", why="x"),
    Fact("tag", str, pattern="[^,]{1,20}", why="x"),
    Fact("count", int, step=1, maximum=2**63 - 1, why="x"),
    Fact("mode", str, values=("fast", "safe"), attribute="shared.mode", why="x"),
    *(Fact(name, str, values=("v",), attribute=name, why="x") for name in ("r", "taken")),
])  # fmt: skip
LOOSE = App("loose", version="1", facts=[Fact("mode", str, attribute="shared.mode", why="x")])


@pytest.fixture(scope="module")
def odd_gateway(tmp_path_factory):
    """A real gateway for an app with odd facts, and for one that lets any word into an attribute that both have."""
    directory = tmp_path_factory.mktemp("odd")
    (directory / "gateway.yaml").write_text(generated([ODD, LOOSE])["gateway.yaml"])
    collector = Collector(directory, directory / "gateway.yaml", JAEGER_OTLP="127.0.0.1:9").start()
    yield collector
    collector.kill()


def stored(gateway, **facts):
    """Send a report of the odd app; return its own attributes in the file, a list for each report that is there."""
    given = {"service.name": "odd", **{name.replace("__", "."): value for name, value in facts.items()}}
    return [{name: value for name, value in kept.items() if name not in RUN} for _, kept, _ in gateway.through(request(given))]


@pytest.mark.parametrize("name", [NOTE, "odd.config.tag"])
def test_text_that_is_no_utf_8_is_other(odd_gateway, name):
    """One byte of it in the file, and no reader of JSON reads the line."""
    value = field(1, b"Site \xff")
    body = resource(scope(span()), before=attribute("service.name", string("odd")), after=attribute(name, value))
    before = odd_gateway.file.stat().st_size if odd_gateway.file.exists() else 0
    assert odd_gateway.post(body) == 200
    line = odd_gateway.file.read_bytes()[before:]

    assert line.decode(errors="backslashreplace").count("\\xff") == 0
    assert [kept[name] for _, _, kept, _ in found(odd_gateway.since(before))] == ["other"]


@pytest.mark.parametrize("number", [0, 2**53 + 1, 2**63 - 1])
def test_large_integer_in_steps_of_one_is_itself(odd_gateway, number):
    """It is not rounded as a double: beyond 64 bits that failed, was answered 503, and put the number into the log."""
    assert stored(odd_gateway, odd__config__count=number) == [{"odd.config.count": number}]
    assert "failed to execute" not in odd_gateway.log


def test_attribute_has_any_name_but_an_empty_one(odd_gateway):
    """None is what the gateway sets aside while it looks for the first report of a request."""
    assert stored(odd_gateway, r="v", taken="v") == [{"r": "v", "taken": "v"}]


def test_counts_of_a_closed_set_are_bounded_where_another_app_takes_any_word(odd_gateway):
    """Both share the attribute: what the first one does not know is counted as `other`."""
    for number in range(20):
        assert stored(odd_gateway, shared__mode=f"invented{number}") == [{"shared.mode": f"invented{number}"}]
    assert stored(odd_gateway, shared__mode="fast") == [{"shared.mode": "fast"}]
    counts = {name: value for name, value in odd_gateway.counts.items() if "_by_mode" in name and "(none)" not in name}

    assert counts == {
        'otel_usage_reports_by_mode_total{mode="other",service_name="odd"}': 20,
        'otel_usage_reports_by_mode_total{mode="fast",service_name="odd"}': 1,
    }


def test_tables_of_another_app_have_its_columns(tmp_path, made_up_app):
    """The statements run on the real engine."""
    cli("collector", "--app", "myengine", "--out", str(tmp_path / "made"))
    store = Store(tmp_path / "store", tmp_path / "made" / "clickhouse" / "otel_usage.sql")
    columns = [row["name"] for row in store.query("SELECT name FROM system.columns WHERE table = 'reports'")]
    store.close()

    ours = [name.replace(".", "_") for name, a in made_up_app.attributes.items() if a.place == "resource" and name != "service.name"]
    assert set(columns) >= set(ours)
    assert [name for name in columns if "vllm" in name] == []
