"""The OTLP request that `preview` shows."""

import click
import pytest

from otel_usage import App, Fact
from otel_usage.cli.otlp import as_otlp_json
from otel_usage.facts.report import Report


def test_a_report_that_is_too_large_to_leave_is_said_to_be_so():
    """Its pipeline drops it, so there is no request to show."""
    facts = [Fact(f"text_{number}", str, open="a test needs free text", why="fills a report") for number in range(200)]
    report = Report(App("myengine", facts=facts), {fact.key: "x" * 250 for fact in facts})

    with pytest.raises(click.ClickException, match="nothing would be sent: dropped: the report has"):
        as_otlp_json(report, exact_time=False)
