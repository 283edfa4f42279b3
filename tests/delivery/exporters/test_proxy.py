"""The environment chooses the proxy, and proxy and origin see only what each needs."""

import socket
import threading
import time
import traceback

import pytest

from otel_usage.delivery.exporters.connection import ExchangeError
from otel_usage.delivery.exporters.http import post
from otel_usage.delivery.exporters.proxy import ProxyError, choose

URL = "https://stats.example.org/v1/traces"


def chosen(environ, url=URL):
    """Return host, port and authorization of the proxy, or None for a direct connection."""
    proxy = choose(url, environ)
    return proxy and (proxy.host, proxy.port, proxy.authorization)


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128"}, URL, ("p", 3128, None)),
        ({"https_proxy": "http://p:3128", "HTTPS_PROXY": "http://q:1"}, URL, ("p", 3128, None)),
        ({"HTTPS_PROXY": "http://q:1", "https_proxy": ""}, URL, None),
        ({"HTTPS_PROXY": "p:3128"}, URL, ("p", 3128, None)),
        ({"HTTPS_PROXY": "http://p"}, URL, ("p", 80, None)),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, URL, ("p", 1, None)),
        ({"HTTPS_PROXY": "http://[::1]:3128/"}, URL, ("::1", 3128, None)),
        ({"ALL_PROXY": "http://p:3128"}, URL, ("p", 3128, None)),
        ({"HTTP_PROXY": "http://p:3128"}, URL, None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://c:4318/", ("p", 3128, None)),
        ({"HTTP_PROXY": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://c:4318/", None),
        ({"http_proxy": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://c:4318/", ("p", 3128, None)),
        ({"Http_Proxy": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://c:4318/", None),
        ({"HTTPS_PROXY": "http://p:3128", "REQUEST_METHOD": "GET"}, URL, ("p", 3128, None)),
        ({"HTTPS_PROXY": "http://me:p%40ss@p:3128"}, URL, ("p", 3128, "Basic bWU6cEBzcw==")),
        ({"HTTPS_PROXY": "http://me@p:3128"}, URL, ("p", 3128, "Basic bWU6")),
        ({"ALL_PROXY": "http://p:3128"}, "https://127.0.0.1:4318", None),
        ({"ALL_PROXY": "socks5://p:1080"}, "http://localhost:4318", None),
        ({"ALL_PROXY": "http://p:3128"}, "https://[::1]:4318", None),
        ({"ALL_PROXY": "http://p:3128"}, "https://stats.example.org#@localhost/", ("p", 3128, None)),
        ({"ALL_PROXY": "socks5://p:1080", "NO_PROXY": "example.org"}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128", "no_proxy": "", "NO_PROXY": "*"}, URL, ("p", 3128, None)),
    ],
)
def test_the_variables_that_every_program_heeds_choose_the_proxy(environ, url, proxy):
    """The lower-case name wins, a server's CGI variable does not count, and loopback is always direct."""
    assert chosen(environ, url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", URL, True), ("stats.example.org", URL, True), (".example.org", URL, True), ("example.org", URL, True),
        ("*.example.org", URL, True), ("EXAMPLE.ORG", URL, True), ("other.org, example.org", URL, True), ("ample.org", URL, False),
        ("tats.example.org", URL, False), ("", URL, False), (",", URL, False), ("stats.example.org:443", URL, False),
        ("stats.example.org:8443", "https://stats.example.org:8443/", True), ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False), ("10.1.2.3", "https://10.1.2.3/", True), ("fd00::/8", "https://[fd00::1]/", True),
        ("10.0.0.0/99", "https://10.1.2.3/", False), ("2.3", "https://10.1.2.3/", False), ("10.1.2.3:8443", "https://10.1.2.3:8443/", True),
        ("[fd00::1]", "https://[fd00::1]/", True), ("[fd00::1]:8443", "https://[fd00::1]:8443/", True),
        ("[fd00::1]:8443", "https://[fd00::1]:9443/", False), ("fd00::/8", "https://10.1.2.3/", False), (".", URL, False),
        ("a.org\texample.org", URL, True), ("example.org.", URL, True), ("example.org", "https://stats.example.org./", True),
        ("10.0.0.0/8", URL, False), ("other.org,*", URL, True),
    ],
)  # fmt: skip
def test_no_proxy_names_what_is_reached_directly(no_proxy, url, direct):
    """An entry is a star, a name or its end, a name with a port, an address, or a block of addresses."""
    assert (chosen({"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_proxy}, url) is None) is direct


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://p:1080", "socks5h://me:SECRET@p", "https://p:443", "http://", "http://p:99999", "http://[::1", "http://p:0", "//p:1",
        "http://p q:1", "http://p\r\nx:1", "http://me:SECRET\udcff@p:1",
    ],
)  # fmt: skip
def test_a_proxy_that_can_not_be_used_stops_the_request(proxy):
    """The request is never sent directly instead, and the error does not repeat the password."""
    with pytest.raises(ProxyError) as caught:
        choose(URL, {"HTTPS_PROXY": proxy})

    assert str(caught.value) == "not sent: the proxy that is set can't be used, only http:// ones can"


@pytest.mark.parametrize("proxy", ["http://user:12/SECRET@p:3128", "http://user/SECRET@p:3128", "http://user?SECRET@p", "http://user#SECRET@p",
                                   "http://user\\SECRET@p", "user/SECRET@p:3128", "http://[::1]SECRET"])  # fmt: skip
def test_a_proxy_whose_url_can_be_read_in_two_ways_stops_the_request(proxy):
    """Otherwise a part of the password could be looked up as a host."""
    with pytest.raises(ProxyError) as caught:
        chosen({"HTTPS_PROXY": proxy})

    assert str(caught.value) == "not sent: the proxy that is set can't be used, only http:// ones can"


@pytest.fixture
def resolver(monkeypatch, serve):
    """Names below example.org lead to this machine, so that the proxy is reached by a name."""
    real = socket.getaddrinfo

    def look_up(host, *arguments, **more):
        return real("127.0.0.1" if host.endswith("example.org") else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def send(url):
    """Post a small body."""
    return post(url, b"body", {"user-agent": "x"}, timeout=2, allowed=lambda: True)


@pytest.mark.usefixtures("resolver")
def test_a_plain_request_goes_to_the_proxy_with_its_whole_url(serve, monkeypatch):
    """It has the proxy's credentials."""
    proxy = serve()
    monkeypatch.setenv("HTTP_PROXY", f"http://me:pass@proxy.example.org:{proxy.port}")
    reply = send("http://collector.example.org:4318/v1/traces")

    assert reply.status == 200
    assert b"".join(proxy.requests) == (
        b"POST http://collector.example.org:4318/v1/traces HTTP/1.1\r\nhost: collector.example.org:4318\r\nuser-agent: x\r\n"
        b"content-length: 4\r\nproxy-authorization: Basic bWU6cGFzcw==\r\n\r\nbody"
    )


@pytest.mark.usefixtures("resolver", "trusted")
def test_a_secure_request_is_tunnelled_and_the_origin_sees_nothing_of_the_proxy(serve, tls, monkeypatch):
    """CONNECT comes first, then TLS with the origin itself."""
    origin = serve(tls=tls("stats.example.org"))

    def tunnel(connection):
        with socket.create_connection(("127.0.0.1", origin.port)) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join(2)

    proxy = serve(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass@proxy.example.org:{proxy.port}")
    reply = send("https://stats.example.org/v1/traces")

    assert (reply.status, reply.body) == (200, b"ok")
    assert proxy.requests == [
        b"CONNECT stats.example.org:443 HTTP/1.1\r\nhost: stats.example.org:443\r\nproxy-authorization: Basic bWU6cGFzcw==\r\n\r\n"
    ]
    assert origin.requests == [
        b"POST /v1/traces HTTP/1.1\r\nhost: stats.example.org\r\nuser-agent: x\r\ncontent-length: 4\r\n\r\nbody"
    ]


def pump(one, other):
    """Pass on every byte until the end."""
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        return


@pytest.mark.usefixtures("resolver")
def test_an_origin_without_tls_behind_a_proxy_is_spoken_to_by_the_proxy_alone(serve, monkeypatch):
    """The proxy gets the credentials, and the origin gets no connection."""
    origin, proxy = serve(), serve()
    monkeypatch.setenv("http_proxy", f"http://me:pass@proxy.example.org:{proxy.port}")
    send(f"http://collector.example.org:{origin.port}/")

    assert (len(proxy.requests), origin.requests) == (1, [])


@pytest.mark.usefixtures("resolver")
def test_consent_is_asked_before_the_proxy_is_connected_to(serve, monkeypatch):
    """A proxy may be outside of this machine as well."""
    proxy = serve()
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")

    with pytest.raises(ExchangeError, match="stopped by the opt-out"):
        post(URL, b"body", {}, timeout=2, allowed=lambda: False)

    assert proxy.requests == []


@pytest.mark.usefixtures("resolver", "trusted")
def test_a_proxy_can_not_answer_for_the_origin(serve, tls, monkeypatch):
    """A reply that the proxy appends to its own is not taken for the origin's, which TLS authenticates."""
    origin = serve(b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n", tls=tls("stats.example.org"))

    def forge(connection):
        with socket.create_connection(("127.0.0.1", origin.port)) as onward:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join(2)

    proxy = serve(forge)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")

    with pytest.raises(ExchangeError, match=r"^the proxy said more than was asked of it$"):
        send(URL)

    assert origin.requests == []


@pytest.mark.usefixtures("resolver")
def test_an_interim_answer_of_a_proxy_is_passed_over(serve, monkeypatch):
    """The final answer counts."""
    proxy = serve(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 SECRET\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")

    with pytest.raises(ExchangeError, match=r"^the proxy answered 407$"):
        send(URL)


@pytest.mark.usefixtures("resolver")
def test_a_proxy_that_never_answers_ends_at_the_deadline(serve, monkeypatch):
    """Its answer shares the one deadline."""
    proxy = serve(lambda connection: connection.recv(1))
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")
    start = time.monotonic()
    with pytest.raises(ExchangeError, match="no answer in time"):
        post(URL, b"body", {}, timeout=0.3, allowed=lambda: True)

    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("proxy", ["http://me:SECRET@proxy.example.org:9", "http://me:SECRET@proxy.example.org:99999"])
@pytest.mark.usefixtures("resolver")
def test_no_failure_repeats_the_credentials_of_a_proxy(monkeypatch, proxy):
    """They are neither in the text of the failure nor in that of its cause."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ExchangeError) as caught:
        send(URL)

    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", [200, 204, 299])
@pytest.mark.usefixtures("resolver")
def test_any_success_of_a_proxy_opens_the_tunnel(serve, monkeypatch, status):
    """The next byte is 22, the first of a TLS handshake."""
    after = []

    def agree(connection):
        connection.sendall(b"HTTP/1.1 %d SECRET\r\n\r\n" % status)
        after.extend(connection.recv(1))

    proxy = serve(agree)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")
    with pytest.raises(ExchangeError):
        send(URL)

    assert after == [22]


@pytest.mark.parametrize("status", [300, 403, 407, 502])
@pytest.mark.usefixtures("resolver")
def test_a_proxy_that_refuses_is_said_to_be_so(serve, monkeypatch, status):
    """The failure has its status, and nothing is sent past the proxy."""
    proxy = serve(b"HTTP/1.1 %d SECRET\r\ncontent-length: 0\r\n\r\n" % status)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")

    with pytest.raises(ExchangeError, match=f"^the proxy answered {status}$"):
        send(URL)

    assert len(proxy.requests) == 1


def test_with_a_proxy_that_can_not_be_used_no_socket_is_opened(monkeypatch):
    """No name is looked up either."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))

    with pytest.raises(ExchangeError, match="only http:// ones can"):
        send(URL)
