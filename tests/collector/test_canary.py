"""A secret in every field of OTLP that can hold one: none is in anything that the gateway writes or shows."""

from __future__ import annotations

import json
import os
import time

import pytest
import yaml
from collector import WITH_CLICKHOUSE, Collector
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp import RUN, as_json, found
from programs import CONFIG, fetch, wait_for
from search import seen

from otel_usage.facts import registry

pytestmark = pytest.mark.slow

ONE_REPORT = ("transform/stash", "transform/first", "filter/first")
LAYERS = ("transform/admit", "groupbyattrs", "redaction", "filter/types", *ONE_REPORT)
IDS = ("trace_id", "span_id", "parent_span_id")
FORMS = ("string", "bytes", "list", "map", "list of maps")
FIELDS = {
    "resource_spans.schema_url", "resource_spans.scope_spans.schema_url", "resource_spans.scope_spans.scope.name",
    "resource_spans.scope_spans.scope.version", "resource_spans.scope_spans.spans.status.message",
    "resource_spans.scope_spans.spans.trace_state", "resource_spans.resource.entity_refs.schema_url",
    "resource_spans.resource.entity_refs.type", "resource_spans.resource.entity_refs.id_keys",
    "resource_spans.resource.entity_refs.description_keys", "resource_spans.scope_spans.spans.events.name",
    "resource_spans.scope_spans.spans.links.trace_state",
}  # fmt: skip


class Secrets:
    """Secrets, each with the place that it was put in. No pattern of the fact table matches one."""

    def __init__(self):
        self.places = {}

    def new(self, place):
        """Return a secret for a place."""
        secret = f"#secret-{len(self.places):04d}#"
        self.places[secret] = place
        return secret

    def seen_in(self, data):
        """Return the places whose secrets are in some bytes: as text, in hexadecimal digits, or in base64."""
        return {self.places[secret] for secret in seen(data, {secret: secret for secret in self.places})}


def fill(message, secrets, path=""):
    """Put a secret into every field of a message that can hold text or bytes, but for ids, names and attributes."""
    for field in message.DESCRIPTOR.fields:
        place = f"{path}{field.name}"
        if field.name in (*IDS, "attributes") or (field.name == "name" and message.DESCRIPTOR.name == "Span"):
            continue
        if field.message_type is not None:
            inner = getattr(message, field.name)
            fill(inner.add() if hasattr(inner, "add") else inner, secrets, f"{place}.")
        elif field.type == field.TYPE_STRING and hasattr(getattr(message, field.name), "append"):
            getattr(message, field.name).append(secrets.new(place))
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, secrets.new(place))
        elif field.type == field.TYPE_BYTES:
            setattr(message, field.name, secrets.new(place).encode())


def put(attributes, names, form, secrets, place):
    """Add attributes that hold a secret in one form: as text, as bytes, or as something within something."""
    for name in names:
        value, secret = attributes.add(key=name).value, secrets.new(f"{place}: {form}")
        if form == "string":
            value.string_value = secret
        elif form == "bytes":
            value.bytes_value = secret.encode()
        elif form == "list":
            value.array_value.values.add(string_value=secret)
        elif form == "map":
            value.kvlist_value.values.add(key=secrets.new(f"{place}: key"), value={"string_value": secret})
        else:
            deep = value.array_value.values.add().kvlist_value.values.add(key="deep")
            deep.value.array_value.values.add(bytes_value=secret.encode())


def made(form, secrets):
    """Return a request with a secret in each field; its attributes hold them in one form."""
    request = ExportTraceServiceRequest()
    fill(request, secrets)
    (spans,) = request.resource_spans
    (scope,) = spans.scope_spans
    (busy,) = scope.spans
    plain = scope.spans.add(status=busy.status, trace_state=busy.trace_state)
    linked = scope.spans.add(links=busy.links)
    del busy.links[:]
    for span in (busy, plain, linked):
        span.name, span.trace_id, span.span_id = "otel_usage.report", os.urandom(16), os.urandom(8)
        span.start_time_unix_nano = time.time_ns()
    app = registry.load("vllm")
    for place, attributes in (("resource", spans.resource.attributes), ("span", plain.attributes)):
        names = [name for name, a in app.attributes.items() if a.place == place and name not in ALWAYS]
        put(attributes, names, form, secrets, f"declared {place} attribute")
        put(attributes, ["host.name"], form, secrets, f"other {place} attribute")
        attributes.add(key=secrets.new(f"other {place} attribute: key")).value.int_value = 1
    put(scope.scope.attributes, ["host.cpu.family"], form, secrets, "scope attribute")
    put(busy.events[0].attributes, ["host.cpu.family"], form, secrets, "event attribute")
    put(linked.links[0].attributes, ["host.cpu.family"], form, secrets, "link attribute")
    for name, value in ALWAYS.items():
        spans.resource.attributes.add(key=name).value.string_value = value
        put(spans.resource.attributes, [name], "bytes", secrets, "attribute given twice")
    return request


ALWAYS = {**RUN, "otel_usage.gpu.model": "NVIDIA L4"}


