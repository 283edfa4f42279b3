"""ClickHouse's HTTP interface in front of the real engine in this process, since no server of today is to be had.

It speaks as much of it as the collector's exporter (clickhouse-go) and clickhouse-connect use. Users, sessions and the
settings of a URL are ignored.
"""

from __future__ import annotations

import gzip
import struct
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lz4.block
import lz4.frame
from clickhouse_cityhash.cityhash import CityHash128
from programs import free_ports

HELLO = "SELECT displayName(), version(), revision(), timezone()"
REVISION = 54453  # the last one whose blocks have no byte for how each column is serialized
BLOCK_INFO = bytes.fromhex("010002ffffffff00")
LZ4, PLAIN = 0x82, 0x02
HEAD = struct.Struct("<16sBII")  # checksum, method, size with the last three fields, size without compression


def unpacked(body):
    """Return the bytes of a body in ClickHouse's own frames."""
    parts, at = [], 0
    while at < len(body):
        _, method, packed, plain = HEAD.unpack_from(body, at)
        data = body[at + HEAD.size : at + 16 + packed]
        parts.append(lz4.block.decompress(data, uncompressed_size=plain) if method == LZ4 else data)
        at += 16 + packed
    return b"".join(parts)


def framed(data):
    """Return some bytes as one of ClickHouse's own frames, not compressed."""
    rest = struct.pack("<BII", PLAIN, len(data) + 9, len(data)) + data
    low, high = divmod(CityHash128(rest), 2**64)
    return struct.pack("<QQ", low, high) + rest


def text(value):
    """Return a text as a block has it."""
    return bytes([len(value)]) + value.encode()


def hello():
    """Return the block by which a server says who it is, read before the reader knows the revision: it has that byte."""
    columns = (("displayName()", "String", text("test")), ("version()", "String", text("26.9.2")),
               ("revision()", "UInt32", struct.pack("<I", REVISION)), ("timezone()", "String", text("UTC")))  # fmt: skip
    return BLOCK_INFO + bytes([len(columns), 1]) + b"".join(text(name) + text(kind) + b"\0" + data for name, kind, data in columns)


class ClickHouseServer:
    """A server at `url` in front of a store; `requests` has the statements that came, and `inserted` what with them."""

    def __init__(self, store):
        self.store, self.requests, self.inserted = store, [], []
        (self.port,) = free_ports(1)
        self._http = None

    def start(self):
        """Listen, and return itself; after a stop, too."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), type("Handler", (Handler,), {"server_of": self}))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    @property
    def url(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        """Listen no more."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None


class Handler(BaseHTTPRequestHandler):
    """Answers one request after the other of a connection."""

    protocol_version = "HTTP/1.1"
    server_of = None

    def do_GET(self):
        """Answer a query, or say that the server is there."""
        self.do_POST()

    def do_POST(self):
        """Run the query of the URL or the body, with the rest of the body as what is inserted."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        body = self._body(asked)
        if "query" not in asked and not body:
            self._answer(200, b"Ok.\n")
            return
        query, data = (asked["query"], body) if "query" in asked else split(body)
        self.server_of.requests.append(query)
        try:
            answer = self._run(query, data, asked)
        except RuntimeError as error:
            code = str(error).partition("Code: ")[2].partition(".")[0] or "1000"
            self._answer(500, str(error).encode(), {"X-ClickHouse-Exception-Code": code})
            return
        self._answer(200, framed(answer) if asked.get("compress") == "1" and answer else answer)

    def _run(self, query, data, asked):
        if query.strip() == HELLO:
            return hello()
        store = self.server_of.store
        if query.lstrip().upper().startswith("INSERT"):
            self.server_of.inserted.append(data)
            return store.insert_block(query, data)
        given = {name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")}
        answer = store.raw(query, asked.get("default_format", "TabSeparated"), given)
        of_go = "clickhouse-go" in self.headers.get("User-Agent", "")
        return BLOCK_INFO + answer if of_go else answer

    def _body(self, asked):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        coding = self.headers.get("Content-Encoding")
        body = gzip.decompress(body) if coding == "gzip" else lz4.frame.decompress(body) if coding == "lz4" else body
        return unpacked(body) if asked.get("decompress") == "1" else body

    def _answer(self, status, body, headers=None):
        ours = {"Content-Length": len(body), "X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Query-Id": "test"}
        self.send_response(status)
        for name, value in {**ours, **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def split(body):
    """Return the statement of a body, and the data behind its first line where it inserts."""
    line, _, data = body.partition(b"\n")
    inserts = line.lstrip().upper().startswith(b"INSERT") and b" FORMAT " in line.upper()
    return (line.decode(), data) if inserts else (body.decode(), b"")

