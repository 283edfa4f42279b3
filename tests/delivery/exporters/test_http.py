"""One request has one deadline, against every kind of server."""

import contextlib
import datetime as dt
import errno
import gzip
import os
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_usage.consent import decide
from otel_usage.delivery.exporters.connection import ExchangeError
from otel_usage.delivery.exporters.http import post

HEADERS = {"content-type": "application/x-protobuf", "user-agent": "otel-usage/1"}


def reply_to(url, *, timeout=5.0, allowed=lambda: True):
    """Post a small body and return status, headers and body of the reply."""
    reply = post(url, b"body", HEADERS, timeout=timeout, allowed=allowed)
    return reply.status, reply.headers, reply.body


def failure(url, *, timeout=5.0, allowed=lambda: True):
    """Post a small body; return the text of the failure and how long it took."""
    start = time.monotonic()
    with pytest.raises(ExchangeError) as caught:
        post(url, b"body", HEADERS, timeout=timeout, allowed=allowed)
    return str(caught.value), time.monotonic() - start


def test_the_request_is_exactly_what_was_given(serve):
    """It has the request line, the host, the given headers, the length and the body, and not one byte more."""
    server = serve()
    reply_to(server.url + "?a=1#fragment")

    assert server.requests == [
        b"POST /v1/traces?a=1 HTTP/1.1\r\n"
        b"host: 127.0.0.1:%d\r\n"
        b"content-type: application/x-protobuf\r\n"
        b"user-agent: otel-usage/1\r\n"
        b"content-length: 4\r\n\r\nbody" % server.port
    ]


def test_an_address_of_version_six_is_reached(serve):
    """The host header has its brackets."""
    server = serve(family=socket.AF_INET6, host="::1")

    assert reply_to(server.url)[0] == 200
    assert b"host: [::1]:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\nx: b\r\n\r\nok", (200, {"content-length": "2", "x": "b"}, b"ok")),
        (b"HTTP/1.0 200\r\n\r\nuntil the end", (200, {}, b"until the end")),
        (b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n", (204, {"content-length": "5"}, b"")),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
         (302, {"location": "http://127.0.0.1:9/", "content-length": "0"}, b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
         (200, {"content-length": "0"}, b"")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\nA\r\n0123456789\r\n0\r\nt: u\r\n\r\n",
         (200, {"transfer-encoding": "chunked"}, b"ok0123456789")),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08",
         (200, {"content-encoding": "gzip", "content-length": "3"}, b"\x1f\x8b\x08")),
    ],
)  # fmt: skip
def test_a_reply_is_read_whole_and_as_it_is(serve, answer, reply):
    """It ends by length, by chunks or with the connection; nothing is followed or unpacked."""
    assert reply_to(serve(answer).url) == reply


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"HTTP", b"hello\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nok\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\nok",
        b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 200OK\r\n\r\n", b"HTTP/1.1 000 OK\r\n\r\n", b"HTTP/1.1 999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokmore\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_whole_reply_is_a_failure(serve, answer):
    """The text of the failure has no word of the server's."""
    said, _ = failure(serve(answer).url)

    assert said in ("the answer is not HTTP", "the connection was closed before the end of the answer")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_reply_like_any_other(serve, status):
    """Its target gets no connection."""
    other = serve()
    server = serve(b"HTTP/1.1 %d Moved\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % (status, other.url.encode()))

    assert reply_to(server.url)[0] == status
    assert (len(server.requests), other.requests) == (1, [])


def test_a_compressed_reply_is_not_unpacked(serve):
    """Its unpacked size does not matter."""
    bomb = gzip.compress(bytes(10_000_000))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)

    assert reply_to(serve(head + bomb).url)[2] == bomb


@pytest.mark.parametrize(("size", "said"), [(65_536, ""), (65_537, "the answer is larger than 64 KiB")])
def test_a_reply_may_have_64_kib_with_its_headers(serve, size, said):
    """One byte more is a failure."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    server = serve(head + bytes(size - len(head)))
    try:
        found = "" if len(reply_to(server.url)[2]) == size - len(head) else "cut"
    except ExchangeError as error:
        found = str(error)

    assert found == said


@pytest.mark.parametrize(
    "endless",
    [
        [b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 1000 + b"\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 4096],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", b"z" * 4096],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1000\r\n" + b"z" * 4096 + b"\r\n"],
        [b"", b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"trailer: x\r\n"],
    ],
    ids=["headers", "body", "length", "chunks", "interim replies", "trailers"],
)
def test_an_endless_reply_is_read_for_64_kib(serve, endless):
    """Memory stays bounded, and the failure comes long before the deadline."""

    def pour(connection):
        connection.sendall(endless[0])
        while True:
            connection.sendall(endless[1])

    server = serve(pour)
    tracemalloc.start()
    said, took = failure(server.url)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert said == "the answer is larger than 64 KiB"
    assert took < 2
    assert most < 2 * 2**20


def drip(text, pause=0.05):
    """Send a text byte by byte."""

    def run(connection):
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return run


@pytest.mark.parametrize(
    "text",
    [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500, b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 500],
    ids=["headers", "body"],
)
def test_a_reply_that_drips_ends_at_the_deadline(serve, text):
    """All reads share one deadline."""
    said, took = failure(serve(drip(text, 0.02)).url, timeout=0.4)

    assert said == "no answer in time"
    assert took < 1


def test_a_server_that_says_nothing_ends_at_the_deadline(serve):
    """The server accepts the connection and never answers."""
    said, took = failure(serve(lambda connection: connection.recv(1)).url, timeout=0.3)

    assert said == "no answer in time"
    assert took < 1


def test_a_server_that_does_not_accept_ends_at_the_deadline():
    """Its backlog is full, so that the connect itself hangs."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        said, took = failure(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.3)

    assert said == "no answer in time"
    assert took < 1


