"""Which proxy a request goes through, by the variables that operators set for every program."""

from __future__ import annotations

import os

from otel_usage.loopback import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIX = "_proxy"
DEFAULT_PORT = 8080


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
    if is_loopback(url) or not any(name.lower().endswith(SUFFIX) for name in environ):
        return None
    from urllib.parse import urlsplit  # noqa: PLC0415 -- only where a proxy is set

    parts, named = urlsplit(url), _named(environ)
    chosen = named.get(parts.scheme) or named.get("all")
    if not chosen or _bypassed(parts.hostname or "", parts.port, named.get("no", "")):
        return None
    return _parse(chosen)


def _named(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies by scheme; lower case wins, and a server's CGI variable is not one."""
    named = {}
    for name, value in sorted(environ.items()):  # upper case sorts first
        if not name.lower().endswith(SUFFIX):
            continue
        if name != "HTTP_PROXY" or "REQUEST_METHOD" not in environ:
            named[name.lower().removesuffix(SUFFIX)] = value.strip()
    return named


def _bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """Tell whether no_proxy has the host: *, a name or the end of one, with or without a port, a block of addresses."""
    for entry in no_proxy.replace(" ", ",").lower().split(","):
        if entry == "*" or (entry and _within(host, entry)):
            return True
        suffix = entry.removeprefix("*").lstrip(".")
        if suffix and any(name == suffix or name.endswith(f".{suffix}") for name in (host, f"{host}:{port}")):
            return True
    return False


def _within(host: str, entry: str) -> bool:
    import ipaddress  # noqa: PLC0415 -- only where a proxy is set

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _parse(text: str) -> Proxy:
    from base64 import b64encode  # noqa: PLC0415 -- only where a proxy is used
    from urllib.parse import unquote_to_bytes, urlsplit  # noqa: PLC0415 -- the same

    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme != "http":
        message = "not sent: the proxy that is set can't be used, only http:// ones can"
        raise ProxyError(message)
    if parts.username is None:
        return Proxy(host, port or DEFAULT_PORT, None)
    secret = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
    return Proxy(host, port or DEFAULT_PORT, f"Basic {b64encode(secret).decode('ascii')}")
