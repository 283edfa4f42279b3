"""The notice: given once on a machine, before an app's reports leave it for the first time.

It counts as given where somebody could see it: where the program's log shows it, or the program shows it itself.
"""

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
    "%s reports its version, the settings that it declares and this machine's hardware to %s, each run under a random "
    "id of its own: see all of it with `otel-usage --app %s preview`, stop it with DO_NOT_TRACK=1 or "
    "`otel-usage --app %s off`"
)
UNSEEN = (
    "not sent: nobody could see the notice, since the program's log does not show level INFO; once a run has shown it, "
    "later ones send"
)
GIVEN = "not sent: this run gave the notice; later ones send"


def was_given(gate: Gate) -> bool:
    """Tell whether the notice was given on this machine, by this run or another."""
    directory = gate.directory
    return directory is not None and os.path.lexists(os.path.join(directory, FILE))


def log_notice(gate: Gate, logger: Logger | None) -> bool:
    """Give the notice by the log, and record that; tell whether the log shows it to anybody.

    It is one line at level INFO on the adopter's logger, else on `otel_usage`.
    """
    import logging  # until it was given

    log = logger or logging.getLogger("otel_usage")
    try:
        if not _shows(log):
            return False
        log.info(TEXT, *_parts(gate))
    except Exception:  # noqa: BLE001 -- a handler or filter of the host's that raises: nobody was told
        return False
    record_notice(gate)
    return True


def notice_text(gate: Gate) -> str:
    """Return the notice for a program that shows it itself."""
    return TEXT % _parts(gate)


def record_notice(gate: Gate) -> None:
    """Record that the notice was given. Where that fails, it is given again by the next run."""
    directory = gate.directory
    if directory is None:
        return
    try:
        with Directory.open(directory, create=True) as folder:
            create(folder, FILE, time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()).encode())
    except OSError:
        return


def _parts(gate: Gate) -> tuple[str, ...]:
    name = gate.app.name
    return name, ", ".join(destination.endpoint for destination in gate.destinations), name, name


def _shows(logger: Logger) -> bool:
    """Tell whether a logger shows level INFO: the level is on, and a handler takes it on its way to the root."""
    import logging  # loaded by who calls this

    if not logger.isEnabledFor(logging.INFO):
        return False
    at: Logger | None = logger
    while at is not None:
        if any(each.level <= logging.INFO and not isinstance(each, logging.NullHandler) for each in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False
