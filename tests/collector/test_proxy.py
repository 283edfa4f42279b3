"""The real nginx with the proxy configuration before a real gateway: what passes, and what of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from collector import Collector
from nginx import PROTOBUF, Http2, Nginx
from otlp import found, request
from real_report import OVER_HTTP, report

from otel_usage.facts.admission import admit_attributes
from otel_usage.facts.report import Report

pytestmark = pytest.mark.slow


@pytest.fixture
def before(tmp_path, start, authority, receiver):
    """A real nginx before a receiver that keeps what reaches it."""
    return start(Nginx(tmp_path, SimpleNamespace(http=receiver.url), authority))


@pytest.mark.parametrize("protocol", OVER_HTTP, ids=lambda given: "-".join(given.values()))
def test_report_arrives_through_the_proxy_with_exactly_its_attributes(home, gateway, proxy, protocol):
    """The stock exporter over TLS, trusting the authority as an operator has them do."""
    wanted = report(proxy, home, OTEL_EXPORTER_OTLP_CERTIFICATE=str(proxy.authority), **protocol)
    (span,) = found(gateway.requests)

    assert span[2:] == wanted


def test_otlp_over_http_is_taken_over_http2_too(gateway, proxy):
    """The version of HTTP is the client's choice."""
    answer = Http2(proxy, "/v1/traces").finish(request({}).SerializeToString())

    assert answer[":status"] == "200"
    assert len(found(gateway.requests)) == 1


def test_collector_gets_the_body_its_kind_and_nothing_else_of_a_client(before, receiver):
    """Neither a header nor the query, whatever they are called; a kind in the proxy's own words."""
    body = request({}).SerializeToString()
    status = before.ask(
        "/v1/traces?key=1", body, content_type="application/x-protobuf; x=1", user_agent="me", cookie="a=b", referer="r",
        authorization="Bearer t", x_forwarded_for="203.0.113.77", forwarded="for=203.0.113.77", x_real_ip="203.0.113.77",
        traceparent="00-7c1d5fa0b9e24c3386d1e0f25a47b877-5be01c86d3f0a277-01", baggage="a=b", x_key="1", accept="*/*",
    )  # fmt: skip

    assert status == 200
    assert receiver.only.path == "/v1/traces"
    assert sorted(receiver.only.headers) == [
        ("content-length", str(len(body))), ("content-type", PROTOBUF), ("host", "gateway_http"),
    ]  # fmt: skip


@pytest.mark.parametrize("status", [429, 503])
def test_answer_to_come_again_reaches_the_client_as_it_is(before, receiver, status):
    """With its Retry-After; and the proxy has sent the report once."""
    receiver.reply = (status, {"retry-after": "7"}, b"")
    with contextlib.closing(http.client.HTTPConnection("localhost", before.port)) as client:
        client.sock = before.connect()
        client.request("POST", "/v1/traces", b"", {"content-type": PROTOBUF})
        reply = client.getresponse()

    assert (reply.status, reply.headers["retry-after"]) == (status, "7")
    assert len(receiver.received) == 1


def test_sealed_report_of_an_app_arrives_through_the_proxy(tmp_path, home, start, authority, made_up_app):
    """What goes to a project's own endpoint, by the sender that no setting of OpenTelemetry reaches."""
    command = Path(sys.executable).with_name("otel-usage")
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ["PYTHONPATH"]}
    run = partial(subprocess.run, check=True, capture_output=True, timeout=30)
    run([command, "collector", "--app", "myengine", "--out", tmp_path / "made"], env=environment)
    gateway = start(Collector(tmp_path, tmp_path / "made" / "gateway.yaml", JAEGER_OTLP="127.0.0.1:9"))
    proxy = start(Nginx(tmp_path, gateway, authority))
    environment |= {"MYENGINE_USAGE_STATS_SERVER": proxy.http, "SSL_CERT_FILE": str(proxy.authority)}
    answer = json.loads(run([command, "--app", "myengine", "report", "--json"], env=environment).stdout)
    facts = {key: value for key, value in answer["line"].items() if value is not None}
    made = Report(made_up_app, facts)

    ((_, _, *attributes),) = found(gateway.requests)

    assert [sent["destination"] for sent in answer["deliveries"]] == ["project"]
    assert attributes == [admit_attributes(made_up_app, made.attributes(place), place)[0] for place in ("resource", "span")]
