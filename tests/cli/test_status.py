"""`status`: what is decided, by whom, and where things are."""

import json
import os
import socket

import pytest

from otel_usage import consent
from otel_usage.delivery import outbox

ADDS = "OTEL_USAGE_EXPORTER=otlp makes your collector the only one"
OWN = "http://collector.example.org:4318/in/v1/traces (otlp, http/protobuf)"


def test_every_signal_is_shown_with_its_value_and_what_it_means(command, config, monkeypatch):
    """For people: the decision first, then the table, then the places."""
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "0")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:SECRET@collector.example.org:4318/in?key=SECRET")
    status, out, err = command("status")
    lines = out.splitlines()

    assert (status, err, lines[0]) == (0, "", "vllm reports are off, because VLLM_NO_USAGE_STATS is '0'.")
    assert [line.split() for line in lines if "VLLM_NO_USAGE_STATS" in line][1] == ["│", "VLLM_NO_USAGE_STATS", "│", "0", "│", "off", "│"]
    assert lines[1:3] == [
        f"An engine's own run does nothing in mode off; in mode on it sends to https://stats.vllm.ai (project, json), {OWN}; {ADDS}.",
        f"`otel-usage report` would send to {OWN}.",
    ]
    assert lines[-4:] == [
        "default        on, chosen by vllm",
        f"local file     {config}/usage_stats.json",
        "waiting        nothing",
        "last delivery  none",
    ]
    assert "SECRET" not in out


def test_a_collector_of_the_operators_is_one_more_or_the_only_one(command, monkeypatch):
    """As it says, and as OTEL_USAGE_EXPORTER has it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    one_more = command("status")[1].splitlines()[1]
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "otlp")
    only = command("status")[1].splitlines()[1]

    own = "http://127.0.0.1:9/v1/traces (otlp, http/protobuf)"
    assert (one_more, only) == (
        f"An engine's own run sends to https://stats.vllm.ai (project, json), {own}; {ADDS}.",
        f"An engine's own run sends to {own}.",
    )


def test_for_programs_it_prints_json(shell, config):
    """With these keys; each signal has a name, a value and what it means."""
    status, out, err = shell("status", "--json", OTEL_USAGE_EXPORTER="none")
    found = json.loads(out)
    signals = found.pop("signals")

    assert (status, err, found) == (0, "", {
        "app": "vllm", "mode": "local", "decided_by": "OTEL_USAGE_EXPORTER", "destinations": [],
        "file": str(config / "usage_stats.json"), "outbox": {"count": 0, "bytes": 0, "oldest": None}, "last_delivery": None,
        "warnings": [], "engine_destinations": [], "default": "on",
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


def test_when_off_it_is_the_same_json(command, config, monkeypatch):
    """An embedder that turned it off is named."""
    monkeypatch.setenv("OTEL_USAGE_SUPPRESSED_VLLM", "an embedder")
    status, out, _ = command("status", "--json")
    found = json.loads(out)

    assert (status, list(found)) == (0, ["app", "mode", "decided_by", "signals", "destinations", "file", "outbox", "last_delivery", "warnings", "engine_destinations", "default"])
    assert (found["mode"], found["decided_by"]) == ("off", "OTEL_USAGE_SUPPRESSED_VLLM")
    assert {"name": "OTEL_USAGE_SUPPRESSED_VLLM", "value": "an embedder", "means": "off"} in found["signals"]
    assert not config.exists()


ON_THIS_MACHINE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("environment", "mode", "decided_by"),
    [
        (ON_THIS_MACHINE, "on", "default"),
        *((ON_THIS_MACHINE | {name: value}, "off", name) for value in ("", "0")
          for name in ("DO_NOT_TRACK", "VLLM_DO_NOT_TRACK", "VLLM_NO_USAGE_STATS")),
        (ON_THIS_MACHINE | {"OTEL_SDK_DISABLED": " TRUE "}, "off", "OTEL_SDK_DISABLED"),
        (ON_THIS_MACHINE | {"OTEL_SDK_DISABLED": " False "}, "on", "default"),
        (ON_THIS_MACHINE | {"OTEL_USAGE_EXPORTER": "otlp,none"}, "local", "OTEL_USAGE_EXPORTER"),
        (ON_THIS_MACHINE | {"OTEL_USAGE_EXPORTER": "console"}, "local", "OTEL_USAGE_EXPORTER"),
        (ON_THIS_MACHINE | {"OTEL_USAGE_EXPORTER": ""}, "on", "default"),
        (ON_THIS_MACHINE | {"OTEL_USAGE_EXPORTER": "none", "DO_NOT_TRACK": "0"}, "off", "DO_NOT_TRACK"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example.org"}, "local", "pytest"),
        ({"OTEL_USAGE_EXPORTER": "otlp"}, "on", "default"),
        ({}, "local", "pytest"),
    ],
)  # fmt: skip
def test_each_variable_decides_as_it_should(command, monkeypatch, environment, mode, decided_by):
    """Any off wins over any local, and any local over on."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = json.loads(command("status", "--json")[1])

    assert (found["mode"], found["decided_by"]) == (mode, decided_by)


