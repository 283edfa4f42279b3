"""The real nginx runs the proxy configuration before a gateway, and these are clients of it."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import time
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import hpack
import hpack.hpack
from programs import CONFIG, PATIENCE, Program, free_ports

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = "application/x-protobuf"


class Nginx(Program):
    """A real nginx with the proxy configuration before a gateway; edits: further replacements in its text."""

    def __init__(self, directory, gateway, authority, *edits):
        (self.port,) = free_ports(1)
        root = directory / "nginx"
        root.mkdir()
        self.temporary = [root / f"{name}_temp" for name in TEMPORARY]
        self.authority = directory / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        names = authority.issue_cert("localhost", "127.0.0.1")
        names.private_key_and_cert_chain_pem.write_to_path(root / "tls.pem")
        paths = "".join(f"    {name}_temp_path {path};\n" for name, path in zip(TEMPORARY, self.temporary, strict=True))
        text = edited(
            (CONFIG / "proxy" / "nginx.conf").read_text(),
            ("\nhttp {\n", f"\nhttp {{\n{paths}"),
            ("/etc/nginx/tls/fullchain.pem", str(root / "tls.pem")),
            ("/etc/nginx/tls/privkey.pem", str(root / "tls.pem")),
            ("listen 443", f"listen 127.0.0.1:{self.port}"),
            ("listen [::]:443", f"listen [::1]:{self.port}"),
            ("server 127.0.0.1:4318;", f"server {gateway.http.partition('//')[2]};"),
            *edits,
        )
        (root / "nginx.conf").write_text(text)
        options = f"daemon off; pid {root}/nginx.pid;"
        super().__init__(root, "nginx", ["nginx", "-e", "stderr", "-p", root, "-c", root / "nginx.conf", "-g", options])
        self.http = f"https://localhost:{self.port}"

    def start(self):
        """Start it and take its directories away, so that every write to the disk is an error."""
        super().start()
        for path in self.temporary:
            path.rmdir()
        return self

    def answers(self):
        """Return whether it speaks TLS."""
        with contextlib.closing(self.connect()):
            return True

    @property
    def files(self):
        """The files that it and its workers have open."""
        links = [link for process in self.processes for link in (process / "fd").iterdir()]
        return {link.readlink() for link in links if link.is_file()}

    @property
    def processes(self):
        """It and its workers, each as its directory under /proc."""
        process = Path(f"/proc/{self.process.pid}")
        workers = (process / "task" / process.name / "children").read_text().split()
        return [process, *(Path("/proc") / number for number in workers)]

    @property
    def memory(self):
        """The peak memory of its largest process, in bytes."""
        peaks = [re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text())[1] for process in self.processes]
        return max(map(int, peaks)) * 1024

    def kill(self):
        """End it by a signal that it passes on: its workers would outlive their master."""
        self.stop()

    def context(self, *protocols):
        """Return the TLS of a client that trusts it."""
        context = ssl.create_default_context(cafile=self.authority)
        context.set_alpn_protocols(protocols or ("http/1.1",))
        return context

    def plain(self, source="127.0.0.1"):
        """Return a connection from an address of this machine."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE, source_address=(source, 0))

    def connect(self, source="127.0.0.1", *protocols, name="localhost"):
        """Return a TLS connection from an address of this machine, to a name."""
        context = self.context(*protocols)
        context.check_hostname = name == "localhost"
        return context.wrap_socket(self.plain(source), server_hostname=name)

    def begin(self, source="127.0.0.1"):
        """Return a connection on which a request's body has begun."""
        connection = self.connect(source)
        head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 99\r\n\r\n"
        connection.sendall(f"{head}1".encode())
        return connection

    def ask(self, path="/v1/traces", body=b"", *, method="POST", source="127.0.0.1", name="localhost", **headers):
        """Send a request over HTTP/1.1; return the status of the answer."""
        with contextlib.closing(http.client.HTTPConnection("localhost", self.port)) as client:
            client.sock = self.connect(source, name=name)
            client.request(method, path, body, named(headers))
            return client.getresponse().status


class Http2:
    """One request over HTTP/2 to an nginx, whose body is sent in pieces; `answer` holds what has come so far."""

    def __init__(self, proxy, path, source="127.0.0.1", *, method="POST", **headers):
        self.answer, self._ended = {}, False
        self._socket = proxy.connect(source, "h2")
        self._http2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._http2.initiate_connection()
        required = {":method": method, ":path": path, ":scheme": "https", ":authority": "localhost"}
        self._http2.send_headers(1, [*required.items(), *named(headers).items()])
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _flush(self):
        self._socket.sendall(self._http2.data_to_send())

    def _receive(self):
        received = self._socket.recv(65536)
        if not received:
            message = "the connection was closed before the end of the answer"
            raise ConnectionError(message)
        for event in self._http2.receive_data(received):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                self.answer.update(event.headers)
            self._ended = self._ended or isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))
        self._flush()

    def send(self, piece):
        """Send a piece of the body, as much of it as nginx accepts."""
        while piece and not self._ended:
            room = min(self._http2.local_flow_control_window(1), self._http2.max_outbound_frame_size)
            if room:
                self._http2.send_data(1, piece[:room])
                self._flush()
            else:
                self._receive()
            piece = piece[room:]

    def end(self):
        """End the body."""
        if not self._ended:
            self._http2.end_stream(1)
            self._flush()

    def finish(self, body=b""):
        """Send the rest of the body, and return the headers and trailers of the answer."""
        self.send(body)
        self.end()
        while not self._ended:
            self._receive()
        self._socket.close()
        return self.answer


def with_headers(*more):
    """Return the beginning of a gRPC request over HTTP/2, with further blocks of encoded headers."""
    own = hpack.Encoder().encode([(":method", "POST"), (":scheme", "http"), (":path", EXPORT), (":authority", "x"),
                                  ("content-type", "application/grpc"), ("te", "trailers")])  # fmt: skip
    block = b"".join((own, *more))
    frames = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _frame(4, 0, 0, b"")]
    for stream in range(1, 16, 2):
        pieces = [block[start : start + 16384] for start in range(0, len(block), 16384)]
        frames += [_frame(9 if number else 1, 4 * (number == len(pieces) - 1), stream, piece) for number, piece in enumerate(pieces)]
    return b"".join(frames)


def _frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def header(name, value):
    """Return an encoded header that gets the number 62 in the table, to which BOMB refers."""
    return b"\x40" + bytes([len(name)]) + name + hpack.hpack.encode_integer(len(value), 7) + value


BOMB = b"\xbe"


def named(headers):
    """Return headers by their names in HTTP; a body is protobuf unless they say otherwise."""
    return {"content-type": PROTOBUF, **{name.replace("_", "-"): value for name, value in headers.items()}}


def edited(text, *edits):
    """Return a text with replacements; each text that is replaced must be there."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def is_cut(connection, until):
    """Return whether the other side closes a connection in time."""
    connection.settimeout(max(until - time.monotonic(), 0.1))
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
