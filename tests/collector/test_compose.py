"""compose.yaml, which needs a container engine to run: what can be said of it without."""

from __future__ import annotations

import re
import subprocess
from xml.etree import ElementTree as ET

import pytest
import yaml
from programs import CONFIG

COMPOSE = yaml.safe_load((CONFIG / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def test_small_stack_starts_without_a_profile():
    """Gateway, ClickHouse, Grafana and Jaeger, what prepares their volumes and what removes what is old."""
    default = {name for name, service in SERVICES.items() if "profiles" not in service}
    by_profile = {profile: {name for name, service in SERVICES.items() if profile in service.get("profiles", ())} for profile in ("metrics", "cluster")}

    assert default == {"prepare", "gateway", "gateway-retention", "clickhouse", "grafana", "jaeger"}
    assert by_profile == {"metrics": {"prometheus"}, "cluster": {"kafka", "topic", "edge", "edge-retention", "ingest", "ingest-retention"}}
    assert set(SERVICES) == default | by_profile["metrics"] | by_profile["cluster"]


def test_every_service_has_a_memory_limit():
    """One that grows must not take the machine; Go's and Java's own limits stay below."""
    limits = {name: service.get("mem_limit") for name, service in SERVICES.items()}

    assert [name for name, limit in limits.items() if not re.fullmatch("[0-9]+[mg]", str(limit))] == []
    assert (limits["gateway"], COMPOSE["x-settings"]["GOMEMLIMIT"]) == ("768m", "640MiB")


def test_what_removes_old_files_is_the_neighbour_of_each_collector():
    """It has the processes, the ports and the volumes of its collector, whose own page has the port that it names."""
    for name in ("gateway", "edge", "ingest"):
        helper, collector = SERVICES[f"{name}-retention"], SERVICES[name]
        volumes = {volume for volume in collector["volumes"] if volume.endswith((":/data", ":/queue"))}
        own = re.search(r"OWN_METRICS_PORT:-([0-9]+)", (CONFIG / f"{name}.yaml").read_text())[1]

        assert (helper["pid"], helper["network_mode"]) == (f"service:{name}", f"service:{name}")
        assert {volume for volume in helper["volumes"] if not volume.startswith("./")} == volumes
        assert str(helper["environment"]["OTEL_USAGE_OWN_METRICS_PORT"]) == own


def test_every_port_is_on_loopback_and_taken_once():
    """Nothing of it is on the network."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert len({port.split(":")[1] for port in ports}) == len(ports) > 3


def test_every_image_is_pinned():
    """To a version, never to the latest."""
    tags = [service["image"].partition(":")[2] for service in SERVICES.values()]

    assert [tag for tag in tags if not re.match(r"v?[0-9]", tag)] == []
    assert len(tags) >= 5


def test_every_file_that_is_mounted_is_here_and_every_volume_is_declared():
    """A path that is missing would be made as an empty directory."""
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())]

    assert [path for path in mounts if path.startswith("./") and not (CONFIG / path).exists()] == []
    assert {name for name in mounts if not name.startswith("./")} == set(COMPOSE["volumes"])


def test_every_configuration_that_is_named_is_mounted():
    """Each collector gets the file that its command names, and Jaeger and Prometheus theirs."""
    targets = {(name, mount.split(":")[1]) for name, service in SERVICES.items() for mount in service.get("volumes", ())}
    named = {(name, part.partition("=")[2]) for name, service in SERVICES.items() for part in service.get("command", ())
             if part.startswith("--config")}  # fmt: skip

    assert named - targets == set()
    assert {name for name, _ in named} >= {"gateway", "jaeger", "prometheus"}


def test_grafana_asks_nobody_and_has_no_default_password():
    """No user at all, and looking is all that can be done."""
    environment = SERVICES["grafana"]["environment"]

    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    assert {name: value for name, value in environment.items() if re.search("ANALYTICS|NEWS|PLUGINS|GRAVATAR|SNAPSHOTS", name)} == {
        "GF_ANALYTICS_REPORTING_ENABLED": "false", "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false", "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false", "GF_SECURITY_DISABLE_GRAVATAR": "true", "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_SYNC": "grafana-clickhouse-datasource@4.14.0", "GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false",
        "GF_PLUGINS_DISABLE_PLUGINS": "grafana-lokiexplore-app,grafana-pyroscope-app,grafana-exploretraces-app,grafana-metricsdrilldown-app",
        "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true", "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    }  # fmt: skip


def test_grafana_may_only_read_the_usage_tables():
    """Any statement can be sent through its data source, by whoever may look: it must be one that changes nothing."""
    users = ET.parse(CONFIG / "clickhouse" / "users.xml")
    sources = yaml.safe_load((CONFIG / "grafana/provisioning/datasources/otel_usage.yaml").read_text())["datasources"]
    (user,) = (source["jsonData"]["username"] for source in sources if source["uid"] == "clickhouse")
    profile = users.findtext(f"users/{user}/profile")

    assert [grant.text for grant in users.findall(f"users/{user}/grants/query")] == ["GRANT SELECT ON otel_usage.*"]
    assert users.findtext(f"profiles/{profile}/readonly") == "2"
    assert "./clickhouse/users.xml:/etc/clickhouse-server/users.d/otel_usage.xml:ro" in SERVICES["clickhouse"]["volumes"]


def test_settings_are_those_that_the_configurations_read():
    """A setting that nobody reads would be a mistake."""
    texts = [(CONFIG / f"{name}.yaml").read_text() for name in ("gateway", "with-clickhouse", "edge", "ingest")]
    settings = COMPOSE["x-settings"].keys() - {"GOMEMLIMIT"}

    read = {name for text in texts for name in re.findall(r"\$\{env:(\w+):-", text)}

    assert settings - read == set()


@pytest.mark.slow
def test_prometheus_finds_nothing_wrong_with_its_file_and_scrapes_each_page_that_there_is():
    """By its own tool; each collector's own page, and the counts of those that count."""
    checked = subprocess.run(["promtool", "check", "config", CONFIG / "prometheus.yml"], check=False, capture_output=True, text=True)
    (job,) = yaml.safe_load((CONFIG / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target for static in job["static_configs"] for target in static["targets"]}
    texts = {name: (CONFIG / f"{name}.yaml").read_text() for name in ("gateway", "edge", "ingest")}
    own = {f"{name}:{re.search(r'OWN_METRICS_PORT:-([0-9]+)', text)[1]}" for name, text in texts.items()}
    counts = {f"{name}:{COMPOSE['x-settings']['OTEL_USAGE_METRICS'].partition(':')[2]}" for name, text in texts.items() if "OTEL_USAGE_METRICS:-" in text}

    assert (checked.returncode, checked.stderr) == (0, "")
    assert targets == own | counts
