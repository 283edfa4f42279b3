"""A real collector, and a real Jaeger behind it, for each test that asks for them."""

from __future__ import annotations

import pytest
import trustme
from clickhouse import Store
from clickhouse_server import ClickHouseServer
from collector import Collector
from nginx import Nginx
from programs import Jaeger


@pytest.fixture
def jaeger(tmp_path, start):
    """A real Jaeger."""
    return start(Jaeger(tmp_path))


@pytest.fixture
def clickhouse(tmp_path):
    """The real ClickHouse engine with our tables, behind its HTTP interface; it does not listen before it is started."""
    store = Store(tmp_path / "clickhouse")
    server = ClickHouseServer(store)
    yield server
    server.stop()
    store.close()


@pytest.fixture
def gateway(tmp_path, start):
    """A real gateway, with nothing behind it but its file and its counts."""
    return start(Collector(tmp_path, JAEGER_OTLP="127.0.0.1:9"))


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory):
    """A real gateway that many examples share."""
    collector = Collector(tmp_path_factory.mktemp("gateway"), JAEGER_OTLP="127.0.0.1:9").start()
    yield collector
    collector.kill()


@pytest.fixture(scope="session")
def authority():
    """A certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture
def proxy(tmp_path, start, gateway, authority):
    """A real nginx before a real gateway."""
    return start(Nginx(tmp_path, gateway, authority))