def send(collector, secrets):
    """Send a request of each form in both encodings, with secrets beside it."""
    for form in FORMS:
        request = made(form, secrets)
        query = f"/v1/traces?key={secrets.new('query').replace('#', '%23')}"
        beside = {"user_agent": secrets.new("user agent"), "x_key": secrets.new("header"), "cookie": secrets.new("cookie"),
                  "authorization": secrets.new("authorization"), "x_forwarded_for": secrets.new("forwarded")}  # fmt: skip
        assert collector.post(request.SerializeToString(), path=query, **beside) == 200
        assert collector.post(as_json(request), kind="application/json", **beside) == 200


def everything(collector):
    """Return all that the collector has written, and shows."""
    collector.kill()
    return b"".join(path.read_bytes() for path in collector.directory.rglob("*") if path.is_file())


def without(tmp_path, *layers):
    """Return the path of the gateway's configuration without some of its layers."""
    config = yaml.safe_load((CONFIG / "gateway.yaml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        pipeline["processors"] = [name for name in pipeline.get("processors", ()) if name not in layers]
    path = tmp_path / "without.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def leaked(collector):
    """Send secrets to a collector, and return the places of those that it wrote or showed."""
    secrets = Secrets()
    send(collector, secrets)
    pages = fetch(collector.metrics_url)[1] + fetch(collector.own_url)[1]
    return secrets, secrets.seen_in(pages + everything(collector))


def test_secret_in_any_field_is_in_no_file_queue_log_or_page(gateway):
    """Every field of the protocol's own definition that can hold text or bytes, in each form of value."""
    secrets, places = leaked(gateway)
    spans = found(gateway.requests)

    assert places == set()
    assert set(secrets.places.values()) >= FIELDS
    assert len(secrets.places) > 400
    assert len(spans) == 2 * len(FORMS)
    assert {(name, json.dumps(span)) for _, name, _, span in spans} <= {
        ("otel_usage.report", "{}"), ("otel_usage.report", '{"otel_usage.context": "other"}'),
    }  # fmt: skip


def test_secret_in_any_field_is_in_no_queue_for_clickhouse_and_in_no_table(tmp_path, start, clickhouse):
    """ClickHouse is away at first, so all of it waits on disk; then all of it is inserted."""
    gateway = start(Collector(tmp_path, WITH_CLICKHOUSE, JAEGER_OTLP="127.0.0.1:9", CLICKHOUSE_ENDPOINT=clickhouse.url))
    secrets, places = leaked(gateway)
    clickhouse.start()
    gateway.start()
    wait_for(lambda: clickhouse.store.query("SELECT count() AS n FROM otel_usage.reports") == [{"n": len(FORMS)}])
    table = clickhouse.store.raw("SELECT * FROM otel_usage.spans", "TabSeparated")

    assert places == set()
    assert secrets.seen_in(b"".join(clickhouse.inserted) + table) == set()
    assert b"NVIDIA L4" in b"".join(clickhouse.inserted)


def test_secrets_are_found_in_the_table_where_the_allow_list_is_removed(tmp_path, start, clickhouse):
    """The test above can fail: they would be in what is inserted."""
    plain = without(tmp_path, *LAYERS)
    clickhouse.start()
    gateway = start(Collector(tmp_path, (plain, "with-clickhouse"), JAEGER_OTLP="127.0.0.1:9", CLICKHOUSE_ENDPOINT=clickhouse.url))
    secrets = Secrets()
    send(gateway, secrets)
    wait_for(lambda: clickhouse.inserted)

    assert "declared resource attribute: string" in secrets.seen_in(b"".join(clickhouse.inserted))


def test_same_secrets_are_found_where_the_allow_list_is_removed(tmp_path, start):
    """The test above can fail: without the layers, each field of the records that pass is in the file."""
    collector = start(Collector(tmp_path, without(tmp_path, *LAYERS), JAEGER_OTLP="127.0.0.1:9"))

    _, places = leaked(collector)

    events_and_links = {field for field in FIELDS if ".events." in field or ".links." in field}
    assert places >= FIELDS - events_and_links
    assert {f"declared resource attribute: {form}" for form in ("string", "bytes", "list", "map")} <= places


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("groupbyattrs", {field for field in FIELDS if "entity_refs" in field}),
        ("redaction", set()),
        ("filter/types", set()),
    ],
)
def test_each_layer_is_there_for_a_reason(tmp_path, start, layer, expected):
    """Without the rebuilding of resources their entities pass; the second layer stands behind a first that holds."""
    collector = start(Collector(tmp_path, without(tmp_path, layer), JAEGER_OTLP="127.0.0.1:9"))

    _, places = leaked(collector)

    assert places == expected


def test_second_layer_holds_alone_what_attributes_could_carry(tmp_path, start):
    """With the allow-list removed, no other attribute passes, and no record with a value of another type."""
    collector = start(Collector(tmp_path, without(tmp_path, "transform/admit"), JAEGER_OTLP="127.0.0.1:9"))

    _, places = leaked(collector)

    assert {place for place in places if "attribute" in place} <= {"declared resource attribute: string", "declared span attribute: string"}
