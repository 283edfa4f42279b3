"""The local file: one line per report, which the operator can read. It is written before anything is sent."""

from __future__ import annotations

import os

from otel_usage.system.private_files import append_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from otel_usage.delivery.gate import Gate
    from otel_usage.facts.report import Report

FILE = "usage_stats.json"


def local_file(directory: str | None) -> str | None:
    """Return the path of the local file in an app's config directory, or None if there is no directory."""
    return None if directory is None else os.path.join(directory, FILE)


def record(report: Report, gate: Gate) -> bool:
    """Append the report's line to the local file, if the mode allows it. Tell whether the line was written."""
    return record_or_say(report, gate) is None


def record_or_say(report: Report, gate: Gate) -> str | None:
    """Append the report's line to the local file, if the mode allows it. Return why it was not written, else None."""
    path = local_file(gate.directory)
    if path is None:
        return "there is no directory with an absolute path"
    if not gate.may_record():
        return "the mode is off"
    try:
        append_line(path, report.line)
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:
        return "the line can't be written as JSON in ASCII, or the path is none"
    return None
