"""Where reports go: the project's endpoint, the operator's own collector, both or nowhere.

Resolved once, on the caller's thread, since a host may set OpenTelemetry's variables for itself later on.
"""

from __future__ import annotations

import os

from otel_usage.consent import exporters
from otel_usage.system.urls import is_loopback, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_usage.facts.app import App

TRACES_PATH = "/v1/traces"
HTTP, GRPC = "http/protobuf", "grpc"
PROTOCOLS = (HTTP, GRPC, "http/json")
HIDDEN = "(a URL that is not clear)"
UNCLEAR = (
    "not sent: the URL is not valid, or can be read in two ways; "
    r"in a user and password write / ? # @ \ as %2F %3F %23 %40 %5C"
)


class Destination:
    """One place that reports go to.

    kind: "project" or "otlp". url: where to, complete. wire: "otlp" or "json" for a project, "http/protobuf",
    "grpc" or what else the operator wrote for `otlp`. by_operator: whether the operator named it.
    """

    __slots__ = ("by_operator", "kind", "url", "wire")

    def __init__(self, kind: str, url: str, wire: str, *, by_operator: bool) -> None:
        self.kind, self.url, self.wire, self.by_operator = kind, url, wire, by_operator

    @property
    def endpoint(self) -> str:
        """The URL as it may be shown: without user, password, query and fragment; nothing of one that is unclear."""
        found = place(self.url)
        return HIDDEN if found is None else found.shown

    @property
    def clear(self) -> bool:
        """Whether the URL can be read in one way only; else nothing is sent, and all such share a key.

        Over gRPC it has no user: the whole of it would be looked up as the host's name.
        """
        return place(self.url) is not None and not (self.wire == GRPC and "@" in self.url)

    @property
    def key(self) -> str:
        """What tells it from others: kind, wire, scheme, host, port and path, and nothing secret."""
        return f"{self.kind} {self.wire} {self.endpoint}"

    @property
    def loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return is_loopback(self.url)

    def gets_exact_time(self, app: App) -> bool:
        """Tell whether spans keep their exact time towards it, rather than one that is cut to the hour.

        Only one destination gets the exact time, since two that both have it can join their data by it: the project
        where its wire is `json`, which posts the exact line of the file, else the operator's own collector.
        """
        return self.kind == "otlp" and app.wire != "json"


def resolve(app: App, environ: Mapping[str, str] | None = None, *, endpoint: str | None) -> list[Destination]:
    """Return the destinations of `app`, the project's first.

    endpoint: the adopter's, None on the command line. environ: os.environ by default.
    """
    environ = os.environ if environ is None else environ
    chosen = exporters(environ)
    server = environ.get(f"{app.name.upper()}_USAGE_STATS_SERVER") or None
    project = server or endpoint
    found = []
    if project and (not chosen or "project" in chosen):
        url = project if app.wire == "json" else traces_url(project)
        found.append(Destination("project", url, app.wire, by_operator=server is not None))
    if "otlp" in chosen or (not chosen and _implied(environ)):
        found.append(_operators_own(environ))
    return found


def traces_url(endpoint: str) -> str:
    """Append /v1/traces to a base URL, before its query, unless it ends so already."""
    base, mark, query = endpoint.partition("?")
    base = base.rstrip("/")
    return f"{base if base.endswith(TRACES_PATH) else base + TRACES_PATH}{mark}{query}"


def _implied(environ: Mapping[str, str]) -> bool:
    """Tell whether the operator pointed OTLP at a collector, for traces too."""
    tracing = environ.get("OTEL_TRACES_EXPORTER")
    wanted = tracing is None or "otlp" in [word.strip() for word in tracing.split(",")]
    return wanted and any(_endpoints(environ))


def _endpoints(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return what the operator set for traces alone and for all signals; empty counts as unset."""
    return (environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""), environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))


def _operators_own(environ: Mapping[str, str]) -> Destination:
    exact, base = _endpoints(environ)
    wire = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if not wire:
        wire = GRPC if _looks_like_grpc(exact or base) else HTTP
    if wire == GRPC:
        url = exact or base or "http://localhost:4317"
    else:
        url = exact or traces_url(base or "http://localhost:4318")
    known = wire.strip() if wire.strip() in PROTOCOLS else "unknown"  # it may hold anything, a secret included
    return Destination("otlp", url, known, by_operator=True)


def _looks_like_grpc(endpoint: str) -> bool:
    authority = endpoint.partition("://")[2].partition("/")[0]
    return endpoint.startswith("grpc://") or authority.endswith(":4317")
