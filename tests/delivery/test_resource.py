"""Facts as a resource."""

from myengine_app import APP

from otel_usage.delivery.resource import resource_of
from otel_usage.facts.builtin import SCHEMA_URL
from otel_usage.facts.report import Report


def test_a_reports_resource_is_its_facts_and_nothing_of_the_hosts(monkeypatch):
    """What the host's environment names for its own resource is not there."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=secret")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "secret")
    found = resource_of(Report(APP, {"uuid": "a", "num_cpu": 2}))

    assert (dict(found.attributes), found.schema_url) == (
        {"service.name": "myengine", "service.instance.id": "a", "otel_usage.cpu.logical_count": 2},
        SCHEMA_URL,
    )