def test_a_server_that_does_not_read_ends_at_the_deadline(serve, silence):
    """The sending of the request is bounded as well."""
    server = serve(silence, reads=False)
    start = time.monotonic()
    with pytest.raises(ExchangeError, match="no answer in time"):
        post(server.url, b"x" * 30_000_000, HEADERS, timeout=0.3, allowed=lambda: True)

    assert time.monotonic() - start < 1.5


def test_a_closed_port_is_refused_at_once():
    """No server listens there."""
    said, took = failure("http://127.0.0.1:9")

    assert said == "connection refused"
    assert took < 1


@pytest.mark.parametrize("after", [0, 1, 5, 9, 12, 17, 20, 37, 38, 39, 40, 41, 60, 199])
def test_a_connection_that_is_reset_is_a_failure(serve, after):
    """The reset may come at any byte of the reply."""

    def reset(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n".ljust(200, b"z")[:after])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert failure(serve(reset).url)[0] == "the connection was closed before the end of the answer"


def test_a_look_up_that_hangs_ends_at_the_deadline(monkeypatch):
    """The resolver can't be stopped, so its thread is left alone."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(10) and [])
    said, took = failure("https://stats.example.org", timeout=0.3)
    release.set()

    assert said == "no answer in time"
    assert took < 1


def test_a_name_that_is_not_found_is_said_to_be_so(monkeypatch):
    """The text is ours and not the resolver's."""

    def fail(*_, **__):
        raise socket.gaierror(-2, "SECRET")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert failure("https://stats.example.org")[0] == "the host's name can't be found"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://stats.example.org", ("stats.example.org", 80)), ("https://stats.example.org", ("stats.example.org", 443)),
        ("https://stats.example.org:8443/v1/traces", ("stats.example.org", 8443)), ("https://[fd00::1]", ("fd00::1", 443)),
    ],
)  # fmt: skip
def test_a_url_without_a_port_means_that_of_its_scheme(monkeypatch, url, place):
    """The port is 80 for http and 443 for https."""
    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *place, **_: looked_up.append(place) or [])
    failure(url)

    assert looked_up == [place]


def test_each_address_of_a_name_is_tried(monkeypatch, serve):
    """After one that refuses and one that never answers, the next one still has its share of the time."""
    server = serve()
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (9, server.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)

    assert reply_to("http://stats.example.org")[0] == 200


def test_without_consent_nothing_is_opened(monkeypatch):
    """Consent is asked before there is a socket."""
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))

    assert failure("http://127.0.0.1:9", allowed=lambda: False)[0] == "not sent: stopped by the opt-out"


