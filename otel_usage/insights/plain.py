"""Plain lines of a collector's file: those that are, to the byte, as its file exporter writes them. They are most.

Parsing JSON makes hundreds of objects for a line of which six are wanted. But nearly all pieces between the keys of
attributes stand in many lines, so each is checked once, by a regular expression, and remembered. A line whose every
piece is known to be right is right as a whole, and is taken apart without being parsed. Any other line is not plain.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from otel_usage.facts.builtin import HEARTBEAT, REPORT, SCOPE, SERVICE_NAME
from otel_usage.facts.fact import Attribute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    # An attribute that is wanted: its slots in a row, as one of a resource and of a span, and its value; else ().
    Known = tuple[int, int, bytes] | tuple[()]

HEAD, NEXT, TAIL = b'{"resourceSpans":[{"resource":{"attributes":[', b']}]},{"resource":{"attributes":[', b"]}]}]}"
KEY = b'{"key":"'
TEXT = rb"[ !#-\[\]-~]*"  # ASCII that is printed, without quotes and backslashes
ONE = (
    rb'(?P<name>[A-Za-z0-9_.]+)","value":\{"(?P<kind>stringValue":"(?P<string>' + TEXT + rb')"|'
    rb'intValue":"(?P<int>0|-?[1-9][0-9]{0,17})"|boolValue":(?P<bool>true|false)|'
    rb'doubleValue":(?P<double>-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?))\}\}'
)
INNER = re.compile(ONE + rb",")
LAST = re.compile(ONE + rb'\],"status":\{\}\}')
SPAN = re.compile(
    rb']\}(?:,"schemaUrl":"' + TEXT + rb'")?,"scopeSpans":\[\{'
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
        self._last: dict[bytes, Known] = {}

    def rows(self, block: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the rows of a block's plain lines, and the lines that are not plain."""
        rows: list[bytes] = []
        odd = []
        for line in block.split(b"\n"):
            if line.startswith(HEAD) and line.endswith(TAIL):
                made = [self._row(part) for part in line[len(HEAD) : -len(TAIL)].split(NEXT)]
                if None not in made:
                    rows += filter(None, made)  # a span of another name makes an empty one
                    continue
            if line and not line.isspace():
                odd.append(line)
        return rows, odd

    def _row(self, part: bytes) -> bytes | None:
        """Return the row of a resource with its one span, None where it is not plain."""
        first, *pieces = part.split(KEY)
        if first or not pieces:
            return None
        end = pieces.pop()
        last = self._last.get(end)
        if last is None and (last := self._learnt(end, LAST, self._last)) is None:
            return None
        row = self._empty.copy()
        if not self._fill(row, pieces):
            return None
        if last and (slot := last[1]) and not row[slot]:
            row[slot] = last[2]
        return b"\t".join(row) if row[1] in NAMES else b""

    def _fill(self, row: list[bytes], pieces: list[bytes]) -> bool:
        """Put what is wanted into a row: the first of several of one name. False where the pieces are not plain."""
        of_span, known_as = False, self._known.get
        for piece in pieces:
            known, begins = known_as(piece), False
            if known is NOT_WANTED:
                continue
            if known is None:
                known, begins = self._unknown(piece, row)
                if known is None or (begins and of_span):
                    return False
            if known:
                slot = known[1] if of_span else known[0]
                if slot and not row[slot]:
                    row[slot] = known[2]
            of_span = of_span or begins
        return of_span

    def _unknown(self, piece: bytes, row: list[bytes]) -> tuple[Known | None, bool]:
        """Return what a piece is that is not remembered, and whether it ends the resource and begins the span."""
        before, _, after = piece.partition(b"}}")
        if after == b",":
            return self._learnt(piece, INNER, self._known), False
        span = SPAN.fullmatch(after)
        if span is None:
            return None, False
        trace, ids, row[1], row[2] = span.groups()
        row[0] = trace + ids
        before += b"}},"
        known = self._known.get(before)
        return self._learnt(before, INNER, self._known) if known is None else known, True

    def _learnt(self, piece: bytes, form: re.Pattern[bytes], known: dict[bytes, Known]) -> Known | None:
        """Return what a piece is, and remember it; None where it is not plain."""
        match = form.fullmatch(piece)
        if match is None:
            return None
        name, found = match["name"], NOT_WANTED
        group = self._groups.get(name)
        if group is not None:
            value = match[group]
            if value is None or (group == "double" and not math.isfinite(float(value))):
                return None
            found = self._slots["resource"].get(name, 0), self._slots["span"].get(name, 0), b'"' + value + b'"'
        if name != RUN:
            if len(known) >= MOST:
                known.clear()
            known[piece] = found
        return found
