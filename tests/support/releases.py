"""The installed release of OpenTelemetry: a test states what the oldest admitted release does otherwise."""

from importlib.metadata import version

#: Whether it is 1.27; `make test-matrix` runs the tests with it, and with the newest.
OLDEST = version("opentelemetry-sdk").startswith("1.27.")
