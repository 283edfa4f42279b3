"""The consent sampler works in somebody else's pipeline."""

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision

from otel_usage import App
from otel_usage.standalone import said
from otel_usage.standalone.sampler import UsageSampler, from_environment

ON = {"OTEL_USAGE_EXPORTER": "otlp"}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    """A process that has logged nothing yet."""
    monkeypatch.setattr(said, "_said", set())


def decision(sampler, name="otel_usage.report", parent=None):
    """Ask the sampler as the SDK does."""
    return sampler.should_sample(parent, 1, name, None, {"a": 1}, None)


@pytest.mark.parametrize(("argument", "dropped"), [("myengine", True), ("vllm", False), (None, False), ("0.5", False)])
def test_in_somebodys_pipeline_consent_is_that_of_the_app_in_the_argument(environ, argument, dropped):
    """Without an app only the signals that belong to no app count."""
    environ({**ON, "MYENGINE_DO_NOT_TRACK": "1"})

    assert (decision(from_environment(argument)).decision is Decision.DROP) is dropped


def test_declarative_configuration_calls_without_an_argument(environ):
    """The sampler then reads its argument from the environment."""
    environ({**ON, "MYENGINE_DO_NOT_TRACK": "1", "OTEL_TRACES_SAMPLER_ARG": "myengine"})

    assert decision(from_environment()).decision is Decision.DROP


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("vllm", []),
        ("", []),
        ("nope", [("OTEL_TRACES_SAMPLER_ARG: no app 'nope' is installed; the known ones are: vllm; "
                  "the opt-outs of 'nope' count all the same")]),
        ("0.5", ["OTEL_TRACES_SAMPLER_ARG='0.5' is no app's name: only the opt-outs that belong to no app count"]),
        ("My Engine\n" * 99, [(f"OTEL_TRACES_SAMPLER_ARG={('My Engine' + chr(10)) * 6 + 'My E'!r} is no app's name: "
                             "only the opt-outs that belong to no app count")]),
    ],
)  # fmt: skip
def test_an_argument_that_names_no_installed_app_is_said_once_a_process(environ, caplog, argument, told):
    """The logger `otel_usage` warns once for any number of samplers, without characters that a terminal obeys."""
    environ({"OTEL_TRACES_SAMPLER_ARG": argument})
    for _ in range(3):
        from_environment()
        from_environment(argument)

    assert caplog.record_tuples == [("otel_usage", 30, text) for text in told]


@pytest.mark.parametrize("installed", ["on", "local"])
def test_the_default_of_an_installed_app_is_heeded(environ, monkeypatch, made_up_app, installed):
    """The argument names the app, or is the App itself; an app that is not installed has the default on."""
    environ(ON)
    monkeypatch.setattr(made_up_app, "default", installed)
    expected = Decision.RECORD_AND_SAMPLE if installed == "on" else Decision.RECORD_ONLY
    samplers = [from_environment("myengine"), UsageSampler(App("other", default=installed)), from_environment("nope")]

    assert [decision(sampler).decision for sampler in samplers] == [expected, expected, Decision.RECORD_AND_SAMPLE]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (ON, []),
        ({"OTEL_USAGE_EXPORTER": "none"},
         [("usage spans are recorded and not sampled, so that a stock processor exports none, since nothing may be sent; "
          "otel_usage_file asks for consent itself, and needs no OTEL_TRACES_SAMPLER=otel_usage")]),
        ({"DO_NOT_TRACK": "1"}, ["usage spans are dropped: reporting is off"]),
    ],
)  # fmt: skip
def test_why_usage_spans_are_not_sampled_is_said_once_at_debug_level(environ, caplog, environment, told):
    """No other span causes a record."""
    caplog.set_level("DEBUG", "otel_usage")
    environ(environment)
    sampler = UsageSampler("myengine")
    for name in ("otel_usage.report", "otel_usage.heartbeat", "GET /"):
        decision(sampler, name)

    assert caplog.record_tuples == [("otel_usage", 10, text) for text in told]


@pytest.mark.parametrize("sampled", [True, False])
def test_all_other_spans_are_sampled_as_by_default(environ, sampled):
    """By parentbased_always_on the parent decides, whatever the consent."""
    environ({"DO_NOT_TRACK": "1"})
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else 0)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=True, trace_flags=flags)), Context())
    sampler = UsageSampler("myengine")
    found = [decision(sampler, "GET /", parent).decision, decision(sampler, "GET /").decision]

    assert found == [Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP, Decision.RECORD_AND_SAMPLE]


def test_the_sdk_takes_it_as_a_sampler(environ):
    """When off, a real provider starts none of our spans and every other span."""
    environ({"DO_NOT_TRACK": "1"})
    tracer = TracerProvider(sampler=from_environment("myengine"), shutdown_on_exit=False).get_tracer("otel_usage")
    recording = [tracer.start_span(name, context=Context()).is_recording() for name in ("otel_usage.report", "other")]

    assert recording == [False, True]


def test_the_sampler_describes_itself():
    """The SDK shows the description."""
    assert [from_environment(argument).get_description() for argument in ("vllm", "")] == [
        "UsageSampler{ConsentSampler{vllm}}",
        "UsageSampler{ConsentSampler{}}",
    ]
