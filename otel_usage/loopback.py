"""Which addresses are this machine's own."""

from __future__ import annotations


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine: localhost, 127.0.0.0/8 or ::1."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0].rpartition("@")[2]
    host = authority.partition("]")[0].lstrip("[") if authority.startswith("[") else authority.partition(":")[0]
    octets = host.split(".")
    numeric = len(octets) == 4 and all(o.isascii() and o.isdigit() and int(o) < 256 for o in octets)  # noqa: PLR2004
    return host.lower() in ("localhost", "::1") or (numeric and int(octets[0]) == 127)  # noqa: PLR2004
