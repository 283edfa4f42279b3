"""The notice: said once on a machine, before an app's reports leave it for the first time."""

from __future__ import annotations

import os
import time

from otel_usage.system.directory import Directory
from otel_usage.system.private_files import create

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger

    from otel_usage.delivery.gate import Gate

FILE = "usage_notice"
BEFORE_SEND = "before-send"
TEXT = (
    "%s reports anonymous usage to %s: see it with `otel-usage --app %s preview`, stop it with DO_NOT_TRACK=1 or "
    "`otel-usage --app %s off`"
)


def give_notice(gate: Gate, logger: Logger | None) -> bool:
    """Give the notice if this machine has not had it, and record that; tell whether it had it before.

    It is one line at level INFO on the adopter's logger, else on `otel_usage`. Where it can't be recorded, it is given
    again by the next run.
    """
    directory = gate.directory
    if directory is not None and os.path.lexists(os.path.join(directory, FILE)):
        return True
    import logging  # noqa: PLC0415 -- once on a machine

    places = ", ".join(destination.endpoint for destination in gate.destinations)
    name = gate.app.name
    try:
        (logger or logging.getLogger("otel_usage")).info(TEXT, name, places, name, name)
    except Exception:  # noqa: BLE001 -- a handler or filter of the host's that raises: nobody was told
        return False
    if directory is not None:
        _record(directory)
    return False


def _record(directory: str) -> None:
    try:
        with Directory.open(directory, create=True) as folder:
            create(folder, FILE, time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()).encode())
    except OSError:
        return
