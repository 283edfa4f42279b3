"""An app declares its name, endpoint and facts, and each mistake is refused at once."""

import importlib
import pkgutil

import pytest

from otel_usage import App, Fact
from otel_usage.facts.app import RESERVED


@pytest.mark.parametrize("name", ["", "Vllm", "1engine", "my-engine", "my.engine", "x" * 33, "ünix", None, 7])
def test_a_name_that_could_not_be_a_namespace_is_refused(name):
    """A name matches ^[a-z][a-z0-9_]{0,31}$."""
    with pytest.raises(ValueError, match=r"the name must match \^\[a-z\]\[a-z0-9_\]\{0,31\}\$"):
        App(name)


@pytest.mark.parametrize("name", ["service", "host", "gen_ai", "otel", "otel_usage"])
def test_a_name_of_the_semantic_conventions_is_refused(name):
    """An app's name is neither a root namespace of the semantic conventions nor the one of this library."""
    with pytest.raises(ValueError, match="is a root namespace of the semantic conventions"):
        App(name)


def test_every_root_namespace_of_the_installed_conventions_is_reserved():
    """The list covers all attributes and metrics of the installed semantic conventions."""
    roots = set()
    for package in ("attributes", "_incubating.attributes", "metrics", "_incubating.metrics"):
        parent = importlib.import_module(f"opentelemetry.semconv.{package}")
        for module in pkgutil.iter_modules(parent.__path__):
            found = vars(importlib.import_module(f"{parent.__name__}.{module.name}"))
            roots |= {v.partition(".")[0] for k, v in found.items() if k.isupper() and isinstance(v, str)}

    assert roots - RESERVED == set()
    assert {"service", "host", "gen_ai", "http"} <= roots


@pytest.mark.parametrize(
    ("fact", "problem"),
    [
        (Fact("gpu_count", int, why="x"), "the key 'gpu_count' is built in or declared twice; choose another"),
        (Fact("uuid", str, why="x"), "the key 'uuid' is built in or declared twice; choose another"),
        (Fact("myengine_version", str, why="x"), "the key 'myengine_version' is built in or declared twice; choose another"),
        (Fact("uptime", int, why="x"), "the key 'uptime' is built in or declared twice; choose another"),
        (Fact("context", str, why="x"), "the key 'context' is built in or declared twice; choose another"),
        (Fact("force", bool, why="x"), "the key 'force' is built in or declared twice; choose another"),
        (Fact("mine", str, why="x"), "the key 'mine' is built in or declared twice; choose another"),
        (Fact("arch", str, attribute="host.arch", why="x"), "the attribute 'host.arch' of 'arch' is taken; choose another"),
        (Fact("name", str, attribute="service.name", why="x"), "the attribute 'service.name' of 'name' is taken; choose another"),
    ],
)
def test_a_key_or_attribute_that_is_taken_is_refused(fact, problem):
    """A declared fact can't replace a built-in fact, a parameter or another declared fact."""
    with pytest.raises(ValueError, match="choose another") as caught:
        App("myengine", facts=[Fact("mine", str, why="x"), fact])

    assert str(caught.value) == f"app 'myengine': {problem}"


@pytest.mark.parametrize("endpoint", ["http://stats.example.org", "ftp://stats.example.org", "stats.example.org", "", 7])
def test_an_endpoint_must_be_https_unless_it_is_this_machine(endpoint):
    """An endpoint over plain HTTP on another machine is refused when it is declared."""
    with pytest.raises(ValueError, match="the endpoint must be a URL that starts with https://"):
        App("myengine", endpoint=endpoint)


@pytest.mark.parametrize("more", [{"wire": "xml"}, {"facts": ["quantization"]}, {"contexts": ["API SERVER"]}])
def test_other_mistakes_of_a_declaration_are_refused(more):
    """Wire, facts and contexts are checked when they are declared."""
    with pytest.raises(ValueError, match=r"^app 'myengine': "):
        App("myengine", endpoint="http://127.0.0.1:4318", **more)


def test_the_keys_of_the_file_stand_in_one_order():
    """First the hardware, then the leading facts, the run and the declared facts; a heartbeat has a short list of its own."""
    app = App("myengine", leading=["env"], facts=[
        Fact("first", str, why="x"), Fact("env", str, why="x"), Fact("load", int, why="x", on="heartbeat"),
    ])  # fmt: skip

    assert (app.report_keys, app.heartbeat_keys) == (
        ("uuid", "provider", "num_cpu", "cpu_type", "cpu_family_model_stepping", "total_memory", "architecture",
         "platform", "xpu_runtime", "cuda_runtime", "gpu_count", "gpu_type", "gpu_memory_per_device", "env",
         "myengine_version", "context", "log_time", "source", "first"),
        ("uuid", "log_time", "load"),
    )  # fmt: skip


def test_a_version_may_be_looked_up_when_it_is_needed():
    """A function is called for each report, and no version is known where it fails; a string is used as it is."""
    versions = iter(["1.0", "2.0"])
    app = App("myengine", version=lambda: next(versions))

    assert [app.version, app.version, app.version, App("myengine", version="3.0").version, App("myengine").version] == [
        "1.0", "2.0", None, "3.0", None,
    ]  # fmt: skip
