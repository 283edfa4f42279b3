"""Requests that cost as much as their bytes can: for each processor, the shape that gives it the most work."""

from __future__ import annotations

import os

from otlp import RUN

from otel_usage.facts import registry

TABLE = registry.load("vllm").attributes
CLOSED = [name for name, a in TABLE.items() if a.place == "resource" and a.values]
OPEN = [name for name, a in TABLE.items() if a.place == "resource" and a.type is str and a.pattern and name not in RUN]


def field(number, *parts):
    """Return a field of a message on the wire, of bytes or of another message."""
    body = b"".join(parts)
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(number):
    """Return a number on the wire."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def string(text):
    """Return a value that is a string."""
    return field(1, text.encode())


def attribute(name, value, number=1):
    """Return an attribute of a resource, or of a span: number 9."""
    return field(number, field(1, name.encode()), field(2, value))


def span(*more):
    """Return a span that is a report, with further fields."""
    return field(2, field(1, os.urandom(16)), field(2, os.urandom(8)), field(5, b"otel_usage.report"), *more)


def scope(*spans, version=""):
    """Return a scope with spans."""
    return field(2, field(1, field(2, version.encode())), *spans)


def resource(*scopes, before=b"", after=b""):
    """Return a resource that is a run's, with more attributes around those that it needs."""
    ours = b"".join(attribute(name, string(value)) for name, value in RUN.items())
    return field(1, field(1, before, ours, after), *scopes)


def times(unit, room):
    """Return as many copies of a unit as have room."""
    return unit * max(room // len(unit), 1)


def each(make, room):
    """Return as many different units as have room."""
    return b"".join(make(number) for number in range(max(room // len(make(9999)), 1)))


def nested(room):
    """Return a value inside a value inside a value, as deep as there is room."""
    value = b""
    while len(value) < room:
        value = field(5, field(1, value))
    return value


def strings(names, text):
    """Return a string for each of some names."""
    return b"".join(attribute(name, string(text)) for name in names)


# Each function takes the number of bytes that it may use.
SHAPES = {
    "empty resources": lambda room: times(field(1), room),
    "empty scopes": lambda room: resource(times(field(2), room)),
    "empty spans": lambda room: resource(scope(times(field(2), room))),
    "attributes before empty spans": lambda room: resource(scope(times(field(2), room // 2)), before=times(field(1), room // 2)),
    "attributes before reports": lambda room: resource(scope(times(span(), room // 2)), before=times(field(1), room // 2)),
    "attributes behind reports": lambda room: resource(scope(times(span(), room // 2)), after=times(field(1), room // 2)),
    "same report again and again": lambda room: resource(scope(times(span(), room))),
    "reports of one resource": lambda room: resource(scope(each(lambda _: span(), room))),
    "reports of a resource each": lambda room: each(lambda _: resource(scope(span())), room),
    "reports of a scope each": lambda room: resource(each(lambda n: scope(span(), version=f"1.{n}"), room)),
    "reports with attributes": lambda room: resource(scope(times(span(times(field(9), 400)), room))),
    "names given many times": lambda room: resource(scope(span()), before=times(attribute("otel_usage.gpu.model", string("")), room)),
    "a wide array before reports": lambda room: resource(
        scope(times(span(), room // 2)), before=attribute("host.arch", field(5, times(field(1), room // 2)))),
    "wide arrays in reports": lambda room: resource(
        scope(times(span(attribute("otel_usage.context", field(5, times(field(1), 1000)), 9)), room))),
    "values within values": lambda room: resource(scope(span()), before=attribute("host.arch", nested(room))),
    "maps within a map": lambda room: resource(
        scope(times(span(), room // 2)), before=attribute("x", field(6, times(field(1, field(2, field(6, field(1)))), room // 2)))),
    "events": lambda room: resource(scope(span(times(field(11), room)))),
    "links": lambda room: resource(scope(span(times(field(13), room)))),
    "almost words of closed sets": lambda room: each(lambda _: resource(scope(span()), after=strings(CLOSED, "torch.float" * 8)), room),
    "almost words of the longest set": lambda room: each(lambda _: resource(scope(span()), after=strings(["vllm.model.architecture"], "T")), room),
    "almost matches of patterns": lambda room: each(lambda _: resource(scope(span()), after=strings(OPEN, "1." * 60)), room),
    "long strings": lambda room: each(lambda _: resource(scope(span()), after=strings(OPEN, "a" * 256)), room),
}  # fmt: skip


def in_attribute(value):
    """Return a request as JSON with a value in an attribute."""
    return '{"resourceSpans":[{"resource":{"attributes":[{"key":"host.arch","value":' + value + "}]}}]}"


# The same in JSON, each with about that many bytes.
JSON_SHAPES = {
    "empty resources": lambda room: '{"resourceSpans":[' + ",".join(["{}"] * (room // 3)) + "]}",
    "values within values": lambda room: in_attribute('{"arrayValue":{"values":[' * (room // 28) + "{}" + "]}}" * (room // 28)),
    "a wide array": lambda room: in_attribute('{"arrayValue":{"values":[' + ",".join(["{}"] * (room // 3)) + "]}}"),
    "unknown keys": lambda room: "{" + ",".join(['"":0'] * (room // 5)) + "}",
    "unknown lists within lists": lambda room: '{"x":' + "[" * (room // 2) + "]" * (room // 2) + "}",
    "escaped letters": lambda room: in_attribute('{"stringValue":"' + "\\u0041" * (room // 6) + '"}'),
    "digits": lambda room: in_attribute('{"doubleValue":' + "1" * room + "}"),
}  # fmt: skip
