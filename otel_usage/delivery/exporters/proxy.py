"""Choose the proxy for a request from the usual variables: http_proxy, https_proxy, all_proxy and no_proxy."""

from __future__ import annotations

import os

from otel_usage.system.urls import is_loopback, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Network, IPv6Network

SUFFIX = "_proxy"
DEFAULT_PORT = 80
UNUSABLE = "not sent: the proxy that is set can't be used, only http:// ones can"


class ProxyError(Exception):
    """The proxy can't be used; the text says so in one line, without its user or password."""


class Proxy:
    """An HTTP proxy.

    Attributes:
        host: Its name or address.
        port: Its port.
        authorization: The value of the proxy-authorization header; None if its URL has no user.
    """

    __slots__ = ("authorization", "host", "port")

    def __init__(self, host: str, port: int, authorization: str | None) -> None:
        self.host, self.port, self.authorization = host, port, authorization


def choose(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for a URL.

    Args:
        url: The URL of the request.
        environ: The environment variables; `os.environ` by default.

    Returns:
        The proxy; None to connect directly: no proxy is set for it, the host is loopback, or no_proxy matches it.

    Raises:
        ProxyError: The proxy for this URL can't be used. The caller must not connect directly instead.
    """
    environ = os.environ if environ is None else environ
    if not any(name.lower().endswith(SUFFIX) for name in environ):
        return None
    from urllib.parse import urlsplit  # only where a proxy is set

    parts, named = urlsplit(url), _by_scheme(environ)
    chosen = named.get(parts.scheme) or named.get("all")
    if not chosen or is_loopback(url):
        return None
    if _bypassed((parts.hostname or "").rstrip("."), parts.port, named.get("no", "")):
        return None
    return _parse(chosen)


def _by_scheme(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies by scheme. A lower-case name wins. In CGI, HTTP_PROXY comes from the client and is ignored."""
    named = {}
    for name, value in sorted(environ.items()):  # upper case sorts first
        lower = name.lower()
        is_client_header = lower == "http_proxy" != name and "REQUEST_METHOD" in environ
        if lower.endswith(SUFFIX) and not is_client_header:
            named[lower.removesuffix(SUFFIX)] = value.strip()
    return named


def _bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """Tell whether no_proxy matches: `*`, a name or its end, with or without a port, an address or a CIDR block."""
    import ipaddress  # only where a proxy is set

    entries = no_proxy.replace(",", " ").lower().split()
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if "*" in entries or place in entries:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        ends = [f".{entry.removeprefix('*').strip('.')}" for entry in entries]
        return any(f".{name}".endswith(end) for name in (host, place) for end in ends)
    return any(address in block for block in _blocks(entries))


def _blocks(entries: list[str]) -> Iterator[IPv4Network | IPv6Network]:
    """Yield the entries that are addresses or CIDR blocks."""
    import ipaddress  # only where a proxy is set

    for entry in entries:
        try:
            yield ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            continue


def _parse(text: str) -> Proxy:
    from base64 import b64encode  # only where a proxy is used
    from urllib.parse import unquote_to_bytes, urlsplit

    url = text if "://" in text else f"http://{text}"
    if place(url) is None:
        raise ProxyError(UNUSABLE)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise ProxyError(UNUSABLE) from None
    if parts.scheme != "http" or not host or not port:
        raise ProxyError(UNUSABLE)
    if parts.username is None:
        return Proxy(host, port, None)
    secret = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
    return Proxy(host, port, f"Basic {b64encode(secret).decode('ascii')}")
