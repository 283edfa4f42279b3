"""The proxy and whoever sends: nothing of a client is in any file, whatever becomes of the request."""

from __future__ import annotations

import contextlib
import time

import pytest
from nginx import Nginx, is_cut
from otlp import found, request
from programs import wait_for
from refusals import REFUSALS, refusals
from search import seen_below

pytestmark = pytest.mark.slow

CLIENT = "127.0.0.77"
QUERY, NAME, GARBAGE = "secret-in-a-query", "secret-in-a-name.example", "secret-that-is-no-tls"
HEADERS = {
    "x-key": "secret-in-a-header", "user-agent": "secret-in-a-user-agent", "authorization": "secret-of-an-authorization",
    "cookie": "secret=in-a-cookie", "referer": "https://secret-in-a-referer.example", "host": "secret-in-a-host.example",
    "x-forwarded-for": "203.0.113.77", "forwarded": "for=198.51.100.77", "x-real-ip": "192.0.2.77",
    "traceparent": "00-7c1d5fa0b9e24c3386d1e0f25a47b877-5be01c86d3f0a277-01", "baggage": "secret=in-baggage",
}  # fmt: skip
MARKS = {CLIENT, QUERY, NAME, GARBAGE, *HEADERS.values(), "203.0.113.77", "198.51.100.77", "192.0.2.77"}


def try_everything(gateway, proxy):
    """Send a report from an address, and have all refused that can be, with a mark beside each; return the statuses."""
    beside = {name.replace("-", "_"): value for name, value in HEADERS.items()}
    path = f"/v1/traces?key={QUERY}"

    def ask(body=b"", **more):
        return proxy.ask(path, body, source=CLIENT, name=NAME, **{**beside, **more})

    answers = {"report": ask(request({}).SerializeToString()), "junk": ask(b"junk"), **refusals(proxy, QUERY, CLIENT)}
    with contextlib.suppress(OSError), proxy.plain(CLIENT) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01" + GARBAGE.encode() * 40)
        connection.recv(4096)
    with proxy.connect(CLIENT) as stalled:
        stalled.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\n".encode())
        answers["stalled"] = is_cut(stalled, time.monotonic() + 20)
    with contextlib.ExitStack() as stack:
        for _ in range(17):
            stack.enter_context(proxy.begin(CLIENT))
        time.sleep(0.5)  # each worker of nginx has seen them
        answers["too many open"] = ask()
    answers["too many"] = max(ask() for _ in range(80))
    gateway.kill()
    answers["no collector"] = wait_for(lambda: (status := ask()) != 429 and status)
    return answers


TRIED = {**REFUSALS, "report": 200, "junk": 400, "stalled": True, "too many open": 429, "too many": 429, "no collector": 502}


def test_nothing_of_a_client_is_in_any_file_whatever_is_refused(tmp_path, gateway, proxy):
    """Neither address, query, header nor name: not in nginx's directory, nor in the collector's queue, data or log."""
    answers = try_everything(gateway, proxy)
    running, files = seen_below(tmp_path, *MARKS), proxy.files
    proxy.kill()

    assert answers == TRIED
    assert running | seen_below(tmp_path, *MARKS) == set()
    assert len(found(gateway.requests)) == 1
    assert (files, proxy.log) == ({proxy.log_path}, "")


def test_same_marks_are_found_where_nginx_writes_of_its_requests(tmp_path, start, gateway, authority):
    """The test above can fail: with the log of errors that nginx has by default the address and the query are in it."""
    proxy = start(Nginx(tmp_path, gateway, authority, ("error_log /dev/null emerg", "error_log stderr error")))
    answers = try_everything(gateway, proxy)

    assert answers == TRIED
    assert seen_below(tmp_path, *MARKS) == {CLIENT, QUERY, HEADERS["host"], HEADERS["referer"]}
