"""The gateway: what it lets through, and what it does not."""

from __future__ import annotations

import pytest
from collector import Collector
from hypothesis import given, settings, strategies
from otlp import RUN, add_report, as_json, found, request, shown
from programs import wait_for
from real_report import OVER_HTTP, PROTOCOLS, report

from otel_usage.facts import registry
from otel_usage.facts.admission import admit_attributes

pytestmark = pytest.mark.slow

WSL = "Linux-5.15.153.1-microsoft-standard-WSL2-x86_64-with-glibc2.35"
HOUR = 3_600_000_000_000


@pytest.mark.parametrize(("config", "protocol"), [*(("local", one) for one in PROTOCOLS), *(("gateway", one) for one in OVER_HTTP)],
                         ids=lambda given: given if isinstance(given, str) else "-".join(given.values()))  # fmt: skip
def test_report_is_in_the_file_and_in_jaeger_with_exactly_the_attributes_of_the_table(tmp_path, home, start, jaeger, config, protocol):
    """Set equality, for each protocol: nothing is lost on the way, changed, or added."""
    collector = start(Collector(tmp_path, config, JAEGER_OTLP=jaeger.otlp))

    wanted = report(collector, home, **protocol)
    (trace,) = wait_for(jaeger.traces)
    (span,) = found(collector.requests)

    assert span[2:] == wanted
    assert shown(trace) == span


GPU = {"service.version": "0.32.0", "otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2}
CONTEXT = {"otel_usage.context": "LLM_CLASS"}


def test_local_collector_shows_the_report_on_its_console(tmp_path, home, start):
    """Name and value of each attribute, for whoever tries it."""
    collector = start(Collector(tmp_path, "local", JAEGER_OTLP="127.0.0.1:9"))

    resource, span = report(collector, home, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    console = wait_for(lambda: "otel_usage.report" in collector.log and collector.log)

    missing = [name for name in (*resource, *span) if f"-> {name}: " not in console]
    assert missing == []


def test_json_is_taken_like_protobuf(gateway):
    """A client of any kind: the same attributes arrive."""
    made = request(GPU)

    assert gateway.post(as_json(made), kind="application/json") == 200
    assert [span[1:] for span in found(gateway.requests)] == [("otel_usage.report", {**RUN, **GPU}, CONTEXT)]


def test_name_given_twice_does_not_pass_as_one_and_leave_as_another(gateway):
    """A key has one value from the first step on, and that one is judged: the first."""
    made = request(GPU, GPU)
    for spans, first, last in zip(made.resource_spans, ("other", "vllm"), ("vllm", "other"), strict=True):
        spans.resource.attributes[0].value.string_value = first
        spans.resource.attributes.add(key="service.name").value.string_value = last

    assert [resource["service.name"] for _, resource, _ in gateway.through(made)] == ["vllm"]


def test_values_leave_only_as_declared(gateway):
    """Another type or too long: dropped. Outside the closed set or pattern: `other`. Not declared here: dropped."""
    given = {
        "otel_usage.gpu.count": 2.0, "otel_usage.memory.limit": "64", "vllm.config.enable_lora": "true",
        "vllm.config.gpu_memory_utilization": 1, "otel_usage.gpu.model": "x" * 257, "host.arch": "amd64; drop",
        "vllm.config.dtype": "torch.float99", "vllm.model.architecture": "Nested(OPTForCausalLM)",
        "vllm.config.quantization": "awq", "otel_usage.context": "LLM_CLASS", "host.name": "box", "otel_usage.source": "ci",
    }  # fmt: skip

    ((_, resource, span),) = gateway.through(request((given, {"otel_usage.context": "made up", "host.arch": "amd64"})))

    assert resource == {
        **RUN, "host.arch": "other", "vllm.config.dtype": "other", "vllm.model.architecture": "other",
        "vllm.config.quantization": "awq", "otel_usage.source": "ci",
    }  # fmt: skip
    assert span == {"otel_usage.context": "other"}


def values(app, place):
    """Return a strategy for any values, of the declared types, of an app's attributes."""
    text = strategies.text(max_size=20) | strategies.sampled_from(["a(b)", "OPTForCausalLM(x)", "0.32.0+gabc", "1.0(2)", "x" * 257])
    kinds = {str: text, int: strategies.integers(-(2**63), 2**63 - 1), bool: strategies.booleans(),
             float: strategies.floats(allow_nan=False, allow_infinity=False)}  # fmt: skip
    ours = {name: a for name, a in app.attributes.items() if a.place == place and name not in RUN}
    drawn = {name: strategies.sampled_from(a.values) | text if a.values else kinds[a.type] for name, a in ours.items()}
    return strategies.fixed_dictionaries({}, optional=drawn)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("otel_usage.gpu.model", "10.20.30.40", "other"),
        ("host.cpu.model.name", "fe80:0:0:1::77", "other"),
        ("host.cpu.model.name", "someone@example.org", "other"),
        ("host.cpu.model.name", "/home/someone/x", "other"),
        ("host.cpu.model.name", "Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R) CPU @ 2.20GHz"),
        ("os.description", WSL, WSL),
        ("service.version", "10.1.2.3", "10.1.2.3"),
    ],
)
def test_what_looks_like_an_address_or_a_person_does_not_pass_but_in_a_version(gateway, name, value, kept):
    """The patterns of names let neither pass, and a version that is made of four numbers is no address."""
    ((_, resource, _),) = gateway.through(request({name: value}))

    assert resource == {**RUN, name: kept}


