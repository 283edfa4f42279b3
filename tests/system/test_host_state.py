"""The state of the host is the same after our work as before."""

import warnings

import pytest

from otel_usage.system.host_state import WarningsFiltersKept


@pytest.fixture(autouse=True)
def filters():
    """Warning filters of the test, one of which OpenTelemetry adds as well."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", "from before", DeprecationWarning, "opentelemetry.sdk.trace")
        warnings.filterwarnings("ignore", "the host's", UserWarning, "host")
        yield


def test_what_opentelemetry_adds_is_taken_back():
    """A new filter is removed, and a filter that was moved to the front returns to its place."""
    before = list(warnings.filters)
    with WarningsFiltersKept():
        warnings.filterwarnings("ignore", "a new one", DeprecationWarning, "opentelemetry.sdk")
        warnings.filterwarnings("ignore", "from before", DeprecationWarning, "opentelemetry.sdk.trace")

    assert warnings.filters == before


def test_what_the_host_adds_meanwhile_stays():
    """A filter that another thread of the host adds is not ours to remove."""
    before = list(warnings.filters)
    with WarningsFiltersKept():
        warnings.filterwarnings("ignore", "a new one", DeprecationWarning, "opentelemetry.sdk")
        warnings.simplefilter("error", ResourceWarning)

    assert warnings.filters == [("error", None, ResourceWarning, None, 0), *before]
