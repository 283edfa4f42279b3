"""Plain lines of a collector's file: those that are, to the byte, as its file exporter writes them. They are most.

Parsing JSON makes hundreds of objects for a line of which six are wanted. But nearly all pieces between the keys of
attributes stand in many lines, so each is checked once, by a regular expression, and remembered. A line whose every
piece is known to be right is right as a whole, and is taken apart without being parsed. Any other line is not plain.
"""

from __future__ import annotations

import math
import re
from itertools import compress, count, repeat
from typing import TYPE_CHECKING

from otel_usage.facts.builtin import HEARTBEAT, REPORT, SCOPE, SERVICE_NAME
from otel_usage.facts.fact import Attribute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    # An attribute: its slots in a row, as one of a resource and of a span, its value, and what it does; () for one that
    # is not wanted and does nothing.
    Known = tuple[int, int, bytes, int] | tuple[()]

HEAD, TAIL = b'{"resourceSpans":[{"resource":{"attributes":[', b"]}"
KEY = b'{"key":"'
TEXT = rb"[ !#-\[\]-~]*"  # ASCII that is printed, without quotes and backslashes
ONE = (
    rb'(?P<name>[A-Za-z0-9_.]+)","value":\{"(?P<kind>stringValue":"(?P<string>' + TEXT + rb')"|'
    rb'intValue":"(?P<int>0|-?[1-9][0-9]{0,17})"|boolValue":(?P<bool>true|false)|'
    rb'doubleValue":(?P<double>-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?))\}\}'
)
INNER = re.compile(ONE + rb",")
SCHEMA = rb'(?:,"schemaUrl":"' + TEXT + rb'")?'
LAST = re.compile(
    ONE + rb'\],"status":\{\}\}\]' + SCHEMA + rb"\}\]" + SCHEMA + rb'\}(?P<rest>\]\}|,\{"resource":\{"attributes":\[)'
)
SPAN = re.compile(
    rb']\},"scopeSpans":\[\{'
    rb'"scope":\{"name":"' + SCOPE.encode() + rb'"(?:,"version":"' + TEXT + rb'")?\},'
    rb'"spans":\[\{"traceId":"([0-9a-f]{32})","spanId":"([0-9a-f]{16})"(?:,"parentSpanId":"")?(?:,"flags":[0-9]{1,9})?,'
    rb'"name":"(' + TEXT + rb')"(?:,"kind":[0-9])?,"startTimeUnixNano":"([0-9]{1,18}|[1-8][0-9]{18})"'
    rb'(?:,"endTimeUnixNano":"[0-9]{1,19}")?,"attributes":\['
)
NAMES = (REPORT.encode(), HEARTBEAT.encode())
RUN = b"service.instance.id"  # each stands in few lines
GROUPS = {str: "string", int: "int", float: "double", bool: "bool"}
MOST = 200_000  # pieces that are remembered: whoever invents values makes no memory grow


NOT_WANTED: Known = ()
UNKNOWN: Known = (0, 0, b"", -1)
INSIDE, BEGINS, GOES_ON, ENDS = range(4)  # a span begins behind it, or it ends one, and another follows, or none


class Plain:
    """Takes plain lines apart.

    columns: the attributes that are wanted. The rows are values with tabs between them: the trace's and the span's id,
    the span's name, its time in ns, the app, then the attributes; each is in quotes, or nothing where there is none.
    """

    def __init__(self, columns: Iterable[Attribute]) -> None:
        wanted = [Attribute(SERVICE_NAME, str), *columns]
        self._slots: dict[str, dict[bytes, int]] = {"resource": {}, "span": {}}
        for slot, one in enumerate(wanted, start=3):
            self._slots[one.place][one.name.encode()] = slot
        self._groups: Mapping[bytes, str] = {one.name.encode(): GROUPS[one.type] for one in wanted}
        self._empty = [b""] * (3 + len(wanted))
        self._known: dict[bytes, Known] = {}

    def rows(self, block: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the rows of a block's plain lines, and the lines that are not plain."""
        rows: list[bytes] = []
        odd = []
        for line in block.split(b"\n"):
            before = len(rows)
            head, *pieces = line.split(KEY)
            if head == HEAD and self._add(rows, pieces):
                continue
            del rows[before:]
            if line and not line.isspace():
                odd.append(line)
        return rows, odd

    def _add(self, rows: list[bytes], pieces: list[bytes]) -> bool:
        """Add the rows of a line, one a resource with its one span; False where a piece is not plain or misplaced.

        Most pieces are known and not wanted; Python takes no step for these.
        """
        found = [*map(self._known.get, pieces, repeat(UNKNOWN))]
        row, of_span, does, place = self._empty.copy(), False, INSIDE, -1
        for place in compress(count(), found):
            known = found[place] if found[place] is not UNKNOWN else self._unknown(pieces[place], row)
            if not known:
                if known is None:
                    return False
                continue
            slot, does = known[1] if of_span else known[0], known[3]
            if slot and not row[slot]:  # the first of several of one name counts
                row[slot] = known[2]
            if does != INSIDE:
                if of_span == (does == BEGINS):
                    return False
                of_span = not of_span
                if not of_span:
                    if row[1] in NAMES:
                        rows.append(b"\t".join(row))
                    row = self._empty.copy()
                    if does == ENDS:
                        break
        return does == ENDS and place == len(pieces) - 1

    def _unknown(self, piece: bytes, row: list[bytes]) -> Known | None:
        """Return what a piece is that is not remembered, None where it is not plain."""
        before, _, after = piece.partition(b"}}")
        if after == b",":
            return self._learnt(piece, INNER)
        span = SPAN.fullmatch(after)
        if span is None:
            return self._learnt(piece, LAST)
        trace, ids, row[1], row[2] = span.groups()
        row[0] = trace + ids
        before += b"}},"
        known = self._known.get(before)
        known = self._learnt(before, INNER) if known is None else known
        return known if known is None else (*known[:3], BEGINS) if known else (0, 0, b"", BEGINS)

    def _learnt(self, piece: bytes, form: re.Pattern[bytes]) -> Known | None:
        """Return what a piece is, and remember it; None where it is not plain."""
        match = form.fullmatch(piece)
        if match is None:
            return None
        name, does = match["name"], INSIDE if form is INNER else ENDS if match["rest"] == TAIL else GOES_ON
        found: Known = NOT_WANTED if does == INSIDE else (0, 0, b"", does)
        group = self._groups.get(name)
        if group is not None:
            value = match[group]
            if value is None or (group == "double" and not math.isfinite(float(value))):
                return None
            of_resource, of_span = (self._slots[place].get(name, 0) for place in ("resource", "span"))
            found = of_resource, of_span, b'"' + value + b'"', does
        if name != RUN:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[piece] = found
        return found
