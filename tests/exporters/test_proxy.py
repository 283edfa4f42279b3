"""Which proxy a request goes through, and what the proxy and the origin get to see."""

import socket
import threading

import pytest

from otel_usage.exporters.connection import ExchangeError
from otel_usage.exporters.http import post
from otel_usage.exporters.proxy import ProxyError, choose

URL = "https://stats.example.org/v1/traces"


def chosen(environ, url=URL):
    """Return where the proxy is and what it is told, None for a direct connection."""
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
        ({"HTTPS_PROXY": "http://p"}, URL, ("p", 8080, None)),
        ({"HTTPS_PROXY": "http://[::1]:3128/"}, URL, ("::1", 3128, None)),
        ({"ALL_PROXY": "http://p:3128"}, URL, ("p", 3128, None)),
        ({"HTTP_PROXY": "http://p:3128"}, URL, None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://c:4318/", ("p", 3128, None)),
        ({"HTTP_PROXY": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://c:4318/", None),
        ({"http_proxy": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://c:4318/", ("p", 3128, None)),
        ({"HTTPS_PROXY": "http://me:p%40ss@p:3128"}, URL, ("p", 3128, "Basic bWU6cEBzcw==")),
        ({"HTTPS_PROXY": "http://me@p:3128"}, URL, ("p", 3128, "Basic bWU6")),
        ({"ALL_PROXY": "http://p:3128"}, "https://127.0.0.1:4318", None),
        ({"ALL_PROXY": "socks5://p:1080"}, "http://localhost:4318", None),
    ],
)
def test_the_variables_that_every_program_heeds_choose_the_proxy(environ, url, proxy):
    """Lower case wins; a server's CGI variable is not one; loopback is always direct."""
    assert chosen(environ, url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", URL, True), ("stats.example.org", URL, True), (".example.org", URL, True), ("example.org", URL, True),
        ("*.example.org", URL, True), ("EXAMPLE.ORG", URL, True), ("other.org, example.org", URL, True), ("ample.org", URL, False),
        ("tats.example.org", URL, False), ("", URL, False), (",", URL, False), ("stats.example.org:443", URL, False),
        ("stats.example.org:8443", "https://stats.example.org:8443/", True), ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False), ("10.1.2.3", "https://10.1.2.3/", True), ("fd00::/8", "https://[fd00::1]/", True),
        ("10.0.0.0/99", "https://10.1.2.3/", False),
    ],
)  # fmt: skip
def test_no_proxy_names_what_is_reached_directly(no_proxy, url, direct):
    """Everything, a name or the end of one, with a port, an address, a block of addresses."""
    assert (chosen({"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_proxy}, url) is None) is direct


@pytest.mark.parametrize("proxy", ["socks5://p:1080", "socks5h://me:SECRET@p", "https://p:443", "http://", "http://p:99999", "http://[::1"])
def test_a_proxy_that_can_not_be_used_stops_the_request(proxy):
    """Never directly instead, and its password is not repeated."""
    with pytest.raises(ProxyError) as caught:
        choose(URL, {"HTTPS_PROXY": proxy})

    assert str(caught.value) == "not sent: the proxy that is set can't be used, only http:// ones can"


@pytest.fixture
def resolver(monkeypatch, serve):
    """Names of example.org lead to this machine: the proxy is reached by one."""
    real = socket.getaddrinfo

    def look_up(host, *arguments, **more):
        return real("127.0.0.1" if host.endswith("example.org") else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def send(url):
    """Post a small body."""
    return post(url, b"body", {"user-agent": "x"}, timeout=2, allowed=lambda: True)


@pytest.mark.usefixtures("resolver")
def test_a_plain_request_goes_to_the_proxy_with_its_whole_url(serve, monkeypatch):
    """And with the proxy's own credentials."""
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
    """CONNECT, then TLS with the origin itself."""
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
    """Pass on what comes, until the end."""
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        return


@pytest.mark.parametrize("status", [403, 407, 502])
@pytest.mark.usefixtures("resolver")
def test_a_proxy_that_refuses_is_said_to_be_so(serve, monkeypatch, status):
    """With its status, and nothing is sent past it."""
    proxy = serve(b"HTTP/1.1 %d SECRET\r\ncontent-length: 0\r\n\r\n" % status)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{proxy.port}")

    with pytest.raises(ExchangeError, match=f"^the proxy answered {status}$"):
        send(URL)

    assert len(proxy.requests) == 1


def test_with_a_proxy_that_can_not_be_used_no_socket_is_opened(monkeypatch):
    """Not even to look up a name."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))

    with pytest.raises(ExchangeError, match="only http:// ones can"):
        send(URL)
