"""Why an attempt failed, in fixed words."""

import socket
import ssl

import pytest

from otel_usage.delivery.exporters import reasons


def caused(error, *causes):
    """Return an error that wraps others, each in a way of the libraries."""
    error.__cause__ = causes[0] if causes else None
    error.reason = causes[-1] if causes else None
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), reasons.LATE),
        (ConnectionRefusedError(), reasons.REFUSED),
        (caused(OSError("SECRET"), socket.gaierror()), reasons.UNKNOWN_HOST),
        (OSError(OSError(ssl.SSLCertVerificationError("SECRET"))), reasons.UNTRUSTED),
        (caused(OSError(), ssl.SSLError(), ConnectionResetError()), reasons.BROKEN),
        (ssl.SSLError("SECRET"), reasons.TLS_FAILED),
        (OSError("SECRET"), None),
    ],
)
def test_an_error_is_told_by_its_kind_wherever_it_is_wrapped(error, said):
    """And by nothing that it says."""
    assert reasons.of_error(error) == said


def test_errors_that_cause_each_other_end():
    """However many there are."""
    first, second = OSError(), OSError()
    first.__cause__, second.__cause__ = second, first
    many = OSError(*(OSError() for _ in range(10_000)), TimeoutError())

    assert (reasons.of_error(first), reasons.of_error(many)) == (None, None)


def test_what_a_server_says_at_length_is_not_searched():
    """Only its beginning is."""
    assert reasons.of_grpc("x" * 10_000 + "Connection refused", "http://h") is None


@pytest.mark.parametrize("url", ["http://h", "https://h:1", "http://[::1]:65535/x?y#z", "http://h:"])
@pytest.mark.parametrize("http", [True, False])
def test_a_url_that_may_be_is_not_refused(url, http):
    """Whatever it has beside scheme, host and port."""
    assert reasons.of_url(url, http=http) is None
