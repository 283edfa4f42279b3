"""Admission decides which facts may leave, and in which form."""

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from myengine_app import APP

from otel_usage import App, Fact
from otel_usage.facts.admission import admit, admit_attributes, admit_value
from otel_usage.facts.report import Report

LONG = "x" * 257
CLASSES = Fact("kind", str, values=("AwqModel", "Wrapped"), why="x").attributes("myengine")[0]


def test_only_declared_facts_that_fit_stand_in_the_file():
    """Undeclared keys, wrong types and long values are left out and counted by name; unknown values are left out without a word."""
    given_facts = {"quantization": "private", "secret": "x", "batch": "8", "note": LONG, "eager": None, "requests": 3}

    assert admit(APP, given_facts) == (
        {"quantization": "private"},
        [
            "secret is not declared for a report of myengine",
            "batch must be int, not str",
            "note must be at most 256 bytes of UTF-8",
            "requests is not declared for a report of myengine",
        ],
    )


def test_heartbeats_have_their_own_facts():
    """A heartbeat takes the facts that are declared for heartbeats, the run's uuid and the time."""
    facts = {"uuid": "a", "log_time": 1, "uptime": 600, "requests": 3, "batch": 8}

    assert admit(APP, facts, on="heartbeat") == (
        {"uuid": "a", "log_time": 1, "uptime": 600, "requests": 3},
        ["batch is not declared for a heartbeat of myengine"],
    )


def test_a_context_outside_the_closed_set_is_unknown_everywhere():
    """The context is the only string that is replaced in the file as well."""
    problem = "context must be one of UNKNOWN_CONTEXT, API_SERVER, BATCH_RUNNER"

    assert admit(APP, {"context": "SECRET"}) == ({"context": "UNKNOWN_CONTEXT"}, [problem])


def test_only_declared_attributes_leave_and_only_in_their_place():
    """An attribute that is not declared, or is declared for another place, does not leave."""
    attributes = {"otel_usage.gpu.count": 2, "team": "secret", "otel_usage.context": "API_SERVER", "host.name": "x"}

    assert admit_attributes(APP, attributes, "resource") == (
        {"otel_usage.gpu.count": 2},
        [
            "team is not declared for a resource of myengine",
            "otel_usage.context is not declared for a resource of myengine",
            "host.name is not declared for a resource of myengine",
        ],
    )