@pytest.mark.parametrize(("name", "text", "mode"), [("do_not_track", "", "off"), ("usage_mode", "local", "local"), ("usage_mode", "never", "off")])
@pytest.mark.parametrize("variable", ["VLLM_CONFIG_ROOT", "XDG_CONFIG_HOME", "HOME", None])
def test_each_file_decides_as_it_should_and_is_listed(command, monkeypatch, tmp_path, variable, name, text, mode):
    """In each of the directories, that of the machine included."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    place = {"VLLM_CONFIG_ROOT": "root", "XDG_CONFIG_HOME": "xdg/vllm", "HOME": "home/.config/vllm", None: "etc/otel-usage"}[variable]
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / name).write_text(text)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / place.removesuffix("/.config/vllm").removesuffix("/vllm")))
    found = json.loads(command("status", "--json")[1])

    assert (found["mode"], found["decided_by"]) == (mode, str(tmp_path / place / name))
    assert {"name": found["decided_by"], "value": text or "exists", "means": mode} in found["signals"]


def test_an_opt_out_that_is_a_file_is_said_in_words(command, config):
    """It exists, which is all that counts."""
    config.mkdir(parents=True)
    (config / "do_not_track").touch()

    assert command("status")[1].splitlines()[0] == f"vllm reports are off, because {config}/do_not_track exists."


def test_what_waits_is_counted(command, config):
    """With its size, and the time of the oldest."""
    for second in (1, 2):
        outbox.put(str(config), {"x": second}, collected=second * 10**9, kind="report", run="r").leave()
    found = json.loads(command("status", "--json")[1])["outbox"]
    _, out, _ = command("status")

    assert found == {"count": 2, "bytes": 16, "oldest": "1970-01-01T00:00:01Z"}
    assert "waiting        2 unsent, 16 bytes, the oldest of 1970-01-01T00:00:01Z" in out.splitlines()


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["off"], ["forget"]], ids=" ".join)
@pytest.mark.parametrize("name", [b"\xc2\xb2\xc2\xb3.1.report.x.json", b"9" * 200 + b".1.report.x.json", b"\xff.1.report.x.json", b"%020d.\xc2\xb2.report.x.json" % 1])
def test_no_name_in_the_outbox_makes_a_traceback(command, config, name, arguments):
    """It is none of ours: not counted, and not removed."""
    outbox.put(str(config), {"x": 1}, collected=10**9, kind="report", run="r").leave()
    path = os.path.join(os.fsencode(config), b"usage_outbox", name)
    with open(path, "w"):
        pass
    status, _, err = command(*arguments)

    assert (status, err) == (0, "")
    assert os.path.exists(path)


@pytest.mark.parametrize("host", ["1" * 5000 + ".1.1.1", "²³.0.0.1", "127.0.0.²", "::1]"])
def test_no_address_makes_a_traceback(command, monkeypatch, host):
    """Numbers that are none are no address of this machine."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{host}")
    status, out, err = command("status", "--json")

    assert (status, err, json.loads(out)["mode"]) == (0, "", "local")


