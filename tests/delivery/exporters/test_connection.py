"""A connection gives each address its time, knows where an answer ends, and reads only strict numbers."""

import socket
import ssl
import time

import pytest

from otel_usage.delivery.exporters import connection
from otel_usage.delivery.exporters.connection import Connection, ExchangeError
from otel_usage.delivery.exporters.http import post

NOT_HTTP = "the answer is not HTTP"
CUT = "the connection was closed before the end of the answer"


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it: `clock[0]` is the time."""
    times = [100.0]
    monkeypatch.setattr(connection, "now", lambda: times[0])
    return times


def answer(server):
    """Return the status and body of the reply, or the text of the failure."""
    try:
        reply = post(server.url, b"", {}, timeout=5.0, allowed=lambda: True)
    except ExchangeError as error:
        return str(error)
    return reply.status, reply.body


def test_each_address_has_its_share_of_the_time_that_is_left(monkeypatch, clock):
    """An address that never answers leaves the same time to each of the others."""
    waits = []

    class Swallowing:
        def __init__(self, *_):
            pass

        def settimeout(self, seconds):
            waits.append(seconds)

        def connect(self, _):
            clock[0] += waits[-1]
            raise TimeoutError

        def close(self):
            pass

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(socket, "socket", Swallowing)
    with pytest.raises(TimeoutError):
        Connection(clock[0] + 6, lambda: True).open("stats.example.org", 80, secure=False, proxy=None)

    assert waits == [2, 2, 2]


def test_an_address_that_answers_is_enough(monkeypatch, serve):
    """No other address of the name is connected to."""
    servers = serve(), serve()
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port)) for server in servers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    found = answer(servers[0])
    time.sleep(0.05)  # a connection that is not allowed would be accepted in this time

    assert (found, [len(server.requests) for server in servers]) == ((200, b"ok"), [1, 0])


def test_at_the_deadline_nothing_is_connected_to(monkeypatch, clock):
    """The look-up uses all the time here; a socket would take a time-out of 0 for "do not wait"."""
    connected = []

    def look_up(*_, **__):
        clock[0] += 6
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    with pytest.raises(TimeoutError):
        Connection(clock[0] + 6, lambda: True).open("stats.example.org", 80, secure=False, proxy=None)

    assert connected == []


@pytest.mark.parametrize(
    ("status", "found"),
    [("200", (200, b"ok")), ("599", (599, b"ok")), ("600", NOT_HTTP), ("099", NOT_HTTP), ("204", (204, b"")), ("304", (304, b"")), ("305", (305, b"ok"))],
)
def test_a_status_has_three_digits_and_says_whether_there_is_a_body(serve, status, found):
    """It is between 100 and 599; after 204 and 304 there is no body, whatever the announced length."""
    assert answer(serve(b"HTTP/1.1 %s x\r\ncontent-length: 2\r\n\r\nok" % status.encode())) == found


@pytest.mark.parametrize("interim", [100, 103, 199])
def test_an_interim_answer_is_followed_by_the_one_that_counts(serve, interim):
    """Any number of interim answers may come first."""
    first = b"HTTP/1.1 %d x\r\n\r\n" % interim

    assert answer(serve(first + first + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) == (200, b"ok")


@pytest.mark.parametrize(
    ("length", "found"),
    [
        ("9", (200, b"012345678")), ("0000000000000002", (200, b"01")), ("00000000000000002", NOT_HTTP), ("a", NOT_HTTP), ("1_0", NOT_HTTP),
        ("+1", NOT_HTTP), ("9876543210", CUT),
    ],
)  # fmt: skip
def test_a_length_is_a_decimal_number_of_16_digits_at_most(serve, length, found):
    """Every other form that `int` accepts is refused."""
    assert answer(serve(b"HTTP/1.1 200 OK\r\ncontent-length: %s\r\n\r\n0123456789" % length.encode())) == found


@pytest.mark.parametrize(
    ("size", "sent", "found"),
    [("9", 9, (200, b"x" * 9)), ("10", 16, (200, b"x" * 16)), ("1f", 31, (200, b"x" * 31)), ("F;a=b", 15, (200, b"x" * 15)), ("g", 16, NOT_HTTP)],
)
def test_the_size_of_a_chunk_is_a_hexadecimal_number(serve, size, sent, found):
    """Letters may be capital or small; text after a semicolon is skipped."""
    reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%s\r\n%s\r\n0\r\n\r\n" % (size.encode(), b"x" * sent)

    assert answer(serve(reply)) == found


def test_openssl_without_our_option_keeps_all_of_its_own(serve, tls, trusted, monkeypatch):
    """OpenSSL 1.1 has no option that ignores a cut, so none is turned off."""
    monkeypatch.delattr(ssl, "OP_IGNORE_UNEXPECTED_EOF")
    made, load = [], ssl.SSLContext.load_default_certs
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda context: made.append(context) or load(context))
    post(f"https://localhost:{serve(tls=tls('localhost')).port}/", b"", {}, timeout=5.0, allowed=lambda: True)

    assert [context.options for context in made] == [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).options]


@pytest.mark.timeout(10)
def test_a_connection_that_was_never_opened_has_no_reply():
    """A read from it fails at once."""
    with pytest.raises(ExchangeError, match=CUT):
        Connection(time.monotonic() + 5, lambda: True).reply()
