"""The test double shows adopters what would be reported."""

import pytest
from myengine_app import APP

from otel_usage import UsageReporter
from otel_usage.testing import capture


def test_what_would_be_reported_is_yielded_without_file_and_network(home, monkeypatch):
    """It has the admitted keys of the line, in order; nothing is detected, and the opt-out of a test run does not count."""
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: pytest.fail("a thread was started"))
    with capture(APP) as reports:
        UsageReporter(APP).report(context="API_SERVER", quantization="awq")
    (report,) = reports

    assert {key: value for key, value in report.items() if value is not None and key not in ("uuid", "log_time")} == {
        "myengine_version": "1.2.0", "context": "API_SERVER", "source": "production", "quantization": "awq",
    }  # fmt: skip
    assert list(report) == list(APP.report_keys)
    assert list(home.iterdir()) == []


def test_each_capture_is_a_run_of_its_own():
    """A reporter that has reported in one test reports in the next one; in one capture a second call must be forced."""
    usage = UsageReporter(APP)
    counts = []
    for _ in range(2):
        with capture("myengine") as reports:
            usage.report()
            usage.report()
            usage.report(force=True)
        counts.append(len(reports))

    assert counts == [2, 2]


def test_a_capture_is_strict():
    """A value that production would drop raises in the adopter's test."""
    with capture(APP) as reports, pytest.raises(ValueError, match="secret is not declared"):
        UsageReporter(APP, strict=False).report(secret=1)

    assert reports == []


def test_only_the_app_that_is_named_is_captured(home):
    """Other apps report as usual."""
    with capture("vllm") as reports, UsageReporter(APP) as usage:
        usage.report()

    assert reports == []
    assert (home / ".config/myengine/usage_stats.json").exists()


def test_an_app_is_captured_once_at_a_time():
    """Two captures of one app could not both be right."""
    with capture(APP), pytest.raises(RuntimeError, match="myengine is being captured already"), capture("myengine"):
        pass
