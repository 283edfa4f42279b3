"""For any facts and any configuration nothing raises, nothing undeclared leaves, and the file and OTLP agree."""

import json
import math
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from myengine_app import APP

from otel_usage import App, Fact, UsageReporter, reporter
from otel_usage.consent import MODES, decide
from otel_usage.delivery.destination import resolve
from otel_usage.delivery.exporters.proxy import Proxy, ProxyError, choose
from otel_usage.facts.admission import admit_attributes
from otel_usage.facts.report import Report


class Hostile:
    """An object whose every method raises."""

    def __str__(self):
        raise RuntimeError

    __repr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __str__


TEXT = st.text(max_size=40) | st.sampled_from(["awq", "API_SERVER", "8,8", "\ud800", "\x00", "x" * 300, "{}", '{"MYENGINE_FAST": 1}', "1.2+gabc"])
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), TEXT, st.binary(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(TEXT, st.integers(), max_size=2), st.just(complex(1, 2)), st.just(str), st.just(range(9)),
)  # fmt: skip
VALUES = PLAIN | st.builds(Hostile)
OF_TYPE = {str: TEXT, bool: st.booleans(), int: st.integers(-(2**64), 2**64) | st.sampled_from([2**63 - 1, -(2**63)]), float: st.floats() | st.sampled_from([math.nan, math.inf])}


def mostly(kind):
    """Return values, most of which have the declared type."""
    return st.sampled_from([True, True, False]).flatmap(lambda fits: OF_TYPE[kind] if fits else VALUES)


DECLARED = st.fixed_dictionaries({}, optional={key: mostly(fact.type) for key, fact in APP.facts_by_key.items()})
UNDECLARED = st.dictionaries(st.text(string.ascii_letters + "_", min_size=1, max_size=9) | TEXT, VALUES, max_size=5)
VARIABLES = st.sampled_from("""
    DO_NOT_TRACK MYENGINE_NO_USAGE_STATS OTEL_USAGE_SUPPRESSED_MYENGINE OTEL_SDK_DISABLED OTEL_USAGE_EXPORTER OTEL_USAGE_STRICT HOME
    MYENGINE_CONFIG_ROOT XDG_CONFIG_HOME MYENGINE_USAGE_STATS_SERVER MYENGINE_USAGE_SOURCE MYENGINE_USAGE_RUN OTEL_EXPORTER_OTLP_ENDPOINT
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL OTEL_TRACES_EXPORTER HTTPS_PROXY https_proxy ALL_PROXY NO_PROXY CI
""".split())
WORDS = ("otlp", "none", "project,otlp", "http://127.0.0.1:4318", "https://me:secret@stats.example.org/?key=secret", "grpc", "/nonexistent")
SETTINGS = st.dictionaries(VARIABLES, TEXT | st.sampled_from(WORDS), max_size=4)


class Kept:
    """Stands in for the run: it keeps its jobs and starts no thread."""

    is_new, misfits = False, 0

    def __init__(self, *_):
        self.jobs = []

    def add(self, job):
        self.jobs.append(job)


def strict(line):
    """Read a line as the strictest reader does."""
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def leaving(report):
    """Return the attributes that leave, by place."""
    return {place: admit_attributes(APP, report.attributes(place), place)[0] for place in ("resource", "span")}


@pytest.mark.soak
def test_any_setting_is_decided():
    """Consent, destination and proxy each give an answer or their own error, and no other exception."""
    met = set()

    @given(SETTINGS)
    def decided(environ):
        mode = decide("myengine", environ).mode
        met.add(mode)
        for destination in resolve(APP, environ, endpoint=APP.endpoint):
            met.add(destination.kind)
            assert "secret" not in destination.key
            try:
                proxy = choose(destination.url, environ)
            except (ProxyError, ValueError) as error:
                met.add(type(error))
            else:
                met.add(type(proxy))

    decided()

    assert met - {ValueError} == {*MODES, "project", "otlp", Proxy, type(None), ProxyError}


@pytest.mark.soak
@given(DECLARED, UNDECLARED, st.none() | VALUES)
@example({"batch": True}, {}, None)
@example({"batch": 2**70}, {}, None)
def test_any_facts_are_reported_as_declared_or_not_at_all(declared, undeclared, context):
    """The call raises nothing; its result is a strict line of declared keys and the attributes of that line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporter, "Run", Kept)
        patch.setattr(reporter, "mark", lambda _: None)
        patch.setenv("MYENGINE_USAGE_STATS_SERVER", "http://127.0.0.1:9")
        usage = UsageReporter(APP, strict=False)
        usage.report({**undeclared, **declared}, context=context, force=True)
        (job,) = usage._run.jobs
    given = {key: value for key, value in job._known.items() if value is not None}
    report = Report(APP, {**given, "log_time": 1, "uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1"})
    line = strict(report.line)
    sent = leaving(report)

    assert list(line) == list(APP.report_keys)
    assert "\n" not in report.line
    for place, attributes in sent.items():
        for name, value in attributes.items():
            row = APP.attributes[name]
            assert (type(value), row.place) == (row.type, place)
            assert not isinstance(value, str) or len(value.encode()) <= 256
            assert not isinstance(value, int) or -(2**63) <= value < 2**63
            assert row.values is None or value in (*row.values, "other") or "(" in value
    known = {key: value for key, value in line.items() if value is not None}
    assert [value for value in known.values() if isinstance(value, int) and not -(2**63) <= value < 2**63] == []
    assert {key: type(value) for key, value in known.items()} == {key: APP.facts_by_key[key].type for key in known}
    only_over_otlp = {key: given[key] for key in ("rocm_runtime", "detect_failed", "detect_unfinished") if key in given}
    assert leaving(Report(APP, {**known, **only_over_otlp})) == sent


def or_any(*plausible):
    """Return values that an adopter would write, and sometimes others."""
    return st.sampled_from([True] * 9 + [False]).flatmap(lambda fits: st.sampled_from(plausible) if fits else TEXT | PLAIN)


ROWS = st.lists(st.tuples(or_any("quantization", "batch", "uuid"), st.sampled_from([str, int, float, bool, dict, None])), max_size=3)


@pytest.mark.soak
def test_a_declaration_is_taken_or_refused_with_a_reason():
    """Any declaration becomes an App with exactly that, or raises a ValueError with the reason."""
    made, refused = [], []

    @given(or_any("myengine", "sglang", "service"), or_any("1.2.0", None), or_any("https://stats.example.org", None), ROWS, or_any("otlp", "json"), or_any("LIBRARY"))
    def declare(name, version, endpoint, facts, wire, context):
        try:
            app = App(name, version=version, endpoint=endpoint, wire=wire, contexts=[context],
                      facts=[Fact(key, kind, why="because") for key, kind in facts])  # fmt: skip
        except ValueError as error:
            refused.append(str(error))
            return
        made.append(app)

        assert (app.name, app.endpoint, app.wire, app.contexts[1:]) == (name, endpoint, wire, (context,))
        assert re.fullmatch("[a-z][a-z0-9_]{0,31}", app.name)
        assert [(fact.key, fact.type) for fact in app.facts] == facts
        assert {kind for _, kind in facts} <= {str, int, float, bool}
        assert {key for key, _ in facts} <= set(app.report_keys)

    declare()

    assert "" not in refused
    assert min(len(made), len(refused)) >= 20
    assert max(len(app.facts) for app in made) >= 1
