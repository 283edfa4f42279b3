"""Destinations follow from what the adopter declares and what the operator sets."""

import socket

import pytest

from otel_usage import App
from otel_usage.delivery.destination import Destination, resolve, traces_url
from otel_usage.delivery.exporters.otlp import OTLPSender
from otel_usage.delivery.exporters.project_sender import ProjectSender
from otel_usage.system.urls import is_loopback

PROJECT = ("project", "https://stats.example.org/v1/traces", "otlp", False)


def resolved(environ, *, endpoint="https://stats.example.org", wire="otlp"):
    """Return the destinations as tuples."""
    app = App("myengine", endpoint=endpoint, wire=wire)
    return [(to.kind, to.url, to.wire, to.by_operator) for to in resolve(app, environ, endpoint=endpoint)]


@pytest.mark.parametrize(
    ("environ", "destinations"),
    [
        ({}, [PROJECT]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, [PROJECT, ("otlp", "http://c:4318/v1/traces", "http/protobuf", True)]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, [PROJECT]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "console"}, [PROJECT]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "console, otlp"},
         [PROJECT, ("otlp", "http://c:4318/v1/traces", "http/protobuf", True)]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, [PROJECT]),
        ({"OTEL_USAGE_EXPORTER": "project"}, [PROJECT]),
        ({"OTEL_USAGE_EXPORTER": "project", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, [PROJECT]),
        ({"OTEL_USAGE_EXPORTER": "otlp"}, [("otlp", "http://localhost:4318/v1/traces", "http/protobuf", True)]),
        ({"OTEL_USAGE_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, [("otlp", "http://localhost:4317", "grpc", True)]),
        ({"OTEL_USAGE_EXPORTER": "none"}, []),
        ({"OTEL_USAGE_EXPORTER": "otlp,project", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c/custom"},
         [PROJECT, ("otlp", "https://c/custom", "http/protobuf", True)]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://c:9999"}, [PROJECT, ("otlp", "grpc://c:9999", "grpc", True)]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, [PROJECT, ("otlp", "http://c:4317", "grpc", True)]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
         [PROJECT, ("otlp", "http://c:4317/v1/traces", "http/protobuf", True)]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
          "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
         [PROJECT, ("otlp", "http://c:4318/v1/traces", "http/protobuf", True)]),
        ({"MYENGINE_USAGE_STATS_SERVER": "http://mine:1"}, [("project", "http://mine:1/v1/traces", "otlp", True)]),
        ({"MYENGINE_USAGE_STATS_SERVER": ""}, [PROJECT]),
    ],
)  # fmt: skip
def test_the_destinations_are_those_that_were_named(environ, destinations):
    """Each row of docs/design.md, "Destinations", holds: from the settings to the destinations."""
    assert resolved(environ) == destinations


def test_without_an_endpoint_there_is_no_project():
    """The command line declares no endpoint; only the operator's variable adds one there."""
    named = {"MYENGINE_USAGE_STATS_SERVER": "https://mine"}

    assert (resolved({}, endpoint=None), resolved(named, endpoint=None)) == (
        [],
        [("project", "https://mine/v1/traces", "otlp", True)],
    )


def test_json_goes_to_the_url_as_it_is():
    """The path is appended for OTLP only, and the operator's URL does not change the wire."""
    named = {"MYENGINE_USAGE_STATS_SERVER": "https://mine/in?x=1"}

    assert (resolved({}, wire="json"), resolved(named, wire="json")) == (
        [("project", "https://stats.example.org", "json", False)],
        [("project", "https://mine/in?x=1", "json", True)],
    )


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://s", "https://s/v1/traces"),
        ("https://s/", "https://s/v1/traces"),
        ("https://s/otlp", "https://s/otlp/v1/traces"),
        ("https://s/v1/traces", "https://s/v1/traces"),
        ("https://s/v1/traces/", "https://s/v1/traces"),
        ("https://s/a?key=1", "https://s/a/v1/traces?key=1"),
    ],
)
def test_the_path_is_appended_to_a_base_url_once(base, url):
    """OpenTelemetry does the same with OTEL_EXPORTER_OTLP_ENDPOINT."""
    assert traces_url(base) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host:1/path?key=secret#x", "https://host:1/path"),
        ("https://host", "https://host"),
        ("host:4317", "host:4317"),
        ("https://a@b@host/", "https://host/"),
    ],
)
def test_a_url_is_shown_without_user_and_query(url, shown):
    """Both may hold a secret."""
    assert Destination("otlp", url, "grpc", by_operator=True).endpoint == shown


