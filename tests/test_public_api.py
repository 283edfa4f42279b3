"""The public names are pinned with every argument, so that each change is a decision."""

import inspect
from importlib.metadata import distribution

import otel_usage
from otel_usage import UsageReporter, testing
from otel_usage.insights import reader
from otel_usage.standalone import detector, exporter, sampler

PARTS = {
    **{name: getattr(otel_usage, name) for name in otel_usage.__all__},
    "testing.capture": testing.capture,
    "insights.reader.read": reader.read,
    "standalone.sampler.ConsentSampler": sampler.ConsentSampler,
    "standalone.sampler.UsageSampler": sampler.UsageSampler,
    "standalone.sampler.from_environment": sampler.from_environment,
    "standalone.exporter.LocalFileSpanExporter": exporter.LocalFileSpanExporter,
    "standalone.detector.HardwareResourceDetector": detector.HardwareResourceDetector,
}
# To pin a change, add the lines that the failure calls new, and remove those that it calls gone.
PINNED = """
App(name: str, *, version: str | Callable[[], str | None] | None = None, endpoint: str | None = None, facts: Iterable[Fact] = (), contexts: Iterable[str] = (API_SERVER, BATCH_RUNNER, COMMAND_LINE, LIBRARY), wire: str = otlp, leading: Iterable[str] = (), default: str = on, questions: Iterable[Question] = ()) -> None
App.attributes
App.attributes_of
App.contexts
App.default
App.endpoint
App.facts
App.heartbeat_keys
App.name
App.questions
App.report_keys
App.facts_by_key
App.version -> str | None
App.version_key
App.warnings(self, environ: Mapping[str, str]) -> list[str]
App.wire
EnvironmentFact(key: str, variables: Iterable[Fact], *, why: str) -> None
EnvironmentFact.admit(self, value: object) -> tuple[Scalar | None, list[str]]
EnvironmentFact.attributes(self, app: str) -> tuple[Attribute, ...]
EnvironmentFact.join(self, values: tuple[Scalar | None, ...]) -> Scalar | None
EnvironmentFact.split(self, value: Scalar) -> tuple[Scalar | None, ...]
EnvironmentFact.variables
Fact(key: str, type: type[Scalar], *, why: str, values: Iterable[str] | None = None, pattern: str | None = None, open: str | None = None, attribute: str | None = None, unit: str | None = None, step: float | None = None, minimum: float | None = None, maximum: float | None = None, on: str = report, since: str | None = None, deprecated: str | None = None, title: str | None = None, public: Iterable[str] | bool | None = None) -> None
Fact.admit(self, value: object) -> tuple[Scalar | None, list[str]]
Fact.attribute
Fact.attributes(self, app: str) -> tuple[Attribute, ...]
Fact.deprecated
Fact.in_file
Fact.join(self, values: tuple[Scalar | None, ...]) -> Scalar | None
Fact.key
Fact.maximum
Fact.minimum
Fact.on
Fact.open
Fact.pattern
Fact.public
Fact.since
Fact.split(self, value: Scalar) -> tuple[Scalar | None, ...]
Fact.step
Fact.title
Fact.type
Fact.unit
Fact.values
Fact.why
Question(title: str, by: Iterable[str], *, measure: str = runs, draw: str = bars, over: str | None = None, subject: str | None = None) -> None
Question.by
Question.draw
Question.measure
Question.over
Question.subject
Question.title
UsageReporter(app: App | str, *, version: str | Callable[[], str | None] | None = None, endpoint: str | None = None, facts: Iterable[Fact] = (), contexts: Iterable[str] = (API_SERVER, BATCH_RUNNER, COMMAND_LINE, LIBRARY), wire: str = otlp, heartbeat: float = 600.0, strict: bool | None = None, logger: Logger | None = None, notice: str | None = None, default: str | None = None) -> None
UsageReporter.close(self) -> None
UsageReporter.dropped -> int
UsageReporter.flush(self, timeout: float = 5.0) -> bool
UsageReporter.notice(self) -> str
UsageReporter.report(self, facts: Mapping[str, object] | None = None, /, *, context: str | None = None, force: bool = False, **more: object) -> None
UsageReporter.set_runtime(self, /, **declared: object) -> None
__version__
child_env() -> dict[str, str]
suppress(app: str, *, by: str) -> None
testing.capture(app: App | str) -> Iterator[list[dict[str, Scalar | None]]]
insights.reader.read(paths: Iterable[str], *, damaged: Callable[[str, str], None] | None = None) -> Iterator[Record]
standalone.sampler.ConsentSampler(app: App | str | None, *, delivers: bool = True, loopback: bool = False) -> None
standalone.sampler.ConsentSampler.get_description(self) -> str
standalone.sampler.ConsentSampler.should_sample(self, parent_context: Context | None, trace_id: int, name: str, kind: SpanKind | None = None, attributes: Attributes = None, links: Sequence[Link] | None = None, trace_state: TraceState | None = None) -> SamplingResult
standalone.sampler.UsageSampler(app: App | str | None) -> None
standalone.sampler.UsageSampler.get_description(self) -> str
standalone.sampler.UsageSampler.should_sample(self, parent_context: Context | None, trace_id: int, name: str, kind: SpanKind | None = None, attributes: Attributes = None, links: Sequence[Link] | None = None, trace_state: TraceState | None = None) -> SamplingResult
standalone.sampler.from_environment(argument: str | None = None) -> Sampler
standalone.exporter.LocalFileSpanExporter(app: App | str | None = None, directory: str | None = None, max_bytes: int = 2097152) -> None
standalone.exporter.LocalFileSpanExporter.export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult
standalone.exporter.LocalFileSpanExporter.shutdown(self) -> None
standalone.detector.HardwareResourceDetector(raise_on_error: bool = False) -> None
standalone.detector.HardwareResourceDetector.detect(self) -> Resource
""".strip().splitlines()
ENTRY_POINTS = """
console_scripts | otel-usage = otel_usage.cli:main
opentelemetry_resource_detector | otel_usage = otel_usage.standalone.detector:HardwareResourceDetector
opentelemetry_sampler | otel_usage = otel_usage.standalone.sampler:from_environment
opentelemetry_traces_exporter | otel_usage_file = otel_usage.standalone.exporter:LocalFileSpanExporter
opentelemetry_traces_sampler | otel_usage = otel_usage.standalone.sampler:from_environment
otel_usage.apps | vllm = otel_usage.integrations.vllm:APP
vllm.general_plugins | otel_usage = otel_usage.integrations.vllm_plugin:register
""".strip().splitlines()