@pytest.mark.parametrize(
    ("name", "value", "leaves"),
    [
        ("otel_usage.memory.limit", 25276063744, 24 * 2**30),
        ("otel_usage.memory.limit", 2**30 // 3, 0),
        ("otel_usage.memory.limit", "24", None),
        ("otel_usage.memory.limit", 2**63 - 1, None),
        ("otel_usage.memory.limit", -1, None),
        ("otel_usage.memory.limit", 129 * 2**40, None),
        ("otel_usage.gpu.count", 0, 0),
        ("otel_usage.gpu.count", 4096, 4096),
        ("otel_usage.gpu.count", 4097, None),
        ("otel_usage.gpu.count", -1, None),
        ("otel_usage.gpu.count", 2**63 - 1, None),
        ("otel_usage.cpu.logical_count", 0, None),
        ("otel_usage.gpu.memory.limit", 2**43, None),
        ("otel_usage.uptime", 629, 600),
        ("otel_usage.uptime", 2**40, None),
        ("service.instance.id", "5be557ae-ae32-47db-958b-18a1c1cb19f1", "5be557ae-ae32-47db-958b-18a1c1cb19f1"),
        ("service.instance.id", "5be557ae-ae32-17db-958b-18a1c1cb19f1", "other"),
        ("service.instance.id", "5be557ae-ae32-47db-c58b-18a1c1cb19f1", "other"),
        ("myengine.config.batch", -1, 0),
        ("myengine.config.batch", -2, None),
        ("myengine.config.batch", 10**9, 10**9),
        ("myengine.config.batch", 10**9 + 1, None),
        ("myengine.config.cache_share", 1.7e308, None),
        ("myengine.config.cache_share", math.nan, None),
        ("myengine.config.cache_share", -math.inf, None),
        ("myengine.config.cache_share", -0.0, 0.0),
        ("myengine.config.cache_share", -0.001, 0.0),
        ("myengine.config.cache_share", 0.9249, 0.92),
        ("myengine.config.cache_share", 0.07, 0.07),
        ("myengine.config.cache_share", 1.0, 1.0),
        ("myengine.config.cache_share", 1, None),
        ("myengine.config.batch", 13, 16),
        ("myengine.config.quantization", "awq", "awq"),
        ("myengine.config.quantization", "acme", "other"),
        ("myengine.config.scheduler", "fcfs-2.1", "fcfs-2.1"),
        ("myengine.config.scheduler", "/home/me/plugin.py", "other"),
        ("myengine.config.scheduler", "fcfs\n", "other"),
        ("myengine.config.note", "any words, at all", "any words, at all"),
        ("myengine.config.note", LONG, None),
        ("myengine.config.note", "(none)", "other"),
        ("myengine.config.note", "C:\\Users", "other"),
        ("myengine.config.scheduler", "All", "other"),
        ("myengine.config.scheduler", "fcfs٣", "other"),
        ("host.arch", "amd64", "amd64"),
        ("host.arch", "acme9000", "other"),
        ("host.cpu.family", "143", "143"),
        ("host.cpu.family", "12345678", "other"),
        ("host.cpu.model.id", "0xd0c", "0xd0c"),
        ("myengine.config.eager", True, True),
        ("myengine.config.eager", 1, None),
        ("myengine.env.MYENGINE_FAST", False, False),
        ("otel_usage.source", "acme-canary", "other"),
        ("host.cpu.model.name", "Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R) CPU @ 2.20GHz"),
        ("otel_usage.gpu.model", "NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3"),
        ("otel_usage.gpu.model", "GPU\x1b[31m", "other"),
        ("otel_usage.detect.failed", "cloud,gpu", "cloud,gpu"),
        ("otel_usage.detect.failed", "me", "other"),
        ("otel_usage.detect.failed", "gpu,gpu,host,gpu", "other"),
        ("otel_usage.detect.unfinished", "gpu,host", "gpu,host"),
        ("service.name", "someone", "other"),
    ],
)
def test_a_value_leaves_in_the_form_that_its_row_declares(name, value, leaves):
    """A number is cut to its step. A string fits its set or pattern, or leaves as `other`."""
    admitted, _ = admit_value(APP.attributes[name], value)

    assert (repr(admitted), type(admitted)) == (repr(leaves), type(leaves))


@pytest.mark.parametrize("pattern", ["(", "a**", "[b-a]", "(?<=a+)b"])
def test_a_pattern_that_is_no_regular_expression_costs_its_own_fact_alone(pattern):
    """The report leaves with `other` as the value of that fact."""
    attribute = Fact("kind", str, pattern=pattern, why="x").attributes("myengine")[0]

    assert admit_value(attribute, "a")[0] == "other"


@pytest.mark.parametrize("step", [None, 0.01, 1.0])
def test_a_negative_zero_leaves_as_zero(step):
    """With a step and without one, the sign of a zero never leaves: it would tell one report from others."""
    attribute = Fact("share", float, step=step, why="x").attributes("myengine")[0]

    assert [repr(admit_value(attribute, value)[0]) for value in (-0.0, 0.0)] == ["0.0", "0.0"]


def test_a_number_of_too_many_steps_is_absent():
    """A number with more steps than a double can count is left out, and every other fact stays."""
    attribute = Fact("share", float, step=5e-324, why="x").attributes("myengine")[0]

    assert admit_value(attribute, 1.0) == (None, "myengine.config.share is not from -1000000000 to 1000000000")


@pytest.mark.parametrize(
    ("version", "leaves"),
    [
        ("0.32.0", "0.32.0"),
        ("0.33.0rc1", "0.33.0rc1"),
        ("0.32.0+cu128", "0.32.0+cu128"),
        ("0.32.0+cpu", "0.32.0+cpu"),
        ("0.32.1.dev12+gabc1234", "0.32.1.dev12"),
        ("0.32.1.dev12+gabc1234.d20260101.cu128", "0.32.1.dev12"),
        ("0.32.0+acme.prod", "0.32.0"),
        ("0.32.0+rocm6.4", "0.32.0+rocm6.4"),
        ("0.32.0+rocm641", "0.32.0+rocm641"),
        ("0.32.0+gaudi122", "0.32.0+gaudi122"),
        ("0.32.0+xpu", "0.32.0+xpu"),
        ("0.32.1.dev5+g0a1b2c3d4", "0.32.1.dev5"),
        ("0.32.1.dev5+g0a1b2c3d4.d20261101", "0.32.1.dev5"),
        ("0.32.1rc2.dev12345+g0a1b2c3d4", "0.32.1rc2.dev12345"),
        ("0.6.3.post2.dev386+g0b8bb86bf.cu124", "0.6.3.post2.dev386"),
        ("2.10.0.dev20261101+cu128", "2.10.0.dev20261101+cu128"),
        ("0.32.0+d20261101", "0.32.0"),
        ("0.32.0+cu128.acme", "0.32.0+cu128"),
        ("0.32.0+cu128acme", "0.32.0"),
        ("0.32.0+cu12812345678", "0.32.0"),
        ("0.32.0+gaudi.acme", "0.32.0+gaudi"),
        ("1!2.0", "1!2.0"),
        ("10.1.2.3", "10.1.2.3"),
        ("2026.10.20", "2026.10.20"),
        ("1.0.0-alpha", "1.0.0-alpha"),
        ("1.0.0-beta.2", "1.0.0-beta.2"),
        ("1.0.0-rc.1", "1.0.0-rc.1"),
        ("1.0.0-rc.1+g0a1b2c3d4", "1.0.0-rc.1"),
        ("v1.2.0", "1.2.0"),
        ("v1.2.0-rc.1+g0a1b2c3d4", "1.2.0-rc.1"),
        ("v0.32.0+cu128", "0.32.0+cu128"),
        ("v1.2.0-acme", "other"),
        ("vv1.2.0", "other"),
        ("0.32.0-acme-internal-jdoe", "other"),
        ("0.32.0.acme", "other"),
        ("0.32.1.dev5-g0a1b2c3d-acme", "other"),
        ("2024.11-tenant42", "other"),
        ("0.32.0-rc.123456789", "other"),
        ("0.32.1.dev123456789", "other"),
        ("0.32.123456789", "other"),
        ("123456789", "other"),
        ("0.32.0rc123456789", "other"),
        ("0.32.0\n", "other"),
        ("0.32.0+g0a1b2c3\n", "other"),
        (" 0.32.0", "other"),
        ("0.3\u0662.0", "other"),
        ("dev", "other"),
        ("/opt/acme", "other"),
    ],
)
def test_a_version_loses_what_a_private_build_adds(version, leaves):
    """The public part of a version stays, and so does a local part that is published."""
    assert admit_value(APP.attributes["service.version"], version)[0] == leaves


VERSIONS = ["0.32.0", "0.32.0rc1", "0.32.1.dev5+g0a1b2c3d4.d20261101", "0.32.0+cu128", "1.0.0-rc.1", "2.10.0.dev20261101+cu128"]
PLATFORMS = ["Linux-6.8.0-45-generic-x86_64-with-glibc2.39", "Linux-4.18.0-513.24.1.el8_9.x86_64-x86_64-with-glibc2.28",
             "macOS-15.1-arm64-arm-64bit-Mach-O", "Windows-11-10.0.26100-SP0"]  # fmt: skip
STRINGS = [("service.version", text) for text in VERSIONS] + [("os.description", text) for text in PLATFORMS]
STRINGS += [("otel_usage.gpu.runtime.version", text) for text in ("12.8", "6.4.43484-123eb5128", "20250101")]


@given(st.sampled_from(STRINGS), st.text(string.ascii_letters, min_size=5, max_size=12), st.integers(0, 60), st.sampled_from(["", " ", "-", ".", "+"]))
def test_no_word_leaves_in_a_version_or_a_platform(case, word, place, between):
    """Wherever a private word stands, it is cut off, or the whole string becomes `other`."""
    name, text = case
    left, _ = admit_value(APP.attributes[name], f"{text[:place]}{between}{word}{between}{text[place:]}")

    assert word not in left or word in text or left == "other"


@given(st.sampled_from(STRINGS), st.integers(10**9, 10**18), st.integers(0, 60), st.sampled_from(["", " ", "-", ".", "+"]))
def test_no_number_leaves_whole_in_a_version_or_a_platform(case, number, place, between):
    """A number of ten digits could be an id: it is cut off, or the whole string becomes `other`."""
    name, text = case
    left, _ = admit_value(APP.attributes[name], f"{text[:place]}{between}{number}{between}{text[place:]}")

    assert str(number) not in left


@pytest.mark.parametrize(
    ("version", "leaves"),
    [
        ("12.8", "12.8"),
        ("13.0", "13.0"),
        ("6.4.43484", "6.4.43484"),
        ("6.4.43484-123eb5128", "6.4.43484"),
        ("20250101", "20250101"),
        ("2025.1", "2025.1"),
        ("6.2.0-acme-priv", "6.2.0"),
        ("12.8.acme", "12.8"),
        ("12.8.93.123456789", "12.8.93"),
        ("12.812345678", "12"),
        ("1234567890", "other"),
        ("acme", "other"),
        ("12.8\n", "12.8"),
    ],
)
def test_a_runtime_is_numbers_and_dots(version, leaves):
    """The tail of a version is cut off: a hash or a build number tells one machine from others."""
    assert admit_value(APP.attributes["otel_usage.gpu.runtime.version"], version)[0] == leaves


@pytest.mark.parametrize(
    ("platform", "leaves"),
    [
        ("Linux-6.18.44-x86_64-with-glibc2.36", "Linux-6.18.44-x86_64-with-glibc2.36"),
        ("Linux-6.18.44-fc-v595-x86_64-with-glibc2.36", "Linux-6.18.44-x86_64-with-glibc2.36"),
        ("Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35", "Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35"),
        ("Linux-6.8.0-45-generic-x86_64-with-glibc2.39", "Linux-6.8.0-45-generic-x86_64-with-glibc2.39"),
        ("Linux-5.10.0-28-cloud-amd64-x86_64-with-glibc2.31", "Linux-5.10.0-28-cloud-amd64-x86_64-with-glibc2.31"),
        ("Linux-4.18.0-513.24.1.el8_9.x86_64-x86_64-with-glibc2.28", "Linux-4.18.0-513.24.1.el8_9.x86_64-x86_64-with-glibc2.28"),
        ("Linux-6.1.79-99.164.amzn2023.x86_64-x86_64-with-glibc2.34", "Linux-6.1.79-99.164.amzn2023.x86_64-x86_64-with-glibc2.34"),
        ("Linux-5.15.153.1-microsoft-standard-WSL2-x86_64-with-glibc2.35", "Linux-5.15.153.1-microsoft-standard-WSL2-x86_64-with-glibc2.35"),
        ("Linux-5.15.0-acme-prod+-x86_64-with-glibc2.35", "Linux-5.15.0-x86_64-with-glibc2.35"),
        ("Linux-5.15.0-105-generic-alice-x86_64-with-glibc2.35", "Linux-5.15.0-105-generic-x86_64-with-glibc2.35"),
        ("Linux-5.15.0-awsome-x86_64-with-glibc2.35", "Linux-5.15.0-x86_64-with-glibc2.35"),
        ("Linux-5.15.0-tegra-aarch64-with-glibc2.35", "Linux-5.15.0-tegra-aarch64-with-glibc2.35"),
        ("macOS-14.5-arm64-arm-64bit", "macOS-14.5-arm64-arm-64bit"),
        ("Linux-6.12.43+deb13-amd64-x86_64-with-glibc2.41", "Linux-6.12.43+deb13-amd64-x86_64-with-glibc2.41"),
        ("Linux-6.12.43+deb13-cloud-arm64-aarch64-with-glibc2.41", "Linux-6.12.43+deb13-cloud-arm64-aarch64-with-glibc2.41"),
        ("Linux-6.12.9+bpo-amd64-x86_64-with-glibc2.36", "Linux-6.12.9+bpo-amd64-x86_64-with-glibc2.36"),
        ("Linux-6.1.0-38-rt-amd64-x86_64-with-glibc2.36", "Linux-6.1.0-38-rt-amd64-x86_64-with-glibc2.36"),
        ("Linux-6.12.43+acme-amd64-x86_64-with-glibc2.41", "Linux-6.12.43-x86_64-with-glibc2.41"),
        ("Linux-6.6.72+-x86_64-with-glibc2.35", "Linux-6.6.72-x86_64-with-glibc2.35"),
        ("Linux-5.14.0-427.13.1.el9_4.ppc64le-ppc64le-with-glibc2.34", "Linux-5.14.0-427.13.1.el9_4.ppc64le-ppc64le-with-glibc2.34"),
        ("Linux-6.12.30-loongarch64-with-glibc2.40", "Linux-6.12.30-loongarch64-with-glibc2.40"),
        ("Linux-6.8.0-123456789-generic-x86_64-with-glibc2.39", "Linux-6.8.0-x86_64-with-glibc2.39"),
        ("Linux-6.8.0-45.123456789.el9.x86_64-x86_64-with-glibc2.39", "Linux-6.8.0-x86_64-with-glibc2.39"),
        ("Linux-6.8.123456789-x86_64-with-glibc2.39", "other"),
        ("Linux-6.8.0-45-generic-x86_64-with-glibc2.123456789", "other"),
        ("Linux-6.4.0-150600.23.53-default-x86_64-with-glibc2.38", "Linux-6.4.0-150600.23.53-default-x86_64-with-glibc2.38"),
        ("Linux-5.15.0-209.161.7.2.el8uek.x86_64-x86_64-with-glibc2.28", "Linux-5.15.0-209.161.7.2.el8uek.x86_64-x86_64-with-glibc2.28"),
        ("macOS-15.1-arm64-arm-64bit-Mach-O", "macOS-15.1-arm64-arm-64bit-Mach-O"),
        ("macOS-123456789-arm64-arm-64bit", "other"),
        ("macOS-14.5-arm64-jane-64bit", "other"),
        ("Windows-11-10.0.26100-SP0", "Windows-11-10.0.26100-SP0"),
        ("Windows-2022Server-10.0.20348-SP0", "Windows-2022Server-10.0.20348-SP0"),
        ("Windows-2012ServerR2-6.3.9600-SP0", "Windows-2012ServerR2-6.3.9600-SP0"),
        ("Windows-acme-10.0.19045-SP0", "other"),
        ("Windows-10-10.0.123456789-SP0", "other"),
        ("Windows-10-10.0.19045-SP123", "other"),
        ("Windows-10-10.0.19045-SP0", "Windows-10-10.0.19045-SP0"),
        ("AcmeOS-1.0-x86_64", "other"),
    ],
)
def test_a_kernel_keeps_its_version_and_a_published_flavour_only(platform, leaves):
    """The name of a kernel that somebody built may be a company's or a person's."""
    assert admit_value(APP.attributes["os.description"], platform)[0] == leaves


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        ("AwqModel", "AwqModel"),
        ("SecretModel", "other"),
        ("Wrapped(AwqModel)", "Wrapped(AwqModel)"),
        ("Wrapped(SecretModel)", "Wrapped(other)"),
        ("Secret(AwqModel)", "other(AwqModel)"),
        ("Wrapped(AwqModel", "other"),
        ("Wrapped(Wrapped(AwqModel))", "Wrapped(other)"),
    ],
)
def test_a_name_inside_parentheses_is_checked_alone(value, leaves):
    """A known wrapper leaves, and a private class inside it becomes `other`."""
    assert admit_value(CLASSES, value)[0] == leaves


