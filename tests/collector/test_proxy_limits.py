"""The limits of the proxy: what is too much, too large, too slow or something else is refused, and nobody else suffers."""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import ssl
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from nginx import BOMB, PROTOBUF, Http2, Nginx, header, is_cut, with_headers
from otlp import sized
from programs import CONFIG

pytestmark = pytest.mark.slow

CLIENT, OTHER = "127.0.0.77", "127.0.0.78"
MOST = 36 * 1024


def statuses(proxy, count, source):
    """Return how often which status came, of quick requests over one connection."""
    with contextlib.closing(http.client.HTTPConnection("localhost", proxy.port)) as client:
        client.sock = proxy.connect(source)
        seen = Counter()
        for _ in range(count):
            client.request("POST", "/v1/traces", b"", {"content-type": PROTOBUF})
            with client.getresponse() as reply:
                seen[reply.status] += 1
                reply.read()
        return seen


def test_client_that_sends_too_much_is_limited_and_another_is_not(proxy):
    """100 quick requests: the burst passes, the rest is told to come again, over HTTP/2 as well."""
    seen = statuses(proxy, 100, CLIENT)
    answer = Http2(proxy, "/v1/traces", CLIENT).finish()

    assert set(seen) == {200, 429}
    assert 51 <= seen[200] < 80
    assert answer[":status"] == "429"
    assert proxy.ask(source=OTHER) == 200


class Balanced(Nginx):
    """An nginx behind a load balancer that tells it by the PROXY protocol who the client is."""

    def __init__(self, directory, gateway, authority):
        super().__init__(
            directory, gateway, authority, ("ssl http2;", "ssl http2 proxy_protocol;"),
            ("        limit_req zone", "        set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;\n        limit_req zone"),
        )  # fmt: skip

    def plain(self, source="2001:db8::1"):
        """Return a connection that a balancer has made for a client."""
        connection = super().plain()
        family = "TCP6" if ":" in source else "TCP4"
        connection.sendall(f"PROXY {family} {source} {source} 1 443\r\n".encode())
        return connection


def test_clients_of_one_ipv6_network_are_one_client(tmp_path, start, gateway, authority):
    """The /64 is counted, since whoever has one address of it has them all; its neighbour is another client."""
    proxy = start(Balanced(tmp_path, gateway, authority))
    seen = statuses(proxy, 100, "2001:db8:1:2::1")

    assert set(seen) == {200, 429}
    assert proxy.ask(source="2001:db8:1:2:ffff:ffff:ffff:ffff") == 429
    assert proxy.ask(source="2001:db8:1:3::1") == 200
    assert proxy.ask(source="192.0.2.1") == 200


def asked_until(proxy, status):
    """Ask at most 15 times, fewer than the rate allows; tell whether the status came."""
    for _ in range(15):
        if proxy.ask(source=CLIENT) == status:
            return True
        time.sleep(0.1)
    return False


def test_client_has_so_many_requests_open_and_no_more(proxy):
    """16 at a time for one client, until one of them ends; another client has its own."""
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(proxy.begin(CLIENT))

        assert asked_until(proxy, 429)
        assert proxy.ask(source=OTHER) == 200

    assert asked_until(proxy, 200)


def test_page_says_how_many_reports_an_hour_one_address_may_send():
    """The rate and the burst of the proxy's own configuration, since each request has one report that counts."""
    text = (CONFIG / "proxy" / "nginx.conf").read_text()
    rate, burst = (int(re.search(pattern, text)[1]) for pattern in (r"rate=(\d+)r/s", r"burst=(\d+) "))
    page = (CONFIG / "README.md").read_text()

    assert f"{rate} requests a second and {burst} at once, so at most {3600 * rate + burst:,} reports an hour" in page


def test_body_has_36_kib_at_most(proxy, gateway):
    """A byte more is refused before the gateway hears of it, over HTTP/2 and of a length that is not said as well."""
    largest, larger = sized(MOST), sized(MOST + 1)
    over_http2 = [Http2(proxy, "/v1/traces", CLIENT).finish(body)[":status"] for body in (largest, larger)]

    assert [proxy.ask(body=body) for body in (largest, larger)] == [200, 413]
    assert over_http2 == ["200", "413"]


def passed_on(server):
    """Tell whether somebody has connected to a server."""
    return bool(select.select([server], [], [], 0.5)[0])


def test_request_reaches_the_collector_only_when_it_is_whole(tmp_path, start, authority):
    """So that a slow client occupies the proxy and never the collector."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = start(Nginx(tmp_path, SimpleNamespace(http=f"http://127.0.0.1:{server.getsockname()[1]}"), authority))
        with Http2(proxy, "/v1/traces") as asked:
            asked.send(b"x" * 1000)
            early = passed_on(server)
            asked.end()

            assert not early
            assert passed_on(server)


def test_client_that_is_too_slow_is_cut(proxy):
    """Whoever says nothing, sends a header bit by bit, or stops within a body, over HTTP/1.1 and HTTP/2."""
    slow = {
        "no handshake": proxy.plain(),
        "no request": proxy.connect(),
        "header bit by bit": proxy.connect(),
        "body": proxy.begin(),
        "no HTTP/2": proxy.connect("127.0.0.1", "h2"),
    }
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        for connection in slow.values():
            stack.enter_context(connection)
        for byte in b"POST /v1/traces HTTP/1.1":
            with contextlib.suppress(OSError):  # it is cut in the midst of it
                slow["header bit by bit"].sendall(bytes([byte]))
            time.sleep(0.3)
        ended = {name for name, connection in slow.items() if is_cut(connection, begun + 20)}

    assert ended == set(slow)
    assert proxy.ask() == 200


def test_tls_is_of_today(proxy):
    """Versions before 1.2 are refused; HTTP/2 is offered."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(proxy.authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with proxy.plain() as connection, pytest.raises(ssl.SSLError, match="VERSION"):
        old.wrap_socket(connection, server_hostname="localhost")

    with proxy.connect("127.0.0.1", "h2", "http/1.1") as connection:
        assert (connection.version(), connection.selected_alpn_protocol()) == ("TLSv1.3", "h2")


def test_headers_that_refer_to_each_other_take_no_memory(proxy):
    """HTTP/2 can name a header of 4,000 bytes by one: such a request ends at once, and the next one is served."""
    bomb = with_headers(header(b"x-bomb", b"x" * 4000), BOMB * 100_000)
    for _ in range(20):
        with contextlib.suppress(OSError), proxy.connect(CLIENT, "h2") as connection:
            connection.sendall(bomb)
            while connection.recv(65536):
                pass

    assert proxy.memory < 64 * 2**20
    assert proxy.ask(source=OTHER) == 200
