"""One HTTP/1.1 POST over a connection of its own, under one deadline.

Written on sockets because the standard client has no deadline for the whole, reads without a bound and takes 40 ms to
import, and because what is sent must be exactly what stands here.
"""

from __future__ import annotations

from otel_usage.delivery.exporters.connection import BROKEN, Connection, ExchangeError, Reply
from otel_usage.delivery.exporters.proxy import ProxyError, choose
from otel_usage.system.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_usage.delivery.exporters.proxy import Proxy

__all__ = ["ExchangeError", "Reply", "post"]

PORTS = {"http": 80, "https": 443}
LATE = "no answer in time"


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allowed: Callable[[], bool]) -> Reply:
    """Post `body` with exactly these headers, host and content-length, and return the reply; never follow a redirect.

    timeout: seconds for everything, from the look-up of the name to the last byte. allowed: asked right before
    anything leaves, and so before the first byte of the request.
    Raises ExchangeError where there is no complete reply, and nothing else.
    """
    target = _Target(url)
    until = now() + timeout
    try:
        proxy = choose(url)
        connection = Connection(until, allowed)
        try:
            connection.open(target.host, target.port, secure=target.scheme == "https", proxy=proxy)
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
    except RuntimeError as error:
        raise ExchangeError("no thread can be started to look up the host's name") from error


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
        kinds += [(ssl.SSLError, "the secure connection (TLS) failed")]
    return next((words for kind, words in kinds if isinstance(error, kind)), "no connection could be made")