UNCLEAR = [
    "https://user:SE/CRET@host", "https://user:SE?CRET@host", "https://user:SE#CRET@host", "https://user:SE\\CRET@host",
    "//user:SECRET@host/", "user:SE/CRET@host", "https://user:SECRET", "user:SECRET", "https:///user:SECRET@host",
    "https://user%3ASECRET%40host", "https://user:SE/CRET%40host", "https://user/SECRET@host", "https://user:SECRET@", "https://user:1/SECRET@host",
    "https://[::1]SECRET@host]", "https://[::1]:SECRET", "https://user:SECRET@host:port", "https://user:SECRET@ho st",
    "https://user:SECRET@host\n", "https://user:SECRET@host\uff0fx", "https://user:SECRET@\uff20host", "ht~tps://user:SECRET@host", "://user:SECRET@host",
    "https://host/in?to=me@SECRET", "https://user:a@b:SECRET/@host",
]  # fmt: skip


@pytest.mark.parametrize("url", UNCLEAR)
@pytest.mark.parametrize(("kind", "wire"), [("project", "otlp"), ("project", "json"), ("otlp", "http/protobuf"), ("otlp", "grpc")])
def test_a_url_that_can_be_read_in_two_ways_is_not_shown_not_loopback_and_not_sent_to(monkeypatch, url, kind, wire):
    """A reader could take a part of the password for a path, or a name in it for the host."""
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    destination = Destination(kind, url, wire, by_operator=True)
    sender = ProjectSender(destination, lambda: True)
    outcome = sender.send_line("{}") if kind == "project" else OTLPSender(destination, lambda: True).send([], None)
    shown = (destination.endpoint, destination.key.split(" ", 2)[2])

    assert shown == ("(a URL that is not clear)",) * 2
    assert (outcome.ok, outcome.again, outcome.detail) == (
        False, False, "not sent: the URL is not valid, or can be read in two ways; in a user and password write / ? # @ \\ as %2F %3F %23 %40 %5C",
    )  # fmt: skip
    assert is_loopback(url) is False


@pytest.mark.parametrize("url", UNCLEAR)
def test_an_app_can_not_declare_an_unclear_endpoint(url):
    """The declaration raises an error."""
    with pytest.raises(ValueError, match="the endpoint must be a URL"):
        App("myengine", endpoint=url)


def test_over_grpc_a_user_is_refused(monkeypatch):
    """A gRPC client would look the user up as a part of the host's name, and the DNS server would see it."""
    destination = Destination("otlp", "http://user:SECRET@host:4317", "grpc", by_operator=True)

    assert (destination.endpoint, destination.clear) == ("http://host:4317", False)


@pytest.mark.parametrize("url", [
    "https://user:se%2Fcret@host:1/path", "http://[::1]:4318/v1/traces", "unix:///run/otel.sock", "unix:/run/otel.sock", "localhost:4317",
    "[::1]:4317", "dns:///collector:4317", "https://HOST/a%20b", "https://user:p;w@host",
])  # fmt: skip
def test_a_url_that_can_be_read_in_one_way_is_clear(url):
    """This holds with an encoded password, an address, the path of a socket, or no scheme."""
    assert Destination("otlp", url, "http/protobuf", by_operator=True).clear is True


def test_a_protocol_that_there_is_not_is_not_shown():
    """It may be a URL in the wrong variable."""
    environ = {"OTEL_USAGE_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "https://user:SECRET@host"}
    (destination,) = resolve(App("myengine"), environ, endpoint=None)

    assert destination.key == "otlp unknown http://localhost:4318/v1/traces"


def test_destinations_that_differ_have_keys_that_differ():
    """The key has kind, wire, scheme, host, port and path: a report that waits for one destination is never sent to another."""
    places = [("project", "https://h", "otlp"), ("otlp", "https://h", "http/protobuf"), ("otlp", "https://h", "grpc"), ("otlp", "http://h", "grpc"),
              ("otlp", "https://h:1", "grpc"), ("otlp", "https://h/1", "grpc"), ("otlp", "https://[::1]:1", "grpc"), ("otlp", "https://u:p@i", "grpc")]  # fmt: skip
    keys = {Destination(kind, url, wire, by_operator=True).key for kind, url, wire in places}

    assert len(keys) == len(places)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost:4318", True), ("http://LOCALHOST", True), ("http://127.0.0.1", True), ("http://127.9.9.9:1/x", True),
        ("http://[::1]:4318/x", True), ("http://u:p@127.0.0.1", True), ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False), ("http://127.0.0.1@example.org", False), ("http://128.0.0.1", False), ("http://evil.example.org#@localhost", False),
        ("http://127.0.0.1\\@evil.example.org", False), ("http://localhost:x/@evil.example.org", False), ("http://[::1]evil.example.org", False),
        ("http://0127.0.0.1", False), ("http://127.0.0.1%2e", False), (f"http://127.0.0.{'1' * 5000}", False), ("http://u@v@127.0.0.1", True),
        ("http://127.0.0.256", False), ("http://[::2]", False), ("http://0.0.0.0", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(url, loopback):
    """Loopback is localhost, 127.0.0.0/8 and ::1."""
    assert is_loopback(url) is loopback
