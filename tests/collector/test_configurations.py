"""What every configuration must hold, read from the files, and by the collector's own validation."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from collector import WITH_CLICKHOUSE, Collector
from generated import collector_files
from programs import BIN, CONFIG

from otel_usage.facts import registry

NAMES = ("local", "gateway", "edge", "ingest")
PUBLIC = ("gateway", "edge")


def loaded(name):
    """Return a configuration as it is, with its settings of the environment unread."""
    return yaml.safe_load((CONFIG / f"{name}.yaml").read_text())


def components(name, kind):
    """Return the components of a kind, by their names."""
    return {key: value or {} for key, value in loaded(name)[kind].items()}


def test_generated_files_are_those_of_the_fact_table():
    """`make docs` writes them; nobody edits them."""
    drifted = [str(path) for path, text in collector_files().items() if path.read_text(encoding="utf-8") != text]

    assert drifted == []


@pytest.mark.slow
@pytest.mark.parametrize("names", [*((name,) for name in NAMES), WITH_CLICKHOUSE], ids=str)
def test_collector_itself_finds_nothing_wrong(names):
    """`validate` builds the whole graph of components."""
    ran = subprocess.run([BIN / "otelcol-usage", "validate", *(f"--config={CONFIG / name}.yaml" for name in names)],
                         check=False, capture_output=True, text=True, timeout=30)  # fmt: skip

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, WITH_CLICKHOUSE], ids=str)
def test_no_configuration_uses_what_is_deprecated(tmp_path, start, name):
    """Started with everything that it logs, none says so."""
    collector = Collector(tmp_path, name, overrides=["service::telemetry::logs::level: info"],
                          JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9", CLICKHOUSE_ENDPOINT="http://127.0.0.1:9")  # fmt: skip
    collector.answers = lambda: "service@v" in collector.log  # what an ingest waits for is not there
    start(collector)

    assert re.findall(r".*(?:deprecat|alias).*", collector.log, re.IGNORECASE) == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_request_but_its_body_gets_into_the_context(name):
    """Metadata would be stored with what is queued, and a processor could copy it into the data."""
    text = (CONFIG / f"{name}.yaml").read_text()

    assert re.findall(r"include_metadata: (?!false)", text) == []
    assert "from_context" not in text


@pytest.mark.parametrize("name", NAMES)
def test_files_append_and_are_kept_for_30_days(name):
    """Without rotation a file is emptied at each start, and written late."""
    files = [exporter for key, exporter in components(name, "exporters").items() if key.startswith("file")]

    assert [file["rotation"]["max_days"] for file in files] == ([] if name == "edge" else [30])


@pytest.mark.parametrize("name", NAMES)
def test_durable_queues_never_give_up(name):
    """The default drops after 5 minutes, out of a queue on disk too; `fsync` is off by default."""
    durable = [exporter for exporter in components(name, "exporters").values() if "storage" in exporter.get("sending_queue", {})]
    storages = [extension for key, extension in components(name, "extensions").items() if key.startswith("file_storage")]

    assert [exporter["retry_on_failure"]["max_elapsed_time"] for exporter in durable] == ["0s"] * (name in PUBLIC)
    assert [storage["fsync"] for storage in storages] == [True] * (name in PUBLIC)


def test_gateway_has_a_queue_for_clickhouse_only_where_it_is_asked_for_one():
    """Without it nothing waits for what is not there; with it the queue is on disk, never gives up, and is behind the hop."""
    added = loaded("with-clickhouse")
    exporter = added["exporters"]["clickhouse"]

    assert "clickhouse" not in loaded("gateway")["exporters"]
    assert added.keys() == {"exporters", "service"}
    assert added["service"] == {"pipelines": {"traces/clickhouse": {"receivers": ["forward/clean"], "exporters": ["clickhouse"]}}}
    assert exporter["sending_queue"]["storage"] == "file_storage/queue"
    assert exporter["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}
    assert exporter["create_schema"] is exporter["async_insert"] is False


@pytest.mark.parametrize("name", PUBLIC)
def test_public_door_has_limits(name):
    """Of size, of time, and of memory; over HTTP alone."""
    protocols = components(name, "receivers")["otlp/public"]["protocols"]

    assert list(protocols) == ["http"]
    assert protocols["http"]["max_request_body_size"] == 36 * 1024
    assert protocols["http"].keys() >= {"read_timeout", "read_header_timeout", "write_timeout", "middlewares"}


def test_gateway_and_edge_are_one_door():
    """The same receiver, processors and pipelines up to the second hop, so that what is tested of one holds for both."""
    doors = [
        (loaded(name)["processors"], components(name, "receivers")["otlp/public"],
         [loaded(name)["service"]["pipelines"][pipeline] for pipeline in ("traces/public", "traces/clean")])
        for name in PUBLIC
    ]  # fmt: skip

    assert doors[0] == doors[1]


@pytest.mark.parametrize("name", PUBLIC)
def test_only_the_second_hop_is_behind_the_door(name):
    """Whatever has a queue or a file stands behind it."""
    pipelines = loaded(name)["service"]["pipelines"]
    at_the_door = [pipeline["exporters"] for pipeline in pipelines.values() if "otlp/public" in pipeline["receivers"]]

    assert at_the_door == [["otlp_http/hop"]]
    assert components(name, "exporters")["otlp_http/hop"]["sending_queue"].items() >= {"wait_for_result": True, "block_on_overflow": False}.items()
    assert "storage" not in components(name, "exporters")["otlp_http/hop"]["sending_queue"]


@pytest.mark.parametrize("name", PUBLIC)
def test_both_layers_name_exactly_the_attributes_of_the_table(name):
    """What the client may send is what the gateway takes."""
    processors = components(name, "processors")
    statements = [text for group in processors["transform/admit"]["trace_statements"] for text in group["statements"]]
    copied = [found for text in statements for found in re.findall(r'^set\((\w+)\.cache\["([^"]+)"\], \1\.attributes', text)]
    replaced = [text for text in statements if ".cache)" in text]
    table = registry.load("vllm").attributes

    assert sorted(copied) == sorted((a.place, name) for name, a in table.items())
    assert replaced == [f"set({place}.attributes, {place}.cache)" for place in ("resource", "scope", "span")]
    assert set(processors["redaction"]["allowed_keys"]) == set(table)


@pytest.mark.parametrize("name", NAMES)
def test_listeners_are_on_loopback_unless_the_operator_says_otherwise(name):
    """Each address has a default on this machine, and each setting is one that the documents name."""
    text = (CONFIG / f"{name}.yaml").read_text()
    defaults = dict(re.findall(r"\$\{env:(\w+):-([^}]*)\}", text))
    addresses = {value for setting, value in defaults.items() if ":" in value}

    assert addresses != set()
    assert [value for value in addresses if not value.startswith(("127.0.0.1:", "http://127.0.0.1:"))] == []
    assert set(re.findall(r"\$\{env:(\w+)", text)) == set(defaults)