@settings(max_examples=200)
@given(data=strategies.data())
def test_what_the_client_admits_the_gateway_admits_unchanged(shared_gateway, data):
    """The two exits are one table: whatever facts a host gives, what its client lets out arrives as it left."""
    app = registry.load("vllm")
    sent = [admit_attributes(app, data.draw(values(app, place)), place)[0] for place in ("resource", "span")]

    ((_, resource, span),) = shared_gateway.through(request(tuple(sent)))

    assert [resource, span] == [{**RUN, **sent[0]}, sent[1]]


def test_time_is_cut_to_the_hour_and_the_span_is_as_plain_as_a_report_is(gateway):
    """Nothing of a span but its ids, its name and its hour is left."""
    made = request({})
    span = made.resource_spans[0].scope_spans[0].spans[0]
    span.kind, span.flags, span.trace_state, span.dropped_attributes_count = 3, 257, "a=b", 7
    span.status.code, span.status.message = 2, "broken"

    assert gateway.post(made.SerializeToString()) == 200
    ((kept,),) = [one["resourceSpans"][0]["scopeSpans"][0]["spans"] for one in gateway.requests]

    hour = str(span.start_time_unix_nano // HOUR * HOUR)
    assert kept == {
        "traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "name": "otel_usage.report", "kind": 1,
        "startTimeUnixNano": hour, "endTimeUnixNano": hour, "status": {},
        "attributes": [{"key": "otel_usage.context", "value": {"stringValue": "LLM_CLASS"}}],
    }  # fmt: skip


def test_heartbeats_go_to_the_file_and_are_counted_but_not_to_jaeger(tmp_path, start, jaeger):
    """Jaeger is for looking at reports one by one."""
    gateway = start(Collector(tmp_path, JAEGER_OTLP=jaeger.otlp))
    heartbeat = request()
    add_report(heartbeat, GPU, {"otel_usage.uptime": 600}, name="otel_usage.heartbeat")

    spans = [*gateway.through(request(GPU)), *gateway.through(heartbeat)]
    traces = wait_for(jaeger.traces)

    assert sorted(name for name, _, _ in spans) == ["otel_usage.heartbeat", "otel_usage.report"]
    assert [shown(trace)[1] for trace in traces] == ["otel_usage.report"]
    assert gateway.counts['otel_usage_heartbeats_total{service_name="vllm",service_version="0.32"}'] == 1


def test_counts_are_bounded_whatever_is_invented(gateway):
    """20,000 invented values of each thing that is counted take a few series, and the real ones are still counted."""
    for start in range(0, 20_000, 100):
        invented = [
            {"service.version": f"{number % 100}.{number}.{number}", "otel_usage.gpu.model": f"NVIDIA X{number}",
             "vllm.model.architecture": f"Made{number}ForCausalLM"}
            for number in range(start, start + 100)
        ]  # fmt: skip
        assert gateway.behind(request(*((resource, {}) for resource in invented))) == 200
    real = {"service.version": "0.33.1", "otel_usage.gpu.model": "NVIDIA H200", "vllm.model.architecture": "OPTForCausalLM"}
    assert gateway.through(request(real)) != []

    counts = {name: value for name, value in gateway.counts.items() if name.startswith("otel_usage")}
    assert counts['otel_usage_reports_by_gpu_type_total{gpu_type="NVIDIA H200",service_name="vllm"}'] == 1
    assert counts['otel_usage_reports_by_gpu_type_total{gpu_type="other",service_name="vllm"}'] == 20_000
    assert counts['otel_usage_reports_by_model_architecture_total{model_architecture="OPTForCausalLM",service_name="vllm"}'] == 1
    assert counts['otel_usage_other_total{attribute="vllm.model.architecture",service_name="vllm"}'] == 20_000
    assert len([name for name in counts if "_by_gpu_type" in name or "_by_model" in name]) == 4
    assert len(counts) < 1100
