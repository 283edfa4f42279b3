"""Why an attempt failed, in fixed words: an error's own text may quote the other side."""

from __future__ import annotations

import os
import stat

from otel_usage.delivery.exporters.connection import BROKEN
from otel_usage.system.urls import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = "no answer in time"
REFUSED = "connection refused"
UNKNOWN_HOST = "the host's name can't be found"
UNTRUSTED = "the server's certificate can't be verified"
TLS_FAILED = "the secure connection (TLS) failed"
NO_CONNECTION = "no connection could be made"

NO_SCHEME = "not sent: the URL has no scheme; write http:// or https:// before the host"
OTHER_SCHEME = "not sent: the URL must begin with http:// or https://"
BAD_PORT = "not sent: the URL's port must be a number from 1 to 65535"
SCHEMES = ("http", "https")
NO_GRPC = "what answers there does not speak gRPC; for HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
SECURE_BY_DEFAULT = "; without a scheme gRPC uses TLS, write http:// for none"
# What gRPC says of a connection that it could not make, and our words for it; the first that is found counts.
OF_GRPC = (
    ("CERTIFICATE_VERIFY_FAILED", UNTRUSTED),
    ("Hostname Verification Check failed", UNTRUSTED),
    ("is not in peer certificate", UNTRUSTED),
    ("Failed parsing HTTP/2", NO_GRPC),
    ("http1.x server", NO_GRPC),
    ("Connection refused", REFUSED),
    ("lookup", UNKNOWN_HOST),
    ("DNS resolution failed", UNKNOWN_HOST),
    ("andshake", TLS_FAILED),
    ("reset by peer", BROKEN),
    ("Socket closed", BROKEN),
    ("Deadline Exceeded", LATE),
)
LONGEST_DETAILS = 4096
MOST_ERRORS = 32
# The stock exporters read each of these variables for traces alone, else for all signals.
FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


def of_url(url: str, *, http: bool) -> str | None:
    """Say what is wrong with a collector's URL, None where nothing is that can be seen without a connection.

    Args:
        url: As it would be sent to. gRPC takes one without a scheme, too, and any port modulo 65536.
        http: Whether it is for HTTP, else it is for gRPC.
    """
    from urllib.parse import urlsplit  # only where something is sent

    if "@" in url or "\\" in url:  # whether that can be read in one way only is `Destination.clear`'s to say
        return None
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:
        return None
    if http and "://" not in url and place(url) is not None:
        return NO_SCHEME
    if http and parts.scheme not in ("", *SCHEMES):
        return OTHER_SCHEME
    try:
        return BAD_PORT if parts.port == 0 else None
    except ValueError:
        # Of what is no number, only a host can stand before a port; a word may as well be a user before a password.
        host = parts.hostname or ""
        return BAD_PORT if place(url) is not None or "." in host or host == "localhost" else None


def of_error(error: BaseException) -> str | None:
    """Say what went wrong in a connection, None where it is none of the known kinds."""
    import socket  # loaded already
    import sys

    kinds: list[tuple[type[BaseException], str]] = [
        (TimeoutError, LATE),
        (ConnectionRefusedError, REFUSED),
        (ConnectionResetError, BROKEN),
        (BrokenPipeError, BROKEN),
        (socket.gaierror, UNKNOWN_HOST),
    ]
    if ssl := sys.modules.get("ssl"):
        kinds[:0] = [(ssl.SSLCertVerificationError, UNTRUSTED)]
        kinds += [(ssl.SSLError, TLS_FAILED)]
    causes = list(_causes(error))
    return next((words for kind, words in kinds for cause in causes if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it: libraries wrap what the system raised, each in a way of its own."""
    found: list[BaseException] = [error]
    for at in range(MOST_ERRORS):
        if at == len(found):
            return
        one = found[at]
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        found += [cause for cause in inner if isinstance(cause, BaseException) and cause not in found]


def of_grpc(details: str | None, url: str) -> str | None:
    """Say what gRPC's details of a failed call mean, None where they are not known."""
    text = (details or "")[:LONGEST_DETAILS]
    words = next((words for mark, words in OF_GRPC if mark in text), None)
    return words + SECURE_BY_DEFAULT if words == TLS_FAILED and "://" not in url else words


def of_files(*, http: bool) -> str | None:
    """Name the variable of the stock exporters whose file can't be read, None where each can.

    Args:
        http: Whether it is for HTTP, where a directory of certificates will do as well.
    """
    for name in FILES:
        names = (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")
        set_by = next((variable for variable in names if os.environ.get(variable)), None)
        if set_by is not None and not _is_readable(os.environ[set_by], http=http):
            return f"the file that {set_by} names can't be read"
    return None


def _is_readable(path: str, *, http: bool) -> bool:
    try:
        kind = os.stat(path).st_mode
        return (stat.S_ISREG(kind) or (http and stat.S_ISDIR(kind))) and os.access(path, os.R_OK)
    except (OSError, ValueError):
        return False
