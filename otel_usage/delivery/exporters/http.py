"""One HTTP/1.1 POST on a new connection, with one deadline for everything.

It uses sockets, since Python's own HTTP client has no deadline for the whole exchange, reads without a limit, adds
headers and takes 40 ms to import.
"""

from __future__ import annotations

from otel_usage.delivery.exporters.connection import Connection, ExchangeError, Reply
from otel_usage.delivery.exporters.proxy import ProxyError, choose
from otel_usage.delivery.exporters.reasons import NO_CONNECTION, of_error
from otel_usage.system.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_usage.delivery.exporters.proxy import Proxy

__all__ = ["ExchangeError", "Reply", "post"]

PORTS = {"http": 80, "https": 443}


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allowed: Callable[[], bool]) -> Reply:
    """Post a body and return the reply. A redirect is not followed.

    Args:
        url: Where to, with http or https, and without a user.
        body: The body, as it is sent.
        headers: All headers of the request, except host and content-length.
        timeout: Seconds for everything, from the look-up of the name to the last byte of the reply.
        allowed: Tells whether the request may be sent; asked right before anything leaves, also before its first byte.

    Raises:
        ExchangeError: There is no complete reply. No other Exception is raised.
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
        raise ExchangeError(of_error(error) or NO_CONNECTION) from error
    except UnicodeError as error:
        raise ExchangeError("the host's name is not valid") from error
    except RuntimeError as error:
        raise ExchangeError("no thread can be started to look up the host's name") from error


class _Target:
    """The parts of a URL for a request. Raises ExchangeError if the URL is not valid."""

    __slots__ = ("authority", "host", "path", "port", "scheme", "url")

    def __init__(self, url: str) -> None:
        from urllib.parse import urlsplit  # only where something is sent

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
    """Return the bytes of the request. A proxy for plain HTTP gets the whole URL and the proxy's credentials."""
    through = proxy is not None and target.scheme == "http"
    named = {"host": target.authority, **headers, "content-length": str(len(body))}
    if through and proxy is not None and proxy.authorization:
        named["proxy-authorization"] = proxy.authorization
    lines = [f"POST {target.url if through else target.path} HTTP/1.1", *(f"{k}: {v}" for k, v in named.items())]
    if any(not line.isascii() or not line.isprintable() for line in lines):
        raise ExchangeError("a header has characters that a header can't have")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
