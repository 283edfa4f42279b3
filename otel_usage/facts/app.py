"""An app: a project that reports, and the one table of all that its reports may hold."""

from __future__ import annotations

from otel_usage.facts.builtin import HARDWARE, SERVICE_NAME, UNKNOWN_CONTEXT, UPTIME, run_facts
from otel_usage.facts.declaration import app_problem, as_tuple, pattern_problem
from otel_usage.facts.fact import IDENTIFIER, Attribute, Fact
from otel_usage.facts.question import Question, askable, by_default
from otel_usage.system.urls import is_loopback, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# An app's name is the root of its attributes, so it must not be one of the conventions' own roots.
RESERVED = frozenset(
    "android app artifact aspnetcore aws az azure browser cassandra cicd client cloud cloudevents cloudfoundry code "
    "container cpu cpython daemonset db deployment destination device disk dns dotnet elasticsearch enduser error "
    "event exception faas feature_flag file gcp gen_ai geo go graphql hardware heroku host http hw ios jsonrpc jvm "
    "k8s kestrel linux log mainframe mcp message messaging monitoring_plan net network nfs nodejs oci onc_rpc "
    "openai openshift opentracing oracle oracle_cloud oracledb os otel otel_usage peer pool pprof process profile "
    "profiler rpc security_rule server service session signalr source state statefulset system telemetry test "
    "thread tls url user user_agent v8js vcs webengine zos".split()
)
CONTEXTS = ("API_SERVER", "BATCH_RUNNER", "COMMAND_LINE", "LIBRARY")
PARAMETERS = ("context", "force")
LOWER = "abcdefghijklmnopqrstuvwxyz"
NAME_CHARACTERS = frozenset(LOWER + "0123456789_")
LONGEST_NAME = 32


