"""The sampler decides by consent."""

import pytest
from opentelemetry.sdk.trace.sampling import Decision

from otel_usage import App
from otel_usage.delivery.sampler import ConsentSampler

ON = {"OTEL_USAGE_EXPORTER": "otlp"}


def decision(sampler, name="otel_usage.report", parent=None):
    """Ask as the SDK does."""
    return sampler.should_sample(parent, 1, name, None, {"a": 1}, None)


@pytest.mark.parametrize(
    ("environment", "delivers", "result"),
    [
        (ON, True, (Decision.RECORD_AND_SAMPLE, {"a": 1})),
        (ON, False, (Decision.RECORD_ONLY, {"a": 1})),
        ({"OTEL_USAGE_EXPORTER": "none"}, True, (Decision.RECORD_ONLY, {"a": 1})),
        ({**ON, "DO_NOT_TRACK": ""}, True, (Decision.DROP, {})),
        ({**ON, "MYENGINE_DO_NOT_TRACK": "1"}, True, (Decision.DROP, {})),
        ({**ON, "VLLM_DO_NOT_TRACK": "1"}, True, (Decision.RECORD_AND_SAMPLE, {"a": 1})),
    ],
)
@pytest.mark.parametrize("app", [App("myengine"), "myengine"])
def test_the_mode_is_the_decision(environ, app, environment, delivers, result):
    """Off drops, local records, on records and samples; without a destination nothing is sampled."""
    environ(environment)
    found = decision(ConsentSampler(app, delivers=delivers), name="anything")

    assert (found.decision, dict(found.attributes or {})) == result


def test_an_opt_out_is_heeded_at_the_next_span(environ):
    """The sampler asks for consent at each span."""
    environ(ON)
    sampler = ConsentSampler("myengine")
    before = decision(sampler).decision
    environ({"DO_NOT_TRACK": "1"})

    assert (before, decision(sampler).decision) == (Decision.RECORD_AND_SAMPLE, Decision.DROP)


def test_the_sampler_describes_itself():
    """The SDK shows the description."""
    assert ConsentSampler(App("myengine")).get_description() == "ConsentSampler{myengine}"


@pytest.mark.parametrize(("default", "expected"), [("on", Decision.RECORD_AND_SAMPLE), ("local", Decision.RECORD_ONLY)])
def test_the_default_of_the_app_is_heeded(environ, default, expected):
    """A span of an app whose default is local is only recorded, until a setting says on."""
    environ(ON)

    assert decision(ConsentSampler(App("myengine", default=default))).decision is expected
