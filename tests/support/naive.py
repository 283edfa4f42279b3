"""Reports counted in the plainest way, to compare with: Python, dicts and sets, nothing of the package that counts."""

from __future__ import annotations

import datetime as dt
import json

BACK = {"stringValue": str, "boolValue": bool, "intValue": int, "doubleValue": float}
FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}


def spans(lines):
    """Return each span of some lines once: (name, time, attributes of the resource and of the span)."""
    found = {}
    for line in lines:
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    attributes = {**plain(resource["resource"]["attributes"]), **plain(span["attributes"])}
                    found.setdefault((span["traceId"], span["spanId"]), (span["name"], int(span["startTimeUnixNano"]) // 10**9, attributes))
    return list(found.values())


def plain(attributes):
    """Return attributes as a dict."""
    return {one["key"]: BACK[kind](value) for one in attributes for kind, value in one["value"].items()}


def value(app, key, attributes):
    """Return what a report has for a key, in the words of the file."""
    for fact in app.facts_by_key.values():
        variables = [variable.key for variable in getattr(fact, "variables", ())]
        found = [attributes.get(one.name) for one in app.attributes_of[fact.key]]
        if key in variables:
            return found[variables.index(key)]
        if fact.key == key:
            return None if all(one is None for one in found) else fact.join(tuple(found))
    raise KeyError(key)


def count(app, question, found, chosen=lambda time, attributes: True):
    """Return the rows of a question over some spans, in any order."""
    rows, runs = {}, {}
    for name, time, attributes in found:
        if attributes.get("service.name") != app.name or not chosen(time, attributes):
            continue
        facts = tuple("(none)" if (one := value(app, key, attributes)) is None else one for key in question.by)
        if name == "otel_usage.report":
            row = rows.setdefault((*period(question, time), *facts), [0, 0, 0])
            row[0] += 1
            row[1] += attributes.get("otel_usage.gpu.count", 0)
        elif "otel_usage.uptime" in attributes and "context" not in question.by:
            last, uptime = runs.get((facts, attributes.get("service.instance.id")), (0, 0))
            runs[facts, attributes.get("service.instance.id")] = max(last, time), max(uptime, attributes["otel_usage.uptime"])
    for (facts, _), (last, uptime) in runs.items():
        rows.setdefault((*period(question, last), *facts), [0, 0, 0])[2] += uptime
    names = [*([question.over] if question.over else []), *question.by]
    hours = (lambda seconds: None) if "context" in question.by else (lambda seconds: round(seconds / 3600, 3))
    return [{**dict(zip(names, key, strict=True)), "runs": runs, "gpus": gpus, "engine_hours": hours(uptime)}
            for key, (runs, gpus, uptime) in rows.items()]  # fmt: skip


def period(question, time):
    """Return the period of a time, where the question is over time."""
    if question.over is None:
        return ()
    return (dt.datetime.fromtimestamp(time, dt.timezone.utc).strftime(FORMATS[question.over]),)


def sorted_rows(rows):
    """Return rows in one order."""
    return sorted(rows, key=json.dumps)