class App:
    """A project that reports: its name, version, endpoint, facts and contexts.

    name: matches ^[a-z][a-z0-9_]{0,31}$, and is no root namespace of the semantic conventions.
    version: the project's version, or a function that looks it up when a report is made.
    endpoint: a base URL as OTEL_EXPORTER_OTLP_ENDPOINT is, https only unless on loopback; None for none.
    facts: what it declares beside the built-in table. contexts: how it may be started, a closed set.
    wire: "otlp", or "json", which posts the file's line to the endpoint as it is.
    leading: keys of declared facts that stand before the version in the file, for files that exist already.
    default: the mode until the user or the machine sets one: "on", or "local", in which nothing is sent.
    questions: what is asked of its reports, in their order; by default hardware, versions and each declared fact.

    Raises ValueError, at declaration, for whatever can't be used, a fact's pattern included.
    """

    __slots__ = ("_version", "attributes", "attributes_of", "contexts", "default", "endpoint", "facts", "facts_by_key",
                 "heartbeat_keys", "name", "questions", "report_keys", "version_key", "wire")  # fmt: skip
    # What a test has compiled, so that it needs no `re` here: every fact may have the first.
    _tested_patterns: tuple[str, ...] = (IDENTIFIER,)

    def __init__(  # noqa: PLR0913 -- what an adopter declares, each by name
        self,
        name: str,
        *,
        version: str | Callable[[], str | None] | None = None,
        endpoint: str | None = None,
        facts: Iterable[Fact] = (),
        contexts: Iterable[str] = CONTEXTS,
        wire: str = "otlp",
        leading: Iterable[str] = (),
        default: str = "on",
        questions: Iterable[Question] = (),
    ) -> None:
        self.name, self._version, self.endpoint, self.wire = name, version, endpoint, wire
        self.default = default
        self.facts: tuple[Fact, ...] = as_tuple(facts)  # type: ignore[assignment]  # checked below, as the contexts are
        self.contexts: tuple[str, ...] = as_tuple(contexts)  # type: ignore[assignment]
        leads: tuple[object, ...] = as_tuple(leading)  # type: ignore[assignment]
        if problem := app_problem(self, version, leads) or self._problem():
            message = f"app {name!r}: {problem}"
            raise ValueError(message)
        self.contexts = (UNKNOWN_CONTEXT, *(context for context in self.contexts if context != UNKNOWN_CONTEXT))
        self.version_key = f"{name}_version"
        about_run = run_facts(name, self.contexts)
        ordered = (
            *HARDWARE,
            *(fact for fact in self.facts if fact.key in leads),
            *about_run,
            *(fact for fact in self.facts if fact.key not in leads),
            UPTIME,
        )
        #: Every fact by its key, in the order of the file.
        self.facts_by_key = {fact.key: fact for fact in ordered}
        if problem := self._clash([*HARDWARE, *about_run, UPTIME]):
            message = f"app {name!r}: {problem}"
            raise ValueError(message)
        self.report_keys = tuple(fact.key for fact in ordered if fact.in_file and fact.on == "report")
        declared = tuple(fact.key for fact in ordered if fact.in_file and fact.on == "heartbeat")
        self.heartbeat_keys = ("uuid", "log_time", *declared)
        #: What is asked of its reports.
        self.questions = tuple(questions) or by_default(self.facts, self.version_key)
        if problem := self._unanswerable():
            message = f"app {name!r}: {problem}"
            raise ValueError(message)
        #: The attributes that each fact becomes, by its key.
        self.attributes_of = {key: fact.attributes(name) for key, fact in self.facts_by_key.items()}
        #: Every attribute that may leave, by its name.
        self.attributes = {column.name: column for columns in self.attributes_of.values() for column in columns}
        self.attributes[SERVICE_NAME] = Attribute(SERVICE_NAME, str, values=(name,))
        if problem := pattern_problem(self, known=self._tested_patterns):
            message = f"app {name!r}: {problem}"
            raise ValueError(message)

    @property
    def version(self) -> str | None:
        """The project's version, looked up now; None where it is not known, or the look-up fails."""
        try:
            return self._version() if callable(self._version) else self._version
        except Exception:  # noqa: BLE001 -- an adopter's function costs the version, not the report
            return None

    def warnings(self, environ: Mapping[str, str]) -> list[str]:
        """Return what `status` warns of, one line each; an app whose reports depend on other settings overrides it.

        Args:
            environ: The environment variables.
        """
        del environ
        return []

    def _problem(self) -> str | None:
        """Say what is wrong with the name, wire, facts, contexts or endpoint, or None."""
        url = self.endpoint
        secure = url is None or (
            isinstance(url, str)
            and place(url) is not None
            and (url.startswith("https://") or (url.startswith("http://") and is_loopback(url)))
        )
        checks = (
            (not is_name(self.name), "the name must match ^[a-z][a-z0-9_]{0,31}$"),
            (
                is_name(self.name) and self.name in RESERVED,
                "the name is a root namespace of the semantic conventions; choose another",
            ),
            (self.wire not in ("otlp", "json"), 'wire= must be "otlp" or "json"'),
            (not all(isinstance(fact, Fact) for fact in self.facts), "facts= must hold Fact objects"),
            (
                not all(isinstance(c, str) and c.isidentifier() for c in self.contexts),
                "contexts= must hold identifiers",
            ),
            (not secure, "the endpoint must be a URL that starts with https://, or with http:// on loopback"),
        )
        return next((problem for failed, problem in checks if failed), None)

    def _unanswerable(self) -> str | None:
        """Say which question can't be asked, or None."""
        if not all(isinstance(question, Question) for question in self.questions):
            return "questions= must hold Question objects"
        keys = askable(self.facts_by_key.values())
        wrong = ((question.title, key) for question in self.questions for key in question.by if key not in keys)
        return next((f"the question {title!r} names {key!r}, which no report has" for title, key in wrong), None)

    def _clash(self, built_in: list[Fact]) -> str | None:
        """Say which declared key or attribute is taken already, or None."""
        taken = {*(fact.key for fact in built_in), *PARAMETERS}
        names = {SERVICE_NAME, *(a.name for fact in built_in for a in fact.attributes(self.name))}
        for fact in self.facts:
            attributes = [attribute.name for attribute in fact.attributes(self.name)]
            if fact.key in taken:
                return f"the key {fact.key!r} is built in or declared twice; choose another"
            for attribute in attributes:
                if attribute in names:
                    return f"the attribute {attribute!r} of {fact.key!r} is taken; choose another"
                names.add(attribute)
            taken.add(fact.key)
        return None


def is_name(text: object) -> bool:
    """Tell whether `text` matches ^[a-z][a-z0-9_]{0,31}$, without loading `re` for it."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_NAME and text[0] in LOWER and set(text) <= NAME_CHARACTERS