@pytest.mark.parametrize(("value", "shown"), [("\x1b[2J", "\\x1b[2J"), ("a\nb", "a\\nb"), ("\x07", "\\x07"), ("\u202e", "\\u202e"), (":bug:", ":bug:")])
def test_control_characters_are_escaped(command, monkeypatch, value, shown):
    """No value can steer a terminal; all else is as it was set."""
    monkeypatch.setenv("OTEL_USAGE_SUPPRESSED_VLLM", value)
    first, *_, row = [text for text in command("status")[1].splitlines() if "OTEL_USAGE_SUPPRESSED_VLLM" in text]

    assert first == f"vllm reports are off, because OTEL_USAGE_SUPPRESSED_VLLM is '{shown}'."
    assert row.split("│")[2].strip() == shown


def test_without_a_directory_it_says_so(command, monkeypatch):
    """And that it is off for that."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr(consent, "_account_home", lambda: "")
    _, out, _ = command("status")

    assert out.splitlines()[0] == "vllm reports are off, because config directory is 'none that is an absolute path'."
    assert "local file     none" in out


@pytest.mark.parametrize("url", ["https://user:SE/CRET@host", "https://user:SECRET@host", "user:SECRET@host", "//user:SECRET@host"])
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_USAGE_EXPORTER", "VLLM_USAGE_STATS_SERVER"])
def test_no_password_of_a_url_is_shown_or_kept(command, home, monkeypatch, variable, url):
    """Nor in what is told of a report that is not sent, nor in a file."""
    monkeypatch.setenv("OTEL_USAGE_EXPORTER", "otlp,project")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, url)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))])
    said = [command(*words)[1:] for words in (("status",), ("status", "--json"), ("report",), ("report", "--json"), ("status", "--json"))]
    kept = [path.read_text() for path in home.rglob("*") if path.is_file()]

    assert [text for text in (*(part for both in said for part in both), *kept) if "CRET" in text] == []
    assert len(kept) > 0


PLUGINS = (
    "VLLM_PLUGINS keeps vLLM from loading otel_usage: vLLM's own reporter runs, and heeds only its own opt-outs; "
    "add otel_usage to VLLM_PLUGINS, or set VLLM_NO_USAGE_STATS=1"
)


@pytest.mark.parametrize(("named", "warnings"), [(None, []), ("otel_usage", []), ("lora,otel_usage", []), ("", [PLUGINS]),
                                                 ("lora", [PLUGINS]), ("lora, otel_usage", [PLUGINS])])  # fmt: skip
def test_a_plugin_that_vllm_does_not_load_is_warned_of(command, monkeypatch, named, warnings):
    """The words between the commas are compared as they are; unset, vLLM loads every plugin."""
    if named is not None:
        monkeypatch.setenv("VLLM_PLUGINS", named)
    found = json.loads(command("status", "--json")[1])["warnings"]
    shown = [line for line in command("status")[1].splitlines() if line.startswith("warning")]

    assert (found, shown) == (warnings, [f"warning        {text}" for text in warnings])


def test_an_app_without_a_plugin_warns_of_nothing(command, made_up_app, monkeypatch):
    """What vLLM loads is nothing to it."""
    monkeypatch.setenv("VLLM_PLUGINS", "")
    found = json.loads(command("--app", "myengine", "status", "--json")[1])

    assert (found["app"], found["warnings"]) == ("myengine", [])


def test_the_default_of_the_app_is_named_as_what_decides(command, monkeypatch, made_up_app):
    """An app that sends nothing until the user says on: by its own choice."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(made_up_app, "default", "local")
    found = json.loads(command("--app", "myengine", "status", "--json")[1])

    assert (found["mode"], found["decided_by"]) == ("local", "the app's default")
    assert command("--app", "myengine", "status")[1].splitlines()[0] == "myengine reports are local, by the app's own default."


def test_an_app_whose_default_is_local_is_turned_on_by_the_command(command, monkeypatch, made_up_app, home):
    """The user's setting wins over the app's default, and is named."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(made_up_app, "default", "local")
    turned, _, _ = command("--app", "myengine", "on")
    found = json.loads(command("--app", "myengine", "status", "--json")[1])

    assert turned == 0
    assert (found["mode"], found["decided_by"]) == ("on", str(home / ".config/myengine/usage_mode"))
