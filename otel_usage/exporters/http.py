"""One HTTP/1.1 POST over a connection of its own, under one deadline.

Written on sockets because the standard client has no deadline for the whole, reads without a bound and takes 40 ms to
import, and because what is sent must be exactly what stands here.
"""

from __future__ import annotations

import time

from otel_usage import deadline
from otel_usage.exporters.proxy import ProxyError, choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from otel_usage.exporters.proxy import Proxy

MOST = 64 * 1024
PORTS = {"http": 80, "https": 443}
LATE = "no answer in time"
TOO_LARGE = "the answer is larger than 64 KiB"
NOT_HTTP = "the answer is not HTTP"
DIGITS = "0123456789abcdef"
LONGEST_NUMBER = 16
BROKEN = "the connection was closed before the end of the answer"


class ExchangeError(Exception):
    """There is no complete reply; the text is one line for a person, without anything that a server sent."""


class Reply:
    """What came back. headers: by their names in lower case, the last of several. body: as it was sent."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allowed: Callable[[], bool]) -> Reply:
    """Post `body` with exactly these headers, host and content-length, and return the reply; never follow a redirect.

    timeout: seconds for everything, from the look-up of the name to the last byte. allowed: asked right before each
    connect. Raises ExchangeError where there is no complete reply, and nothing else.
    """
    target = _Target(url)
    until = time.monotonic() + timeout
    try:
        proxy = choose(url)
        connection = _Connection(until, allowed)
        try:
            connection.open(target, proxy)
            connection.send(_request(target, body, headers, proxy))
            return connection.reply()
        finally:
            connection.close()
    except ProxyError as error:
        raise ExchangeError(str(error)) from None
    except OSError as error:
        raise ExchangeError(_in_words(error)) from error
    except UnicodeError as error:
        raise ExchangeError("the host's name is not valid") from error


class _Target:
    """The parts of a URL that a request needs."""

    __slots__ = ("authority", "host", "path", "port", "scheme", "url")

    def __init__(self, url: str) -> None:
        from urllib.parse import urlsplit  # noqa: PLC0415 -- only where something is sent

        if not url.isascii() or not url.isprintable() or " " in url:
            raise ExchangeError("the URL has characters that a URL can't have")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ExchangeError("the URL is not valid") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise ExchangeError("the URL must begin with https:// or http:// and name a host")
        if "@" in parts.netloc:
            raise ExchangeError("the URL must not have a user or password in it")
        self.scheme, self.host, self.authority = parts.scheme, parts.hostname, parts.netloc
        self.port = PORTS[parts.scheme] if port is None else port
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.url = f"{parts.scheme}://{parts.netloc}{self.path}"


def _request(target: _Target, body: bytes, headers: Mapping[str, str], proxy: Proxy | None) -> bytes:
    """Return the whole request. A plain proxy gets the whole URL, and its own credentials."""
    through = proxy is not None and target.scheme == "http"
    named = {"host": target.authority, **headers, "content-length": str(len(body))}
    if through and proxy is not None and proxy.authorization:
        named["proxy-authorization"] = proxy.authorization
    lines = [f"POST {target.url if through else target.path} HTTP/1.1", *(f"{k}: {v}" for k, v in named.items())]
    if any(not line.isascii() or not line.isprintable() for line in lines):
        raise ExchangeError("a header has characters that a header can't have")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class _Connection:
    """A socket whose every wait ends at the one deadline, and whose every read counts against the one bound."""

    __slots__ = ("_allowed", "_left", "_read", "_socket", "_until")

    def __init__(self, until: float, allowed: Callable[[], bool]) -> None:
        self._until, self._allowed = until, allowed
        self._socket: socket.socket | None = None
        self._read = b""
        self._left = MOST

    def _remaining(self) -> float:
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        return remaining

    def open(self, target: _Target, proxy: Proxy | None) -> None:
        """Connect to the target, or to the proxy and through it, and speak TLS where the URL asks for it."""
        import socket  # noqa: PLC0415 -- 5 ms, only where something is sent

        host, port = (target.host, target.port) if proxy is None else (proxy.host, proxy.port)
        look_up = lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # noqa: E731 -- it hangs in the resolver
        addresses = deadline.call(look_up, self._remaining())
        error: OSError = TimeoutError()
        for family, kind, protocol, _, address in addresses:
            if not self._allowed():
                raise ExchangeError("not sent: stopped by the opt-out")
            self._socket = socket.socket(family, kind, protocol)
            try:
                self._socket.settimeout(self._remaining())
                self._socket.connect(address)
                break
            except OSError as failed:
                error = failed
                self.close()
        if self._socket is None:
            raise error
        if target.scheme == "https":
            if proxy is not None:
                self._tunnel(target, proxy)
            self._secure(target.host)

    def _tunnel(self, target: _Target, proxy: Proxy) -> None:
        place = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}"]
        if proxy.authorization:
            lines.append(f"proxy-authorization: {proxy.authorization}")
        self.send("\r\n".join([*lines, "", ""]).encode("ascii"))
        status, _ = self._head()
        if not 200 <= status < 300:  # noqa: PLR2004 -- HTTP's own class of success
            message = f"the proxy answered {status}"
            raise ExchangeError(message)

    def _secure(self, host: str) -> None:
        import ssl  # noqa: PLC0415 -- 20 ms, only where it is asked for

        # Not `create_default_context`: it heeds SSLKEYLOGFILE, which writes the keys to a file.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs()
        if self._socket is not None:
            self._socket.settimeout(self._remaining())
            self._socket = context.wrap_socket(self._socket, server_hostname=host)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        if self._socket is not None:
            self._socket.settimeout(self._remaining())
            self._socket.sendall(data)

    def reply(self) -> Reply:
        """Read one reply, passing over interim ones."""
        status, headers = self._head()
        while 100 <= status < 200:  # noqa: PLR2004 -- HTTP's own class of interim replies
            status, headers = self._head()
        return Reply(status, headers, self._body(status, headers))

    def _head(self) -> tuple[int, dict[str, str]]:
        head = self._until_mark(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        version, _, rest = first.partition(" ")
        status = rest[:3]
        if version not in ("HTTP/1.0", "HTTP/1.1") or not (status.isascii() and status.isdigit() and len(status) == 3):  # noqa: PLR2004
            raise ExchangeError(NOT_HTTP)
        pairs = (line.partition(":") for line in lines)
        return int(status), {name.strip().lower(): value.strip() for name, _, value in pairs}

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
            self._until_mark(b"\r\n")
        while self._until_mark(b"\r\n"):
            pass  # a trailer, which counts against the bound as all else does

    def _exactly(self, size: int) -> bytes:
        if size > MOST:
            raise ExchangeError(TOO_LARGE)
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
        """Read on; False at the end."""
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


def _in_words(error: OSError) -> str:
    """Say what went wrong in fixed words: an error's own text may quote the other side."""
    import socket  # noqa: PLC0415 -- loaded already
    import sys  # noqa: PLC0415 -- the same

    kinds: list[tuple[type[OSError], str]] = [
        (TimeoutError, LATE),
        (ConnectionRefusedError, "connection refused"),
        (ConnectionResetError, BROKEN),
        (BrokenPipeError, BROKEN),
        (socket.gaierror, "the host's name can't be found"),
    ]
    if ssl := sys.modules.get("ssl"):
        kinds[:0] = [(ssl.SSLCertVerificationError, "the server's certificate can't be verified")]
        kinds += [(ssl.SSLError, "no secure connection (TLS) could be made")]
    return next((words for kind, words in kinds if isinstance(error, kind)), "no connection could be made")
