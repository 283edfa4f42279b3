"""One report: the admitted facts of one run at one moment, and the line and attributes that they make.

It needs no OpenTelemetry, so that the line can be written whatever state the host's is in.
"""

from __future__ import annotations

import os
import time

from otel_usage.facts.admission import admit, admit_attributes
from otel_usage.facts.builtin import REPORT, SERVICE_NAME, UNKNOWN_CONTEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Scalar


class Report:
    """The facts of one report or heartbeat, admitted and exact, by their keys in the file.

    name: that of its span. facts: they include uuid and log_time (ns since the epoch). trace_id, span_id: its own.
    """

    __slots__ = ("app", "facts", "name", "span_id", "trace_id")

    def __init__(self, app: App, facts: Mapping[str, Scalar], *, name: str = REPORT) -> None:
        self.app, self.name = app, name
        self.facts: dict[str, Scalar] = {"uuid": random_uuid(), "log_time": time.time_ns(), **facts}
        self.trace_id, self.span_id = random_id(16), random_id(8)

    @classmethod
    def restored(cls, app: App, facts: Mapping[str, Scalar], *, name: str, trace_id: int, span_id: int) -> Report:
        """Return a report under the ids that it had before."""
        report = cls(app, facts, name=name)
        report.trace_id, report.span_id = trace_id, span_id
        return report

    def renamed(self) -> Report:
        """Return the same report under ids of its own, for another destination."""
        return Report(self.app, {**self.facts, "uuid": random_uuid()}, name=self.name)

    @property
    def values(self) -> dict[str, Scalar | None]:
        """What stands in the file: every declared key in its order, None where it is not known."""
        keys = self.app.report_keys if self.name == REPORT else self.app.heartbeat_keys
        return {key: self.facts.get(key) for key in keys}

    @property
    def line(self) -> str:
        """The line of the file, without its end: JSON as the json module writes it by default, ASCII, no NaN."""
        import json  # 3 ms that an importing host need not pay

        return json.dumps(self.values, allow_nan=False)

    def misfits(self) -> list[str]:
        """Say which values will not leave, or leave as `other`."""
        places = ("resource", "span")
        return [problem for place in places for problem in admit_attributes(self.app, self.attributes(place), place)[1]]

    def attributes(self, place: str) -> dict[str, Scalar]:
        """Return the attributes of the resource or the span that the facts become, before rounding.

        In the table's order, whatever the app's: where two facts become one attribute, the later row wins.
        """
        found: dict[str, Scalar] = {SERVICE_NAME: self.app.name} if place == "resource" else {}
        for key, fact in self.app.facts_by_key.items():
            if key not in self.facts:
                continue
            for attribute, part in zip(self.app.attributes_of[key], fact.split(self.facts[key]), strict=True):
                if part is not None and attribute.place == place:
                    found[attribute.name] = part
        return found


def known_facts(app: App, given: Mapping[str, object]) -> tuple[dict[str, Scalar | None], list[str]]:
    """Return what is known when a report is asked for: what the environment says of the run, and what is given.

    Returns:
        The facts by key, and what was wrong with the others. A given key whose value is unknown or wrong is None:
        no detector fills it in.
    """
    admitted, problems = admit(app, {**about_run(app), **given})
    return {**dict.fromkeys(key for key in given if key in app.facts_by_key), **admitted}, problems


def assemble(app: App, known: Mapping[str, Scalar | None], detected: Mapping[str, object]) -> Report:
    """Return the report of what is known and of what the detectors found, of which the former wins."""
    facts, _ = admit(app, {app.version_key: app.version, **detected, **known})
    return Report(app, facts)


def about_run(app: App, environ: Mapping[str, str] | None = None) -> dict[str, Scalar]:
    """Return the facts of the run that the environment names: its context until one is given, and its source."""
    environ = os.environ if environ is None else environ
    source = environ.get(f"{app.name.upper()}_USAGE_SOURCE") or ("ci" if environ.get("CI") else "production")
    return {"context": UNKNOWN_CONTEXT, "source": source}


def random_uuid() -> str:
    """Return a random UUID of version 4, from the system's own source: the host may have seeded `random`."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_id(size: int) -> int:
    """Return a random id of that many bytes, never 0, which OpenTelemetry calls invalid."""
    return int.from_bytes(os.urandom(size), "big") or 1
