"""The host's own state, left as it was found."""

import warnings

import pytest

from otel_usage.system.host_state import WarningsFiltersKept


@pytest.fixture(autouse=True)
def filters():
    """Filters of the test's own, of which one is OpenTelemetry's already."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", "from before", DeprecationWarning, "opentelemetry.sdk.trace")
        warnings.filterwarnings("ignore", "the host's", UserWarning, "host")
        yield


def test_what_opentelemetry_adds_is_taken_back():
    """A new filter goes; one that was there before and was moved to the front is back in its place."""
    before = list(warnings.filters)
    with WarningsFiltersKept():
        warnings.filterwarnings("ignore", "a new one", DeprecationWarning, "opentelemetry.sdk")
        warnings.filterwarnings("ignore", "from before", DeprecationWarning, "opentelemetry.sdk.trace")

    assert warnings.filters == before


def test_what_the_host_adds_meanwhile_stays():
    """A filter of another thread of the host is none of ours."""
    before = list(warnings.filters)
    with WarningsFiltersKept():
        warnings.filterwarnings("ignore", "a new one", DeprecationWarning, "opentelemetry.sdk")
        warnings.simplefilter("error", ResourceWarning)

    assert warnings.filters == [("error", None, ResourceWarning, None, 0), *before]
