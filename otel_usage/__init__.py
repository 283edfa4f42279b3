"""Report which hardware and settings a project is used with: anonymously, visibly, only if the user lets it."""

from otel_usage.app import App
from otel_usage.environment import EnvironmentFact
from otel_usage.facts import Fact
from otel_usage.marker import child_env, suppress
from otel_usage.reporter import UsageReporter
from otel_usage.version import __version__

__all__ = ["App", "EnvironmentFact", "Fact", "UsageReporter", "__version__", "child_env", "suppress"]
