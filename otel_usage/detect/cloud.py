"""The cloud provider, from the vendor's name in the firmware (DMI) and from variables. It never uses the network."""

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
    """Yield the provider only; the texts of the firmware are not reported.

    Args:
        directory: The kernel's directory with the texts of the firmware.
        environ: The environment variables; `os.environ` by default.
    """
    yield "provider", provider(directory, os.environ if environ is None else environ)


def provider(directory: str, environ: Mapping[str, str]) -> str:
    """Return AWS, AZURE, GCP, OCI, RUNPOD or UNKNOWN. Files that can't be read are skipped."""
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
