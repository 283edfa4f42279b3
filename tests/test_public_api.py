"""The public names, pinned: a new one is a decision."""

import inspect

import otel_usage
from otel_usage import App, Fact, UsageReporter, testing


def test_the_public_names_are_these():
    """What an adopter may import from the package."""
    assert otel_usage.__all__ == ["App", "EnvironmentFact", "Fact", "UsageReporter", "__version__", "child_env", "suppress"]
    assert sorted(otel_usage.__all__) == otel_usage.__all__


def test_the_signatures_are_these():
    """What an adopter may pass, by name and default."""
    signatures = {part: str(inspect.signature(part)).replace("'", "") for part in (Fact, App, UsageReporter.report)}

    assert signatures == {
        Fact: "(key: str, type: type[Scalar], *, why: str, values: Iterable[str] | None = None, pattern: str | None = None, "
        "open: str | None = None, attribute: str | None = None, unit: str | None = None, step: float | None = None, "
            "minimum: float | None = None, maximum: float | None = None, "
        "on: str = report, since: str | None = None, deprecated: str | None = None) -> None",
        App: "(name: str, *, version: str | Callable[[], str | None] | None = None, endpoint: str | None = None, "
        "facts: Iterable[Fact] = (), contexts: Iterable[str] = (API_SERVER, BATCH_RUNNER, COMMAND_LINE, LIBRARY), "
        "wire: str = otlp, leading: Iterable[str] = ()) -> None",
        UsageReporter.report: "(self, facts: Mapping[str, object] | None = None, /, *, context: str | None = None, "
        "force: bool = False, **more: object) -> None",
    }


def test_every_public_part_says_what_it_does():
    """Docstrings with a first line, on each public class and method."""
    parts = [getattr(otel_usage, name) for name in otel_usage.__all__ if name != "__version__"] + [testing.capture]
    methods = [m for part in parts for name, m in inspect.getmembers(part, callable) if not name.startswith("_")]

    assert [part for part in parts + methods if not inspect.getdoc(part)] == []
