"""Client and gateway enforce one table: on both sides of every bound, for every word and pattern, for two apps at once."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest
from collector import Collector
from myengine_app import APP as MYENGINE
from otlp import RUN, request

from otel_usage.collector import generated
from otel_usage.facts import registry
from otel_usage.facts.admission import admit_value

pytestmark = pytest.mark.slow

NAMES = runpy.run_path(str(Path(__file__).parents[1] / "facts" / "test_hardware.py"))
VERSIONS = ("0.32.0", "0.32.0+cu128", "0.32.1.dev5+g0a1b2c3d", "10.1.2.3", "1.0.0-rc.1", "2024.11-tenant42", "6.4.43484-123eb5128", "12.8")
PLATFORMS = ("Linux-5.15.0-1053-gcp-x86_64-with-glibc2.35", "Linux-6.8.0-acme-x86_64-with-glibc2.35", "macOS-15.1-arm64-arm-64bit-Mach-O",
             "Linux-5.15.153.1-microsoft-standard-WSL2-x86_64-with-glibc2.35", "Windows-10-10.0.19045-SP0")  # fmt: skip
LOOK_ALIKE = ("(none)", "(rest)", "All", "all", "Other", "$__all", "a\\b", "a ", "a\u200bb", "a\u2028b", "a\u3000b", "x" * 256, "x" * 257, "é" * 129)
PLAIN = ("amd64", "acme9000", "6", "0xd0c", "12345678", "gpu,host", "me", "1,2,3", "12345,1", "fair-2.1", "Site 7: lab", "OPTForCausalLM(x)", "a(b)")
TEXTS = (*VERSIONS, *PLATFORMS, *LOOK_ALIKE, *PLAIN, *NAMES["CPUS"], *NAMES["GPUS"], *NAMES["PRIVATE"], *NAMES["ODD"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A real gateway that is written for two apps."""
    directory = tmp_path_factory.mktemp("two")
    (directory / "gateway.yaml").write_text(generated([registry.load("vllm"), MYENGINE])["gateway.yaml"])
    collector = Collector(directory, directory / "gateway.yaml", JAEGER_OTLP="127.0.0.1:9").start()
    yield collector
    collector.kill()


def numbers(attribute):
    """Return numbers on both sides of an attribute's bounds and of its steps, and some that are none."""
    least, most, step = attribute.minimum, attribute.maximum, attribute.step or 1
    if attribute.type is int:
        near = [bound + part for bound in (least, most, 7 * step) for part in (-step, -step // 2, -1, 0, 1, step // 2, step)]
        return [*near, step * 5 // 2, step * 7 // 2, -(2**63), 2**63 - 1]
    near = [bound + part * step for bound in (least, most, 0.57) for part in (-1, -0.5, -0.49, 0, 0.25, 0.5, 1)]
    return [*map(float, near), -0.0, 1e308, math.nan, math.inf, -math.inf, 2.5 * step, math.nextafter(most, math.inf)]


def tried(attribute):
    """Return the values that are tried for an attribute."""
    if attribute.type is bool:
        return [True, False]
    if attribute.type is not str:
        return numbers(attribute)
    return [*(attribute.values or ()), *(f"{value}x" for value in (attribute.values or ())[:20]), *TEXTS]


def through(gateway, app, values):
    """Send values of an app's attributes in a report; return what is in the file of them."""
    places = [{name: value for name, value in values.items() if app.attributes[name].place == place} for place in ("resource", "span")]
    ((_, resource, span),) = gateway.through(request(({"service.name": app.name, **places[0]}, places[1])))
    return {name: value for name, value in {**resource, **span}.items() if name not in RUN}


@pytest.mark.parametrize("app", [registry.load("vllm"), MYENGINE], ids=lambda app: app.name)
def test_gateway_stores_of_every_value_what_the_client_would_let_out(gateway, app):
    """As given, and as the client makes it. Of a string that a client cuts to what is known the gateway says `other`."""
    ours = {name: a for name, a in app.attributes.items() if name not in RUN}
    rounds = {name: tried(a) for name, a in ours.items()}
    different, masked = [], set()
    for number in range(max(map(len, rounds.values()))):
        given = {name: values[number] for name, values in rounds.items() if number < len(values)}
        leaves = {name: admit_value(ours[name], value)[0] for name, value in given.items()}
        stored = through(gateway, app, given)
        again = through(gateway, app, {name: value for name, value in leaves.items() if value is not None})
        hidden = {name for name, value in again.items() if "****" in str(value)}
        changed = {name: leaves[name] for name in given if stored.get(name) == "other" and leaves[name] != given[name]}
        different += [(name, given[name], leaves[name], one.get(name)) for one in (stored | changed, again) for name in given
                      if repr(one.get(name)) != repr(leaves[name]) and name not in hidden]  # fmt: skip
        masked |= hidden

    assert different == []
    assert masked <= {"myengine.config.scheduler", "myengine.config.note"}  # by the second layer, in free words alone
