"""Which proxy a request goes through, by the variables that operators set for every program."""

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
    """A proxy is named that can't be used; the text says so in one line, without its user or password."""


class Proxy:
    """An HTTP proxy. authorization: the header that its URL's user and password make; None without them."""

    __slots__ = ("authorization", "host", "port")

    def __init__(self, host: str, port: int, authorization: str | None) -> None:
        self.host, self.port, self.authorization = host, port, authorization


def choose(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for a URL, None to connect directly: always so on loopback and where no_proxy has the host.

    Raises ProxyError where a variable applies that can't be used: nothing is sent then, never directly.
    """
    environ = os.environ if environ is None else environ
    if not any(name.lower().endswith(SUFFIX) for name in environ):
        return None
    from urllib.parse import urlsplit  # noqa: PLC0415 -- only where a proxy is set

    parts, named = urlsplit(url), _named(environ)
    chosen = named.get(parts.scheme) or named.get("all")
    if not chosen or is_loopback(url):
        return None
    if _bypassed((parts.hostname or "").rstrip("."), parts.port, named.get("no", "")):
        return None
    return _parse(chosen)


def _named(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies by scheme; lower case wins, and a server's CGI variable is not one."""
    named = {}
    for name, value in sorted(environ.items()):  # upper case sorts first
        lower = name.lower()
        by_a_client = lower == "http_proxy" != name and "REQUEST_METHOD" in environ
        if lower.endswith(SUFFIX) and not by_a_client:
            named[lower.removesuffix(SUFFIX)] = value.strip()
    return named


def _bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """Tell whether no_proxy has the host: *, a name or the end of one, with or without a port, a block of addresses."""
    import ipaddress  # noqa: PLC0415 -- only where a proxy is set

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
    """Yield the entries that are addresses or blocks of them."""
    import ipaddress  # noqa: PLC0415 -- only where a proxy is set

    for entry in entries:
        try:
            yield ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            continue


def _parse(text: str) -> Proxy:
    from base64 import b64encode  # noqa: PLC0415 -- only where a proxy is used
    from urllib.parse import unquote_to_bytes, urlsplit  # noqa: PLC0415 -- the same

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
