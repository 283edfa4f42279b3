"""Which machine a URL names, read in the one way that nobody can read otherwise."""

from __future__ import annotations

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
IN_SCHEMES = frozenset(f"{LETTERS}{DIGITS}+-.")
IN_NAMES = frozenset(f"{LETTERS}{DIGITS}-._")
IN_ADDRESSES = frozenset("0123456789abcdef:.")
LONGEST_PORT = 5
NUMBERS = frozenset(map(str, range(256)))


class Place:
    """Where a URL leads to. host: in lower case, without brackets. shown: the URL without user, query and fragment."""

    __slots__ = ("host", "scheme", "shown")

    def __init__(self, scheme: str, host: str, shown: str) -> None:
        self.scheme, self.host, self.shown = scheme, host, shown


def place(url: str) -> Place | None:
    """Return where a URL leads to; None where it is not valid, or can be read in two ways.

    Programs disagree on where a user and password end that hold one of / ? # @ and a backslash: what one takes for the
    rest of the password is a path to another, and a name in it is the host.
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
    if host is None or (not host and (user or scheme.lower() in ("", "http", "https"))):  # unix:///path has none
        return None
    path = behind.partition("?")[0].partition("#")[0]
    return Place(scheme.lower(), host, f"{scheme}{separator}{named}{path}")


def _host(named: str) -> str | None:
    """Return the host of a host and port; None where it is none."""
    if named.startswith("["):
        host, _, behind = named[1:].partition("]")
        allowed = host != "" and "]" in named and behind[:1] in ("", ":") and IN_ADDRESSES.issuperset(host)
        port = behind[1:]
    else:
        host, _, port = named.partition(":")
        allowed = IN_NAMES.issuperset(host)
    return host if allowed and len(port) <= LONGEST_PORT and set(port) <= set(DIGITS) else None


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine: localhost, 127.0.0.0/8 or ::1."""
    found = place(url)
    if found is None or not found.scheme:
        return False
    octets = found.host.split(".")
    # A zero in front would make it octal for those who connect to it.
    numeric = len(octets) == 4 and all(o in NUMBERS for o in octets)  # noqa: PLR2004
    return found.host in ("localhost", "::1") or (numeric and octets[0] == "127")
