"""The consent sampler in somebody's own pipeline."""

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision

from otel_usage.standalone.sampler import UsageSampler, from_environment

ON = {"OTEL_USAGE_EXPORTER": "otlp"}


def decision(sampler, name="otel_usage.report", parent=None):
    """Ask as the SDK does."""
    return sampler.should_sample(parent, 1, name, None, {"a": 1}, None)


@pytest.mark.parametrize(("argument", "dropped"), [("myengine", True), ("vllm", False), (None, False), ("0.5", False)])
def test_in_somebodys_pipeline_consent_is_that_of_the_app_in_the_argument(environ, argument, dropped):
    """Without a name of an app, only signals that belong to no app count."""
    environ({**ON, "MYENGINE_DO_NOT_TRACK": "1"})

    assert (decision(from_environment(argument)).decision is Decision.DROP) is dropped


def test_declarative_configuration_calls_without_an_argument(environ):
    """Then the argument of the environment counts."""
    environ({**ON, "MYENGINE_DO_NOT_TRACK": "1", "OTEL_TRACES_SAMPLER_ARG": "myengine"})

    assert decision(from_environment()).decision is Decision.DROP


@pytest.mark.parametrize("sampled", [True, False])
def test_all_other_spans_are_sampled_as_by_default(environ, sampled):
    """parentbased_always_on: the parent decides, whatever the consent."""
    environ({"DO_NOT_TRACK": "1"})
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else 0)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=True, trace_flags=flags)), Context())
    sampler = UsageSampler("myengine")
    found = [decision(sampler, "GET /", parent).decision, decision(sampler, "GET /").decision]

    assert found == [Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP, Decision.RECORD_AND_SAMPLE]


def test_the_sdk_takes_it_as_a_sampler(environ):
    """A real provider starts no span of ours when off, and every other."""
    environ({"DO_NOT_TRACK": "1"})
    tracer = TracerProvider(sampler=from_environment("myengine"), shutdown_on_exit=False).get_tracer("otel_usage")
    recording = [tracer.start_span(name, context=Context()).is_recording() for name in ("otel_usage.report", "other")]

    assert recording == [False, True]


def test_it_describes_itself():
    """The SDK shows the description."""
    assert [from_environment(argument).get_description() for argument in ("vllm", "")] == [
        "UsageSampler{ConsentSampler{vllm}}",
        "UsageSampler{ConsentSampler{}}",
    ]
