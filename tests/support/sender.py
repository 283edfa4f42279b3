"""Clients send from an address that the test chooses."""

from __future__ import annotations

import contextlib
import socket
import threading


class Relay:
    """A relay to a port of this machine that connects from an address of the test's choice, for any client."""

    def __init__(self, port, source):
        self._target, self._source = ("127.0.0.1", port), (source, 0)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._sockets, self._threads = [self._server], []
        self._run(self._accept)

    def _run(self, function, *arguments):
        self._threads.append(threading.Thread(target=function, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
                target = socket.create_connection(self._target, source_address=self._source)
            except OSError:
                return
            self._sockets += [client, target]
            self._run(self._pass, client, target)
            self._run(self._pass, target, client)

    def _pass(self, here, there):
        with contextlib.suppress(OSError):
            while data := here.recv(65536):
                there.sendall(data)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._sockets:
            one.close()
