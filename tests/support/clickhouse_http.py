"""ClickHouse's HTTP interface in front of the real engine, as far as `otel-usage stats --from` asks for it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class ClickHouseServer:
    """A server on loopback that asks a Store; it keeps the users that asked it."""

    def __init__(self, store):
        self.users = []
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.users.append((self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]))
                settings = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                statement = self.rfile.read(int(self.headers["Content-Length"])).decode()
                try:
                    with lock:
                        body, status = store._session.query(statement, settings["default_format"]).data().encode(), 200
                except Exception as error:  # noqa: BLE001 -- the engine's own
                    body, status = f"{error}\n".encode(), 500
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self):
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
