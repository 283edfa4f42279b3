"""The package's version, written here once."""

__version__ = "0.1.0"