def test_what_leaves_twice_leaves_the_same():
    """Admission changes nothing that it admitted before: an outbox or a gateway may ask it again."""
    report = Report(APP, {"total_memory": 25276063744, "cpu_type": "AMD EPYC", "quantization": "acme",
                          "platform": "Linux-5.15.0-acme-x86_64-with-glibc2.35", "cache_share": 0.9249})  # fmt: skip
    once, _ = admit_attributes(APP, report.attributes("resource"), "resource")

    assert admit_attributes(APP, once, "resource") == (once, [])


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=400), st.binary(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(sorted(APP.facts_by_key)), st.text(string.ascii_letters + "_", min_size=1, max_size=9))


@given(st.dictionaries(KEYS, SCALARS, max_size=30))
def test_nothing_undeclared_leaves_whatever_is_given(given_facts):
    """For any facts, nothing raises, the keys in the file are the declared ones, and each value leaves as its row declares."""
    facts, _ = admit(APP, given_facts)
    report = Report(APP, {**facts, "log_time": 1})
    line = report.values
    attributes, _ = admit_attributes(APP, report.attributes("resource"), "resource")

    assert list(line) == list(APP.report_keys)
    assert set(attributes) <= set(APP.attributes)
    for name, value in attributes.items():
        declared = APP.attributes[name]
        assert type(value) is declared.type
        assert not isinstance(value, str) or len(value.encode()) <= 256
        assert declared.values is None or value in (*declared.values, "other") or "(" in value


@given(st.text(max_size=300))
def test_a_string_leaves_as_declared_or_as_other(text):
    """For any string, an identifier's row lets out an identifier, a wrapped identifier or `other`."""
    plain, _ = admit_value(App("myengine", facts=[Fact("kind", str, why="x")]).attributes["myengine.config.kind"], text)

    assert plain is None or set(plain) <= set(string.ascii_letters + string.digits + "_.+-()")
