"""What counts as a report of a known app, and when it was: the rest is dropped whole, wherever it comes in."""

from __future__ import annotations

import time

import pytest
from collector import Collector
from otlp import RUN, add_report, found, request

pytestmark = pytest.mark.slow

GPU = {"service.version": "0.32.0", "otel_usage.gpu.model": "NVIDIA L4", "otel_usage.gpu.count": 2}
CONTEXT = {"otel_usage.context": "LLM_CLASS"}
HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def dropped(collector, by="filter/contract"):
    """Return how many records a filter has dropped, by the collector's own count."""
    return collector.own[f'otelcol_processor_filter_spans_filtered{{filter="{by}"}}']


def with_event(span):
    """Something happened within it."""
    span.events.add(name="x")


def with_link(span):
    """It points to another."""
    span.links.add(trace_id=b"1" * 16, span_id=b"1" * 8)


def with_parent(span):
    """It is part of another's trace."""
    span.parent_span_id = b"1" * 8


def with_other_name(span):
    """It says that it is something else."""
    span.name = "otel_usage.reports"


def without_trace_id(span):
    """Nobody could count it once."""
    span.trace_id = b""


def without_span_id(span):
    """The same."""
    span.span_id = bytes(8)


@pytest.mark.parametrize("change", [with_event, with_link, with_parent, with_other_name, without_trace_id, without_span_id], ids=lambda one: one.__name__)
def test_record_that_is_no_report_is_answered_200_dropped_whole_and_counted(gateway, change):
    """A span with an event, a link, a parent or another name; the good one beside it passes."""
    made = request(GPU, GPU)
    change(made.resource_spans[0].scope_spans[0].spans[0])

    assert gateway.through(made) == [("otel_usage.report", {**RUN, **GPU}, CONTEXT)]
    assert dropped(gateway) == 1


@pytest.mark.parametrize("app", ["other", "vllm2", "VLLM", "", "vllm,sglang", ".*"])
def test_report_of_another_app_is_dropped(gateway, app):
    """The names are compared exactly."""
    assert gateway.through(request({**GPU, "service.name": app})) == []
    assert dropped(gateway, "filter/known") == 1


def test_apps_that_are_named_in_the_environment_are_taken(tmp_path, start):
    """A comma list of exact names."""
    gateway = start(Collector(tmp_path, OTEL_USAGE_APPS="sglang,vllm", JAEGER_OTLP="127.0.0.1:9"))

    taken = [gateway.through(request({"service.name": app})) for app in ("sglang", "vllm", "sglang,vllm", "other")]

    assert taken == [[("otel_usage.report", {**RUN, "service.name": app}, CONTEXT)] for app in ("sglang", "vllm")] + [[], []]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("5be557ae-ae32-47db-958b-18a1c1cb19f1", 1),
        ("5be557ae-ae32-17db-958b-18a1c1cb19f1", 0),  # version 1: of a machine and a time
        ("5be557ae-ae32-47db-c58b-18a1c1cb19f1", 0),
        ("5BE557AE-AE32-47DB-958B-18A1C1CB19F1", 0),
        ("5be557ae-ae32-47db-958b-18a1c1cb19f1\n", 0),
        ("00000000-0000-0000-0000-000000000000", 0),
        ("host-17.example.org", 0),
        ("other", 0),
        ("", 0),
        (17, 0),
        (None, 0),
    ],
)
@pytest.mark.parametrize("name", ["otel_usage.report", "otel_usage.heartbeat"])
def test_run_without_a_random_id_is_dropped(shared_gateway, name, given, kept):
    """A version 4 UUID says nothing of its machine; whatever else stands there, or nothing, the span goes."""
    made = request()
    add_report(made, {"service.instance.id": given or ""}, {}, name=name)
    if given is None:
        del made.resource_spans[0].resource.attributes[1]

    assert len(shared_gateway.through(made)) == kept


@pytest.mark.parametrize(
    ("away", "kept"),
    [(0, 0), (-30 * DAY, -30 * DAY), (-31 * DAY + HOUR, -31 * DAY + HOUR), (-31 * DAY - HOUR, 0), (23 * HOUR, 23 * HOUR), (25 * HOUR, 0),
     (-(10**18), 0), (10**18 * 6, 0), (2**63, 0), (None, 0)],
)  # fmt: skip
def test_time_that_can_not_be_is_the_hour_of_receipt(shared_gateway, away, kept):
    """From 31 days ago to a day ahead a client's clock is believed; a time of 1970, of 2262 or none says when it came."""
    made, now = request({}), time.time_ns()
    span = made.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano = 0 if away is None else (now + away) % 2**64
    span.end_time_unix_nano = 2**64 - 1
    before = shared_gateway.file.stat().st_size if shared_gateway.file.exists() else 0
    assert shared_gateway.post(made.SerializeToString()) == 200
    ((stored,),) = [one["resourceSpans"][0]["scopeSpans"][0]["spans"] for one in shared_gateway.since(before)]

    hours = {str((moment + kept) // HOUR * HOUR) for moment in (now, time.time_ns())}
    assert stored["startTimeUnixNano"] in hours
    assert stored["endTimeUnixNano"] == stored["startTimeUnixNano"]


def test_what_another_process_of_the_machine_sends_behind_the_door_is_checked_as_well(gateway):
    """The second hop's port is this machine's: names, values, fields and contract are enforced there too."""
    made = request({**GPU, "host.name": "box", "vllm.config.dtype": "made up"}, {"service.name": "other"}, {"service.instance.id": "box"}, GPU)
    made.resource_spans[0].scope_spans[0].scope.name = "secret"
    made.resource_spans[0].scope_spans[0].spans[0].trace_state = "secret=1"
    made.resource_spans[3].scope_spans[0].spans[0].events.add(name="secret")
    assert gateway.behind(made) == 200

    assert [span[1:] for span in found(gateway.requests)] == [
        ("otel_usage.report", {**RUN, **GPU, "vllm.config.dtype": "other"}, CONTEXT)
    ]
    assert b"secret" not in gateway.file.read_bytes()
