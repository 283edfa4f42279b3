"""Report which hardware and settings a project is used with: under random ids, visibly, only if the user lets it."""

from otel_usage.facts.app import App
from otel_usage.facts.environment import EnvironmentFact
from otel_usage.facts.fact import Fact
from otel_usage.facts.question import Question
from otel_usage.facts.scope import __version__
from otel_usage.reporter import UsageReporter
from otel_usage.run.marker import child_env, suppress

__all__ = ["App", "EnvironmentFact", "Fact", "Question", "UsageReporter", "__version__", "child_env", "suppress"]
