"""Which OpenTelemetry is installed: where the oldest that is admitted does otherwise, a test says what it does."""

from importlib.metadata import version

#: Whether it is 1.27; `make test-matrix` runs the tests with it, and with the newest.
OLDEST = version("opentelemetry-sdk").startswith("1.27.")
