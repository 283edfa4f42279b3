"""A connection for one HTTP request, with one deadline for all waits and one limit for all bytes that are read."""

from __future__ import annotations

from otel_usage.system import deadline
from otel_usage.system.busy import Busy
from otel_usage.system.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from otel_usage.delivery.exporters.proxy import Proxy

MOST = 64 * 1024
TOO_LARGE = "the answer is larger than 64 KiB"
NOT_HTTP = "the answer is not HTTP"
DIGITS = "0123456789abcdef"
LONGEST_NUMBER = 16
BROKEN = "the connection was closed before the end of the answer"


class ExchangeError(Exception):
    """There is no complete reply. The text is one line for a person, and quotes nothing that a server sent."""


class Reply:
    """The reply of a server.

    Attributes:
        status: Its status code.
        headers: The values by lower-case name; the last one if a header is repeated.
        body: The bytes that were received, not decompressed.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Connection:
    """A socket with one deadline for all waits and a limit of 64 KiB for all bytes that are read.

    Args:
        until: The deadline, on the monotonic clock.
        allowed: Tells whether the request may be sent. Asked right before the look-up of the name, each connect, the
            TLS handshake and each request.
    """

    __slots__ = ("_allowed", "_left", "_read", "_socket", "_until")

    def __init__(self, until: float, allowed: Callable[[], bool]) -> None:
        self._until, self._allowed = until, allowed
        self._socket: socket.socket | None = None
        self._read = b""
        self._left = MOST

    def _remaining(self) -> float:
        remaining = self._until - now()
        if remaining <= 0:
            raise TimeoutError
        return remaining

    def _check_consent(self) -> None:
        if not self._allowed():
            raise ExchangeError("not sent: stopped by the opt-out")

    def open(self, host: str, port: int, *, secure: bool, proxy: Proxy | None) -> None:
        """Connect to the host, directly or through a proxy.

        Args:
            host: The server of the request.
            port: Its port.
            secure: Whether to use TLS, which a proxy tunnels.
            proxy: The proxy; None to connect directly.

        Raises:
            ExchangeError: Consent was withdrawn, or the proxy refuses the tunnel.
            OSError: No connection could be made before the deadline.
        """
        with Busy():
            import socket  # 5 ms, only where something is sent

        first = (host, port) if proxy is None else (proxy.host, proxy.port)
        look_up = lambda: socket.getaddrinfo(*first, type=socket.SOCK_STREAM)  # noqa: E731 -- with a deadline, since the resolver may hang
        self._check_consent()
        addresses = deadline.call(look_up, self._remaining())
        error: OSError = TimeoutError()
        for behind, (family, kind, protocol, _, address) in enumerate(addresses):
            self._check_consent()
            try:
                self._socket = socket.socket(family, kind, protocol)  # the kernel may lack the family
                # Each address gets its share of the time, so that one that never answers leaves time for the next.
                self._socket.settimeout(self._remaining() / (len(addresses) - behind))
                self._socket.connect(address)
                break
            except OSError as failed:
                error = failed
                self.close()
        if self._socket is None:
            raise error
        if secure:
            if proxy is not None:
                self._tunnel(host, port, proxy)
            self._secure(host)

    def _tunnel(self, host: str, port: int, proxy: Proxy) -> None:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}"]
        if proxy.authorization:
            lines.append(f"proxy-authorization: {proxy.authorization}")
        self.send("\r\n".join([*lines, "", ""]).encode("ascii"))
        status, _ = self._head()
        if status >= 300:  # noqa: PLR2004 -- HTTP's 2xx: `_head` skips 1xx
            message = f"the proxy answered {status}"
            raise ExchangeError(message)
        if self._read:  # the proxy could forge a reply of the server with it
            raise ExchangeError("the proxy said more than was asked of it")

    def _secure(self, host: str) -> None:
        with Busy():
            import ssl  # 20 ms, only where it is asked for

        # Not `create_default_context`: it obeys SSLKEYLOGFILE and writes the session's keys to that file.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs()
        # With this option, a connection that is cut before TLS's closing alert would look like a complete reply.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        if self._socket is not None:
            self._check_consent()
            self._socket.settimeout(self._remaining())
            self._socket = context.wrap_socket(self._socket, server_hostname=host, suppress_ragged_eofs=False)

    def send(self, data: bytes) -> None:
        """Send the bytes of a request. Raises ExchangeError if consent was withdrawn."""
        if self._socket is not None:
            self._check_consent()
            self._socket.settimeout(self._remaining())
            self._socket.sendall(data)

    def reply(self) -> Reply:
        """Read the reply, and skip interim ones (1xx)."""
        status, headers = self._head()
        return Reply(status, headers, self._body(status, headers))

    def _head(self) -> tuple[int, dict[str, str]]:
        status, headers = self._next_head()
        while status < 200:  # noqa: PLR2004 -- HTTP's interim replies, 1xx
            status, headers = self._next_head()
        return status, headers

    def _next_head(self) -> tuple[int, dict[str, str]]:
        head = self._until_mark(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        version, _, rest = first.partition(" ")
        status = rest.partition(" ")[0]
        if version not in ("HTTP/1.0", "HTTP/1.1") or len(status) != 3 or not "100" <= status <= "599":  # noqa: PLR2004
            raise ExchangeError(NOT_HTTP)
        headers: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines):
            key, text = name.strip().lower(), value.strip()
            if key == "content-length" and headers.get(key, text) != text:
                raise ExchangeError(NOT_HTTP)
            headers[key] = text
        return _number(status, 10), headers

    def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return b"".join(self._chunks())
        length = headers.get("content-length")
        if length is None:
            return self._until_end()
        return self._exactly(_number(length, 10))

    def _chunks(self) -> Iterator[bytes]:
        while size := _number(self._until_mark(b"\r\n").split(b";")[0].decode("latin-1"), 16):
            yield self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise ExchangeError(NOT_HTTP)
        while self._until_mark(b"\r\n"):
            pass  # a trailer; its bytes count against the limit as well

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            if not self._more():
                raise ExchangeError(BROKEN)
        found, self._read = self._read[:size], self._read[size:]
        return found

    def _until_mark(self, mark: bytes) -> bytes:
        while mark not in self._read:
            if not self._more():
                raise ExchangeError(BROKEN)
        found, _, self._read = self._read.partition(mark)
        return found

    def _until_end(self) -> bytes:
        while self._more():
            pass
        return self._read

    def _more(self) -> bool:
        """Read the next bytes; False at the end of the stream. Raises ExchangeError above the limit."""
        if self._socket is None:
            return False
        self._socket.settimeout(self._remaining())
        found = self._socket.recv(self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise ExchangeError(TOO_LARGE)
        self._read += found
        return bool(found)

    def close(self) -> None:
        """Close the socket, if it is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _number(text: str, base: int) -> int:
    digits = text.strip().lower()
    if not digits or len(digits) > LONGEST_NUMBER or not set(digits) <= set(DIGITS[:base]):
        raise ExchangeError(NOT_HTTP)
    return int(digits, base)
