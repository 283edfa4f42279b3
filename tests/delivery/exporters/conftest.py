"""Servers on loopback that follow a script, byte by byte."""

import contextlib
import socket
import ssl
import threading
import time

import pytest


class Scripted:
    """A server that reads a request whole and then runs `script(connection)`; `requests` holds what came."""

    def __init__(self, script, *, family=socket.AF_INET, host="127.0.0.1", tls=None, reads=True):
        self.requests = []
        self._script, self._tls, self._reads = script, tls, reads
        self._server = socket.create_server((host, 0), family=family)
        self.port = self._server.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1/traces"
        self._connections = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._answer, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _answer(self, connection):
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                self._connections.append(connection)
            with connection:
                if self._tls is not None:
                    connection.do_handshake()
                if self._reads:
                    self.requests.append(read_request(connection))
                self._script(connection)
        except OSError:  # the client has gone, as it should
            return

    def close(self):
        """Accept no more and end every connection, so that no other test meets them."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._threads[0].join()
        for connection in self._connections:
            with contextlib.suppress(OSError):  # it is closed already
                type(self._server).shutdown(connection, socket.SHUT_RDWR)  # below TLS, whose state another thread may be using
        for thread in self._threads:
            thread.join(10)


def read_request(connection):
    """Read one request to the end of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def serve():
    """Start a scripted server; every server ends with the test."""
    servers = []

    def start(script=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", **more):
        run = script if callable(script) else lambda connection: connection.sendall(script)
        servers.append(Scripted(run, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def silence(serve):
    """A script that neither reads nor writes until the test ends; it ends before its server closes."""
    del serve
    over = threading.Event()
    yield lambda _: over.wait(10)
    over.set()


@pytest.fixture(scope="session")
def authority():
    """A certificate authority for the tests."""
    import trustme

    return trustme.CA()


@pytest.fixture
def tls(authority):
    """Return a server's TLS context for a name; the authority signs its certificate."""

    def make(name, **more):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **more).configure_cert(context)
        return context

    return make


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """Have this process trust the authority by SSL_CERT_FILE, as an operator would."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


class Held:
    """A server that holds each client until the user has opted out; `got` is what came after that.

    first: whether it waits for the client's first bytes. reply: what it says then. tls: the context to go on by.
    """

    def __init__(self, serve, opt_out):
        self._serve, self._opt_out, self._over = serve, opt_out, threading.Event()
        self.got = []

    def start(self, reply=b"", *, tls=None, first=True):
        def script(connection):
            connection.settimeout(5)
            if first:
                connection.recv(1, socket.MSG_PEEK)
            if reply:
                connection.recv(65536)
            self._opt_out()
            time.sleep(0.2)
            try:
                connection.sendall(reply)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                while more := connection.recv(65536):
                    self.got.append(more)
            except OSError:  # the client has gone
                pass
            finally:
                connection.close()
                self._over.set()

        return self._serve(script, reads=False)

    def wait(self):
        """Return what came after the opt-out, once the client has gone."""
        assert self._over.wait(10)
        return b"".join(self.got)


@pytest.fixture
def held(serve, home):
    """A server that holds its client while an opt-out file is made."""

    def opt_out():
        directory = home / ".config" / "myengine"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "do_not_track").touch()

    return Held(serve, opt_out)
