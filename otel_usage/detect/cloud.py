"""The cloud provider, by what the firmware says of its maker; never by asking the network."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DMI = "/sys/class/dmi/id"
FILES = ("product_version", "bios_vendor", "product_name", "chassis_asset_tag", "sys_vendor")
MARKS = {"amazon": "AWS", "microsoft corporation": "AZURE", "google": "GCP", "oraclecloud": "OCI"}
VARIABLES = {"RUNPOD_DC_ID": "RUNPOD"}
LONGEST = 1024


def detect(directory: str = DMI, environ: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield the provider, UNKNOWN where nothing tells; what the firmware says itself goes no further.

    directory: that of the firmware's texts. environ: os.environ by default.
    """
    yield "provider", provider(directory, os.environ if environ is None else environ)


def provider(directory: str, environ: Mapping[str, str]) -> str:
    """Return AWS, AZURE, GCP, OCI, RUNPOD or UNKNOWN; a file that can't be read says nothing."""
    for name in FILES:
        text = _read(os.path.join(directory, name))
        for mark, found in MARKS.items():
            if mark in text:
                return found
    return next((found for variable, found in VARIABLES.items() if environ.get(variable)), "UNKNOWN")


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(LONGEST).decode("utf-8", "replace").lower()
    except OSError:
        return ""
