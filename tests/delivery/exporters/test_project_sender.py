"""The project's sender tells an accepted report from a refused one and from one that is to be tried again."""

import pytest
from myengine_app import APP
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otel_usage.delivery.destination import Destination
from otel_usage.delivery.exporters import project_sender
from otel_usage.delivery.exporters.connection import ExchangeError
from otel_usage.delivery.exporters.outcome import STOPPED
from otel_usage.delivery.exporters.project_sender import ProjectSender
from otel_usage.facts.report import Report

PROTOBUF = {"content-type": "application/x-protobuf"}
REJECTED = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="SECRET"))
WARNED = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(error_message="SECRET"))
NOT_OTLP = "answered 200, but not as an OTLP receiver does"


def sender(url, wire="otlp", allowed=lambda: True, *, by_operator=False):
    """Return a sender to a URL."""
    return ProjectSender(Destination("project", url, wire, by_operator=by_operator), allowed)


def sent(receiver, reply, wire="otlp"):
    """Send a report to a receiver that gives this reply, and return the outcome."""
    receiver.reply = reply
    to = sender(receiver.url + "/v1/traces", wire)
    outcome = to.send_line(Report(APP, {}).line) if wire == "json" else to.send([], ExportTraceServiceRequest())
    return outcome.ok, outcome.again, outcome.detail


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((200, PROTOBUF, b""), (True, False, "accepted (200)")),
        ((200, {"content-type": "application/x-protobuf; x=1"}, b""), (True, False, "accepted (200)")),
        ((200, PROTOBUF, WARNED.SerializeToString()), (True, False, "accepted (200)")),
        ((200, PROTOBUF, REJECTED.SerializeToString()), (False, False, "refused the report")),
        ((200, {"content-type": "text/html"}, b"<html>Welcome to our wireless network"), (False, True, NOT_OTLP)),
        ((200, {}, b""), (False, True, NOT_OTLP)),
        ((200, {"content-type": "application/json"}, b"{}"), (False, True, NOT_OTLP)),
        ((200, PROTOBUF, b"<html>"), (False, True, NOT_OTLP)),
        ((200, PROTOBUF, b"\x1a\x02hi"), (False, True, NOT_OTLP)),
        ((202, PROTOBUF, b""), (False, True, "answered 202")),
        ((204, {}, b""), (False, True, "answered 204")),
        ((302, {"location": "http://127.0.0.1:9/"}, b""), (False, True, "answered 302")),
        ((307, {"location": "http://127.0.0.1:9/"}, b""), (False, True, "answered 307")),
        ((400, {}, b"SECRET"), (False, False, "refused the report (400)")),
        ((404, {}, b""), (False, False, "refused the report (404)")),
        ((413, {}, b""), (False, False, "refused the report (413)")),
        ((429, {}, b""), (False, True, "answered 429, asks to try later")),
        ((502, {}, b""), (False, True, "answered 502, asks to try later")),
        ((503, {}, b""), (False, True, "answered 503, asks to try later")),
        ((504, {}, b""), (False, True, "answered 504, asks to try later")),
        ((500, {}, b"SECRET"), (False, True, "answered 500")),
    ],
)
def test_over_otlp_only_an_otlp_receivers_yes_is_a_success(receiver, reply, outcome):
    """A captive portal, another 2xx and a redirect are failures; a 4xx is a permanent refusal."""
    assert sent(receiver, reply) == outcome


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((200, {"content-type": "text/html"}, b"ok"), (True, False, "accepted (200)")),
        ((204, {}, b""), (True, False, "accepted (204)")),
        ((301, {"location": "/"}, b""), (False, True, "answered 301")),
        ((422, {}, b""), (False, False, "refused the report (422)")),
        ((503, {}, b""), (False, True, "answered 503, asks to try later")),
    ],
)
def test_over_json_any_2xx_is_a_success(receiver, reply, outcome):
    """Any 2xx is what vLLM's server answers today; everything else is as over OTLP."""
    assert sent(receiver, reply, "json") == outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (299, (True, False, "accepted (299)")),
        (300, (False, True, "answered 300")),
        (399, (False, True, "answered 399")),
        (499, (False, False, "refused the report (499)")),
        (501, (False, True, "answered 501")),
        (505, (False, True, "answered 505")),
    ],
)
def test_each_class_of_answers_ends_where_that_of_http_ends(receiver, status, outcome):
    """An unassigned status counts as its class."""
    assert sent(receiver, (status, {}, b""), "json") == outcome


def test_an_exchange_has_five_seconds_where_nothing_else_is_said(monkeypatch):
    """Both ways to send have it as one time for the whole exchange."""
    given = []

    def post(*_, timeout, **__):
        given.append(timeout)
        raise ExchangeError("SECRET")

    monkeypatch.setattr(project_sender, "post", post)
    sender("https://stats.example.org").send_line("{}")
    sender("https://stats.example.org").send([], ExportTraceServiceRequest())

    assert given == [5.0, 5.0]


@pytest.mark.parametrize("size", [65 * 1024, 10 * 2**20])
@pytest.mark.parametrize("wire", ["otlp", "json"])
def test_a_reply_over_64_kib_is_no_success(receiver, wire, size):
    """It is not read to its end."""
    ok, again, _ = sent(receiver, (200, PROTOBUF, b"\n" * size), wire)

    assert (ok, again) == (False, True)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("120", 120), ("0", 0), ("1000000000", 86400), ("9" * 400, 86400), ("-5", None), ("1e309", None), ("inf", None),
        ("soon", None), ("", None), ("12.5", None), (",,,", None), ("Tue, 24 Nov 2020 10:00:00 GMT", 0),
        ("Wed, 24 Nov 2100 10:00:00 GMT", 86400), ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
    ],
)  # fmt: skip
def test_a_server_can_ask_to_wait_for_a_day_at_most(receiver, retry_after, seconds):
    """Retry-After holds seconds or a date; any other value is ignored."""
    receiver.reply = (503, {"retry-after": retry_after}, b"")

    assert sender(receiver.url).send([], ExportTraceServiceRequest()).after == seconds


@pytest.mark.parametrize(
    ("url", "by_operator", "said", "times"),
    [
        ("http://stats.example.org", False, "not sent: the project's endpoint is not https", 0),
        ("http://stats.example.org", True, STOPPED.detail, 1),
        ("http://127.0.0.1:9", False, STOPPED.detail, 1),
    ],
)
def test_only_https_leaves_the_machine_unless_the_operator_named_the_url(url, by_operator, said, times):
    """A URL that is refused is refused before consent is asked."""
    asked = []

    def allowed():
        asked.append(1)
        return False

    outcome = sender(url, allowed=allowed, by_operator=by_operator).send([], ExportTraceServiceRequest())

    assert (outcome.ok, outcome.again, outcome.detail, asked[:1]) == (False, False, said, [1] * times)


def test_once_opted_out_no_connection_is_made(receiver):
    """Consent is asked right before the connect."""
    outcome = sender(receiver.url, allowed=lambda: False).send([], ExportTraceServiceRequest())

    assert (outcome.ok, outcome.again, receiver.received) == (False, False, [])


def test_a_dead_endpoint_is_said_to_be_so():
    """The outcome is one line for a person, and another attempt may succeed."""
    outcome = sender("http://127.0.0.1:9").send_line("{}")

    assert (outcome.ok, outcome.again, outcome.detail) == (False, True, "connection refused")
