"""Clients at an address of one's own, and whether that address, or a secret, has been left in a file."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import socket
import threading


class Relay:
    """A way to a port of this machine that arrives there from an address of one's own, whatever client is used."""

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


def left(directory, *marks):
    """Return those marks that stand in a file below a directory: addresses or secrets, in any form of theirs."""
    contents = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    return {mark for mark in marks if any(form in content for content in contents for form in _forms(mark))}


def _forms(mark):
    """Return a mark as text, and an address as the bytes that IPv6 ends with too, or else a secret in base64."""
    plain = mark.encode()
    try:
        packed = ipaddress.ip_address(mark).packed
    except ValueError:
        shifted = [base64.b64encode(bytes(shift) + plain)[shift + 1 : -4] for shift in range(3)]
        return [plain, plain.hex().encode(), *shifted]
    return [plain, packed, packed.hex().encode()]
