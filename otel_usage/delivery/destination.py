"""Where reports go: to the project's endpoint, to the operator's own collector, to both or nowhere.

It is resolved once, in the thread of the caller, since a host may set OpenTelemetry's variables for itself later.
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
    """One place that reports are sent to.

    Attributes:
        kind: `project` or `otlp`.
        url: The complete URL of requests.
        wire: For a project `otlp` or `json`; for the operator's collector `http/protobuf`, `grpc`, `http/json` or
            `unknown`.
        by_operator: Whether the operator named it.
    """

    __slots__ = ("by_operator", "kind", "url", "wire")

    def __init__(self, kind: str, url: str, wire: str, *, by_operator: bool) -> None:
        self.kind, self.url, self.wire, self.by_operator = kind, url, wire, by_operator

    @property
    def endpoint(self) -> str:
        """The URL without user, password, query and fragment; a fixed text if the URL is invalid or ambiguous."""
        found = place(self.url)
        return HIDDEN if found is None else found.shown

    @property
    def clear(self) -> bool:
        """Whether the URL is valid and unambiguous. Otherwise nothing is sent there.

        Over gRPC a URL must not have a user either: gRPC would look up user and host together as the host's name.
        """
        return place(self.url) is not None and not (self.wire == GRPC and "@" in self.url)

    @property
    def key(self) -> str:
        """Identifies the destination in the outbox: kind, wire, scheme, host, port and path, and no secret."""
        return f"{self.kind} {self.wire} {self.endpoint}"

    @property
    def loopback(self) -> bool:
        """Whether the destination is on this machine."""
        return is_loopback(self.url)

    def gets_exact_time(self, app: App) -> bool:
        """Tell whether spans sent there keep their exact time instead of one cut to the hour.

        Only one destination gets the exact time, since two could join their data by it. That is the project if its
        wire is `json`, which posts the exact line of the local file; otherwise the operator's own collector.
        """
        return self.kind == "otlp" and app.wire != "json"


def resolve(app: App, environ: Mapping[str, str] | None = None, *, endpoint: str | None) -> list[Destination]:
    """Return the destinations of an app, the project's first.

    Args:
        app: The app that reports.
        environ: The environment variables; `os.environ` by default.
        endpoint: The endpoint that the adopter declared; None on the command line.
    """
    environ = os.environ if environ is None else environ
    chosen = exporters(environ)
    server = environ.get(f"{app.name.upper()}_USAGE_STATS_SERVER") or None
    project = server or endpoint
    found = []
    if project and (not chosen or "project" in chosen):
        url = project if app.wire == "json" else traces_url(project)
        found.append(Destination("project", url, app.wire, by_operator=server is not None))
    if "otlp" in chosen or (not chosen and _implies_otlp(environ)):
        found.append(_operators_collector(environ))
    return found


def traces_url(endpoint: str) -> str:
    """Append /v1/traces to the path of a base URL, unless the path ends with it."""
    base, mark, query = endpoint.partition("?")
    base = base.rstrip("/")
    return f"{base if base.endswith(TRACES_PATH) else base + TRACES_PATH}{mark}{query}"


def _implies_otlp(environ: Mapping[str, str]) -> bool:
    """Tell whether the operator has set an OTLP endpoint, and OTEL_TRACES_EXPORTER does not exclude OTLP."""
    tracing = environ.get("OTEL_TRACES_EXPORTER")
    wanted = tracing is None or "otlp" in [word.strip() for word in tracing.split(",")]
    return wanted and any(_endpoints(environ))


def _endpoints(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the OTLP endpoints that the operator set for traces and for all signals; empty if unset."""
    return (environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""), environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))


def _operators_collector(environ: Mapping[str, str]) -> Destination:
    exact, base = _endpoints(environ)
    wire = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if not wire:
        wire = GRPC if _looks_like_grpc(exact or base) else HTTP
    if wire == GRPC:
        url = exact or base or "http://localhost:4317"
    else:
        url = exact or traces_url(base or "http://localhost:4318")
    known = wire.strip() if wire.strip() in PROTOCOLS else "unknown"  # the variable may hold anything, even a secret
    return Destination("otlp", url, known, by_operator=True)


def _looks_like_grpc(endpoint: str) -> bool:
    authority = endpoint.partition("://")[2].partition("/")[0]
    return endpoint.startswith("grpc://") or authority.endswith(":4317")
