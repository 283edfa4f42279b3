"""`status`: what is decided, by whom, and where things are."""

import json

import pytest

from otel_usage import consent


def test_every_signal_is_shown_with_its_value_and_what_it_means(command, config, monkeypatch):
    """For people: the decision first, then the table, then the places."""
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "0")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:SECRET@collector.example.org:4318/in?key=SECRET")
    status, out, err = command("status")
    lines = out.splitlines()

    assert (status, err, lines[0]) == (0, "", "vllm reports are off, because VLLM_NO_USAGE_STATS is '0'.")
    assert [line.split() for line in lines if "VLLM_NO_USAGE_STATS" in line][1] == ["│", "VLLM_NO_USAGE_STATS", "│", "0", "│", "off", "│"]
    assert lines[-4:] == [
        "destinations   http://collector.example.org:4318/in/v1/traces (otlp, http/protobuf)",
        f"local file     {config}/usage_stats.json",
        "waiting        0 reports, 0 bytes, oldest -",
        "last delivery  none",
    ]
    assert "SECRET" not in out


def test_for_programs_it_prints_json(shell, config):
    """With these keys; each signal has a name, a value and what it means."""
    status, out, err = shell("status", "--json", OTEL_USAGE_EXPORTER="none")
    found = json.loads(out)
    signals = found.pop("signals")

    assert (status, err, found) == (0, "", {
        "app": "vllm", "mode": "local", "decided_by": "OTEL_USAGE_EXPORTER", "destinations": [],
        "file": str(config / "usage_stats.json"), "outbox": {"count": 0, "bytes": 0, "oldest": None}, "last_delivery": None,
    })  # fmt: skip
    assert {"name": "OTEL_USAGE_EXPORTER", "value": "none", "means": "local"} in signals
    assert [signal["name"] for signal in signals] == [
        "DO_NOT_TRACK", "VLLM_DO_NOT_TRACK", "VLLM_NO_USAGE_STATS", "OTEL_USAGE_SUPPRESSED_VLLM", "OTEL_SDK_DISABLED",
        "OTEL_USAGE_EXPORTER", "pytest", *(f"{directory}/{name}" for directory in (config, "/etc/vllm", "/etc/otel-usage")
                                           for name in ("do_not_track", "usage_mode")),
    ]  # fmt: skip


def test_what_waits_and_what_was_delivered_last_is_told(shell, config):
    """After a report that a server did not take."""
    shell("report", VLLM_USAGE_STATS_SERVER="http://127.0.0.1:9")
    found = json.loads(shell("status", "--json", VLLM_USAGE_STATS_SERVER="http://127.0.0.1:9")[1])
    _, out, _ = shell("status", VLLM_USAGE_STATS_SERVER="http://127.0.0.1:9")

    assert found["destinations"] == [{"destination": "project", "endpoint": "http://127.0.0.1:9", "wire": "json"}]
    assert {**found["last_delivery"], "time": ""} == {
        "time": "", "destination": "project", "endpoint": "http://127.0.0.1:9", "ok": False, "detail": "connection refused",
    }  # fmt: skip
    assert out.splitlines()[-1].endswith(" to http://127.0.0.1:9: connection refused")


@pytest.mark.parametrize("value", ["\x1b[2J", "a\nb", "\x00" if False else "\x07", "\u202e"])
def test_control_characters_are_escaped(command, monkeypatch, value):
    """No value can steer a terminal."""
    monkeypatch.setenv("OTEL_USAGE_SUPPRESSED_VLLM", value)
    _, out, _ = command("status")

    assert value not in out
    assert "OTEL_USAGE_SUPPRESSED_VLLM is " in out.splitlines()[0]


def test_without_a_directory_it_says_so(command, monkeypatch):
    """And that it is off for that."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr(consent, "_account_home", lambda: "")
    _, out, _ = command("status")

    assert out.splitlines()[0] == "vllm reports are off, because config directory is 'none that is an absolute path'."
    assert "local file     none" in out
