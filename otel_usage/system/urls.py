"""Parse a URL strictly: accept it only if all programs read the same host in it."""

from __future__ import annotations

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
IN_SCHEMES = frozenset(f"{LETTERS}{DIGITS}+-.")
IN_NAMES = frozenset(f"{LETTERS}{DIGITS}-._")
IN_ADDRESSES = frozenset("0123456789abcdef:.")
LONGEST_PORT = 5
NUMBERS = frozenset(map(str, range(256)))


class Place:
    """A parsed URL.

    Attributes:
        scheme: In lower case; empty if the URL has none.
        host: In lower case, without brackets; empty for a URL such as `unix:///path`.
        shown: The URL as it may be shown: without user, password, query and fragment.
    """

    __slots__ = ("host", "scheme", "shown")

    def __init__(self, scheme: str, host: str, shown: str) -> None:
        self.scheme, self.host, self.shown = scheme, host, shown


def place(url: str) -> Place | None:
    """Parse a URL.

    Programs disagree on where the user and password end if they contain one of / ? # @ or a backslash. What one program
    reads as the rest of the password, another reads as the host or the path. Such a URL is invalid here.

    Returns:
        Its parts; None if the URL is invalid or ambiguous.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    authority, behind = rest[:end], rest[end:]
    if "@" in behind or "%40" in behind or not IN_SCHEMES.issuperset(scheme.lower()) or (separator and not scheme):
        return None
    user, _, named = authority.rpartition("@")
    host = _host(named.lower())
    if host is None or (not host and (user or scheme.lower() in ("", "http", "https"))):  # `unix:///path` has no host
        return None
    path = behind.partition("?")[0].partition("#")[0]
    return Place(scheme.lower(), host, f"{scheme}{separator}{named}{path}")


def _host(named: str) -> str | None:
    """Return the host of `host` or `host:port`; None if it is invalid."""
    if named.startswith("["):
        host, _, behind = named[1:].partition("]")
        allowed = host != "" and "]" in named and behind[:1] in ("", ":") and IN_ADDRESSES.issuperset(host)
        port = behind[1:]
    else:
        host, _, port = named.partition(":")
        allowed = IN_NAMES.issuperset(host)
    return host if allowed and len(port) <= LONGEST_PORT and set(port) <= set(DIGITS) else None


def is_loopback(url: str) -> bool:
    """Tell whether a URL with a scheme names this machine: localhost, 127.0.0.0/8 or ::1."""
    found = place(url)
    if found is None or not found.scheme:
        return False
    octets = found.host.split(".")
    # NUMBERS has no leading zeros: some programs read such an octet as octal.
    numeric = len(octets) == 4 and all(o in NUMBERS for o in octets)  # noqa: PLR2004
    return found.host in ("localhost", "::1") or (numeric and octets[0] == "127")