def test_without_time_nothing_is_opened(monkeypatch):
    """No name is looked up either."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))

    assert failure("http://stats.example.org", timeout=0)[0] == "no answer in time"


def test_a_kernel_without_version_six_leaves_the_other_address(monkeypatch, serve):
    """Its sockets fail before the connect."""
    server, real = serve(), socket.socket

    def make(family, *more, **named):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "SECRET")
        return real(family, *more, **named)

    six = (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", server.port, 0, 0))
    four = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [six, four])
    monkeypatch.setattr(socket, "socket", make)

    assert reply_to("http://stats.example.org")[0] == 200


def test_consent_is_asked_before_each_connect(monkeypatch, serve):
    """After an opt-out between two addresses the second one is not connected to."""
    server = serve()
    answers = iter([True, True, False])  # the look-up, the first address, the second
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (9, server.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    said, _ = failure("http://stats.example.org", allowed=lambda: next(answers))

    assert (said, server.requests) == ("not sent: stopped by the opt-out", [])


def on():
    """Return whether reports may leave, as the senders ask."""
    return decide("myengine", loopback=True).mode == "on"


STOPPED = "not sent: stopped by the opt-out"


@pytest.mark.parametrize(("scheme", "asked"), [("http", 3), ("https", 4)])
def test_consent_is_asked_before_everything_that_leaves(serve, tls, trusted, scheme, asked):
    """It is asked before the look-up, connect, handshake and request; an opt-out before the request leaves a bare connection."""
    server = serve(tls=tls("127.0.0.1") if scheme == "https" else None)
    url = f"{scheme}://127.0.0.1:{server.port}"
    nos = [iter([True] * yes + [False]) for yes in range(asked)]
    said = [failure(url, allowed=answers.__next__)[0] for answers in nos]

    assert said == [STOPPED] * asked
    assert [request for request in server.requests if request] == []
    assert reply_to(url, allowed=iter([True] * asked).__next__)[0] == 200


def test_an_opt_out_during_the_handshake_stops_the_request(held, tls, trusted):
    """A server may hold the handshake for seconds."""
    server = held.start(tls=tls("localhost"))
    said, _ = failure(f"https://localhost:{server.port}", allowed=on)

    assert (said, held.wait()) == (STOPPED, b"")


def test_an_opt_out_while_a_proxy_thinks_stops_the_handshake(held, monkeypatch):
    """Nothing leaves through the tunnel."""
    proxy = held.start(b"HTTP/1.1 200 yes\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    said, _ = failure("https://stats.example.org", allowed=on)

    assert (said, held.wait()) == (STOPPED, b"")


def test_an_opt_out_as_a_proxy_is_connected_to_stops_the_request_to_it(serve, monkeypatch):
    """The proxy would learn the name of the project's server."""
    proxy = serve()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    answers = iter([True, True, False])
    said, _ = failure("https://stats.example.org", allowed=lambda: next(answers))

    assert (said, [request for request in proxy.requests if request]) == (STOPPED, [])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://127.0.0.1/", "the URL must begin with https:// or http:// and name a host"),
        ("file:///etc/passwd", "the URL must begin with https:// or http:// and name a host"),
        ("127.0.0.1:9", "the URL must begin with https:// or http:// and name a host"),
        ("http://", "the URL must begin with https:// or http:// and name a host"),
        ("http://me:SECRET@127.0.0.1:9/", "the URL must not have a user or password in it"),
        ("http://127.0.0.1:99999/", "the URL is not valid"),
        ("http://[::1", "the URL is not valid"),
        ("http://127.0.0.1:9/\r\nx: y", "the URL has characters that a URL can't have"),
        ("http://127.0.0.1:9/a b", "the URL has characters that a URL can't have"),
        ("http://127.0.0.1:9/\x00", "the URL has characters that a URL can't have"),
        ("http://bücher.example/", "the URL has characters that a URL can't have"),
        (f"http://{'x' * 70}.example/", "the host's name is not valid"),
    ],
)
def test_a_url_that_can_not_be_sent_as_it_is_is_refused(monkeypatch, url, said):
    """No socket is opened, and the error repeats no secret."""
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))

    assert failure(url)[0] == said


URLS = st.tuples(st.sampled_from(["http", "http://", "https://", "http://["]), st.text(alphabet="htps:/@[]%#?\\.0a\r\n\t \x00\xe9", max_size=20))


def test_any_text_in_place_of_a_url_is_refused_or_not_allowed(monkeypatch):
    """No other exception is raised; without consent no name is looked up and no socket is opened."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    met = set()

    @given(URLS.map("".join))
    @example("http://u:p@a/")
    @example("http://[::1")
    def meet(text):
        with pytest.raises(ExchangeError) as caught:
            post(text, b"", {}, timeout=2, allowed=lambda: False)
        met.add(str(caught.value))

    meet()

    assert met == {
        "the URL has characters that a URL can't have", "the URL is not valid", "the URL must begin with https:// or http:// and name a host",
        "the URL must not have a user or password in it", STOPPED,
    }  # fmt: skip


def test_a_header_that_would_add_another_is_refused(serve):
    """A line end in a value is never sent."""
    server = serve()
    with pytest.raises(ExchangeError, match="a header has characters"):
        post(server.url, b"", {"user-agent": "x\r\ncookie: y"}, timeout=1, allowed=lambda: True)

    assert server.requests in ([], [b""])


@pytest.mark.usefixtures("trusted")
def test_a_server_that_the_operators_authority_vouches_for_is_trusted(serve, tls):
    """The operator names the authority by SSL_CERT_FILE, as OpenSSL expects."""
    server = serve(host="127.0.0.1", tls=tls("localhost"))

    assert reply_to(f"https://localhost:{server.port}/")[::2] == (200, b"ok")


def test_no_keys_are_written_where_the_host_asks_for_them(serve, tls, trusted, monkeypatch, tmp_path):
    """SSLKEYLOGFILE is meant for the host's own connections."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    status = reply_to(f"https://localhost:{serve(tls=tls('localhost')).port}/")[0]
    ours = [path.name for path in tmp_path.iterdir() if path.name == "keys"]
    ssl.create_default_context()  # a library of the host calls this

    assert (status, ours) == (200, [])
    assert (tmp_path / "keys").exists()


