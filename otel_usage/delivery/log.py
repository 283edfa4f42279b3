"""The delivery log: the outcome of each attempt to send, for `otel-usage status`."""

from __future__ import annotations

import os
import time

from otel_usage.system.private_files import append_line, read_objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otel_usage.delivery.destination import Destination
    from otel_usage.delivery.exporters.outcome import Outcome
    from otel_usage.facts.fact import Scalar

FILE = "usage_deliveries.json"
MAX_BYTES = 64 * 1024


def note(directory: str | None, destination: Destination, outcome: Outcome) -> None:
    """Append the outcome of one attempt. Nothing happens if the log can't be written.

    Args:
        directory: The app's config directory, None where it has none.
        destination: Where the report was sent; its URL is logged without user, password, query and fragment.
        outcome: What to log.
    """
    if directory is None:
        return
    import json  # only where something is sent

    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "destination": destination.kind,
        "endpoint": destination.endpoint,
        "ok": outcome.ok,
        "detail": outcome.detail,
    }
    try:
        append_line(os.path.join(directory, FILE), json.dumps(entry), max_bytes=MAX_BYTES)
    except (OSError, ValueError):
        return


def last_delivery(directory: str | None) -> dict[str, Scalar | None] | None:
    """Return the newest entry of the log in an app's config directory, or None if there is none."""
    newest = None
    for entry in read_objects(os.path.join(directory, FILE)) if directory else ():
        newest = entry if "time" in entry else newest
    return newest