def described(name, part):
    """Return a line for a part, and one for each public name that its class itself defines."""
    if isinstance(part, property):
        return [f"{name} -> {inspect.signature(part.fget).return_annotation}"]
    if not callable(part):
        return [name]
    own = [line for key, value in sorted(vars(part).items()) if not key.startswith("_")
           for line in described(f"{name}.{key}", value)] if inspect.isclass(part) else []  # fmt: skip
    return [f"{name}{inspect.signature(part)}".replace("'", ""), *own]


def test_the_public_names_and_signatures_are_these():
    """An adopter may import, pass and call these: by name, kind, type and default."""
    found = [line for name, part in PARTS.items() for line in described(name, part)]
    new, gone = [line for line in found if line not in PINNED], [line for line in PINNED if line not in found]

    assert (new, gone) == ([], [])
    assert [name for name in vars(UsageReporter("myengine")) if not name.startswith("_")] == ["app"]


def test_the_entry_points_are_these():
    """Other programs find these by name in the installed package."""
    found = sorted(f"{entry.group} | {entry.name} = {entry.value}" for entry in distribution("otel-usage").entry_points)

    assert found == ENTRY_POINTS


def test_every_public_part_says_what_it_does():
    """Each public class and method has a docstring with a first line."""
    parts = [part for part in PARTS.values() if callable(part)]
    methods = [value for part in parts if inspect.isclass(part) for key, value in vars(part).items()
               if not key.startswith("_") and (callable(value) or isinstance(value, property))]  # fmt: skip

    assert [part for part in parts + methods if not inspect.getdoc(part)] == []
    assert len(methods) > 10