PAST = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(("name", "more"), [("other.example", {}), ("localhost", {"not_after": PAST})])
@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_or_time_is_refused(serve, tls, name, more):
    """No byte of the report is sent."""
    server = serve(tls=tls(name, **more))

    assert failure(f"https://localhost:{server.port}/")[0] == "the server's certificate can't be verified"
    assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(serve, tls):
    """No setting turns the check off."""
    assert failure(f"https://localhost:{serve(tls=tls('localhost')).port}/")[0] == "the server's certificate can't be verified"


@pytest.mark.usefixtures("trusted")
def test_a_server_of_a_version_of_tls_before_1_2_is_refused(serve, tls):
    """No byte of the report is sent."""
    context = tls("localhost")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve(tls=context)

    assert failure(f"https://localhost:{server.port}/")[0] == "the secure connection (TLS) failed"
    assert server.requests == []


@pytest.mark.usefixtures("trusted")
def test_a_server_with_tls_that_does_not_read_ends_at_the_deadline(serve, silence, tls):
    """The sending of the request is bounded with TLS as well."""
    server = serve(silence, reads=False, tls=tls("localhost"))
    start = time.monotonic()
    with pytest.raises(ExchangeError, match="no answer in time"):
        post(f"https://localhost:{server.port}/", b"x" * 30_000_000, HEADERS, timeout=0.3, allowed=lambda: True)

    assert time.monotonic() - start < 1.5


@pytest.mark.usefixtures("trusted")
def test_a_tls_reply_that_is_cut_off_is_no_whole_one(serve, tls):
    """A reply without a length must end as TLS ends, since a network could cut it anywhere."""

    def cut(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        os.close(connection.detach())

    server = serve(cut, tls=tls("localhost"))

    assert failure(f"https://localhost:{server.port}/")[0] == "the secure connection (TLS) failed"


def test_a_server_that_speaks_no_tls_is_a_failure(serve):
    """The URL is https, and the server answers in plain HTTP."""
    said, _ = failure(f"https://localhost:{serve(b'HTTP/1.1 200 OK', reads=False).port}/")

    assert said in ("the secure connection (TLS) failed", "the connection was closed before the end of the answer")


def test_a_tls_handshake_that_hangs_ends_at_the_deadline(serve, silence):
    """The handshake shares the one deadline."""
    said, took = failure(f"https://localhost:{serve(silence, reads=False).port}/", timeout=0.3)

    assert said == "no answer in time"
    assert took < 1


def open_sockets():
    """Return the sockets of this process by their inode numbers, which the kernel gives out once."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # it was closed in between, like the descriptor of this listing
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.usefixtures("trusted")
def test_nothing_stays_open(serve, tls):
    """No socket is left, whatever the outcome."""
    plain, secure, other = serve(), serve(tls=tls("localhost")), serve(tls=tls("other.example"))
    before = open_sockets()
    for url in (plain.url, "http://127.0.0.1:9", *(f"https://localhost:{server.port}" for server in (secure, other))):
        with contextlib.suppress(ExchangeError):
            reply_to(url)
    deadline = time.monotonic() + 2
    while open_sockets() - before and time.monotonic() < deadline:
        time.sleep(0.01)  # the servers close their ends a little later

    assert open_sockets() - before == set()


PIECES = st.sampled_from([b"content-length: 3", b"transfer-encoding: chunked", b"\r\n", b"\r\n\r\n", b"3", b"abc", b"0", b":", b"\xff"])
HEADS = st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 No\r\n", b"HTTP/1.1 ", b"200", b""])
ANSWERS = st.binary(max_size=200) | st.tuples(HEADS, st.lists(PIECES, max_size=15).map(b"".join)).map(b"".join)


def test_whatever_a_server_sends_is_a_reply_or_a_failure(serve):
    """For any bytes there is a status or a failure of one line; no other exception is raised, and nothing hangs."""
    met = set()

    @settings(max_examples=60)
    @given(ANSWERS)
    @example(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")
    @example(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    @example(b"HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n")
    @example(b"HTTP/1.1 200 OK\r\ncontent-length: 3x\r\n\r\nabc")
    def meet(answer):
        try:
            met.add(reply_to(serve(answer).url, timeout=2)[0])
        except ExchangeError as error:
            met.add(str(error))

    meet()

    assert met == {200, 503, "the answer is not HTTP", "the connection was closed before the end of the answer"}
