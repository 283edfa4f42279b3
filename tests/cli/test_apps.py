"""Which apps a command means, named before or after it, or not at all."""

import json
import os

import pytest

from otel_usage.cli.apps import every, known

MYENGINES = "https://stats.example.org/v1/traces (project, otlp)"
VLLMS = "https://stats.vllm.ai (project, json)"


@pytest.fixture
def broken_app(tmp_path, made_up_app, monkeypatch):
    """The made-up app, whose module ends the process that loads it."""
    (tmp_path / "myengine_app.py").write_text("import sys; sys.exit('broken')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ['PYTHONPATH']}")


@pytest.fixture
def installed_vllm(tmp_path, made_up_app):
    """A package `vllm` beside the made-up app, as far as its metadata go."""
    info = tmp_path / "site" / "vllm-0.33.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.33.0\n")


def used(home, name, file="usage_notice"):
    """Leave in an app's directory what a run of it leaves there."""
    directory = home / ".config" / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / file).touch()
    return directory


def test_vllm_counts_where_there_is_no_other_app():
    """Whether it is installed or not."""
    assert known() == ["vllm"]


@pytest.mark.usefixtures("made_up_app")
def test_vllm_that_is_not_installed_does_not_count_beside_another_app():
    """This package always brings it."""
    assert known() == ["myengine"]


@pytest.mark.usefixtures("installed_vllm")
def test_vllm_that_is_installed_counts():
    """As its metadata say."""
    assert known() == ["myengine", "vllm"]


@pytest.mark.usefixtures("made_up_app")
def test_vllm_whose_directory_is_there_counts(config):
    """It has run, or was opted out of."""
    config.mkdir(parents=True)

    assert known() == ["myengine", "vllm"]


@pytest.mark.parametrize("file", ["usage_notice", "usage_mode", "usage_outbox", "usage_deliveries.json"])
def test_an_app_that_no_package_declares_is_found_by_its_files(home, file):
    """By those that no other program makes, in a directory that can be an app's."""
    used(home, "other", file)
    used(home, "Not-A-Name", file)
    used(home, "http", file)
    used(home, "another", "usage_stats.json")

    assert (known(), every()) == (["vllm"], ["other", "vllm"])


@pytest.mark.parametrize("name", ["..", "../x", "a b", "Upper", "http", ""])
def test_a_declared_name_that_is_no_apps_leads_nowhere(tmp_path, made_up_app, name):
    """A package can call its entry point anything, a path included."""
    (tmp_path / "site/myengine-1.2.0.dist-info/entry_points.txt").write_text(f"[otel_usage.apps]\n{name} = myengine_app:APP\n")

    assert every() == ["vllm"]


@pytest.mark.usefixtures("installed_vllm")
def test_off_turns_every_app_off(shell, home):
    """Those that no package declares as well; each is named."""
    other = used(home, "other")
    status, out, err = shell("off")
    modes = {one["app"]: one["mode"] for one in json.loads(shell("apps", "--json")[1])["apps"]}

    assert (status, err, [line for line in out.splitlines() if line.endswith(" are off.")]) == (
        0, "", ["myengine reports are off.", "other reports are off.", "vllm reports are off."],
    )  # fmt: skip
    assert modes == {"myengine": "off", "other": "off", "vllm": "off"}
    assert sorted(path.name for path in other.iterdir()) == ["do_not_track", "usage_mode", "usage_notice"]


@pytest.mark.usefixtures("broken_app")
def test_off_needs_no_app_that_can_be_loaded(shell, config):
    """Nor do local and forget; status shows what can be known."""
    config.mkdir(parents=True)
    results = [shell(*words) for words in (("off",), ("forget",), ("local",), ("off", "--app", "myengine"))]
    status, out, err = shell("status")

    assert [(code, err) for code, _, err in results] == [(0, "")] * 4
    assert (status, err) == (0, "")
    assert (
        "An engine's own run sends to a place that is not known here: "
        "app 'myengine' can't be loaded from myengine_app:APP: SystemExit: broken."
    ) in out.splitlines()


@pytest.mark.usefixtures("made_up_app")
def test_off_tries_every_app_and_fails_if_one_fails(shell, home, config):
    """The one that fails is named, after it the others are off."""
    (home / ".config").mkdir()
    (home / ".config/myengine").touch()
    config.mkdir()
    status, out, err = shell("off")

    assert (status, err) == (
        1, f"otel-usage: can't write {home}/.config/myengine: Not a directory; DO_NOT_TRACK=1 in the environment works without\n",
    )  # fmt: skip
    assert out.splitlines()[-1] == "vllm reports are off."
    assert json.loads(shell("off", "--json")[1])["apps"] == [
        {"app": "myengine", "mode": "on", "decided_by": "default", "ok": False, "changes": [], "problems": [],
         "error": f"can't write {home}/.config/myengine: Not a directory; DO_NOT_TRACK=1 in the environment works without"},
        {"app": "vllm", "mode": "off", "decided_by": f"{config}/do_not_track", "ok": True,
         "changes": [f"wrote off to {config}/usage_mode"], "problems": [], "error": None},
    ]  # fmt: skip


@pytest.mark.usefixtures("made_up_app")
def test_local_and_forget_mean_every_app(shell, home, config):
    """What each of them recorded is gone, and what is said is of each."""
    paths = [used(home, name, "usage_stats.json") / "usage_stats.json" for name in ("myengine", "vllm")]
    local, forgotten, again = shell("local"), shell("forget", "--json"), shell("forget")

    assert [line for line in local[1].splitlines() if line.endswith(" are local.")] == [
        "myengine reports are local.", "vllm reports are local.",
    ]  # fmt: skip
    assert json.loads(forgotten[1]) == {"apps": [
        {"app": path.parent.name, "deleted": [str(path)], "error": None} for path in paths
    ]}  # fmt: skip
    assert again == (0, "There was nothing to delete.\n", "")


@pytest.mark.usefixtures("made_up_app")
def test_status_shows_every_app(shell, config):
    """Each as it is alone, in a list for programs; and of one what it was."""
    config.mkdir(parents=True)
    each = [json.loads(shell("status", "--app", name, "--json")[1]) for name in ("myengine", "vllm")]
    _, out, _ = shell("status")

    assert json.loads(shell("status", "--json")[1]) == {"apps": each}
    assert [line for line in out.splitlines() if " reports are " in line or "engine's own run" in line] == [
        "myengine reports are on, by default.", f"An engine's own run sends to {MYENGINES}.",
        "vllm reports are on, by default.", f"An engine's own run sends to {VLLMS}.",
    ]  # fmt: skip
    assert each[0]["engine_destinations"] == [
        {"destination": "project", "endpoint": "https://stats.example.org/v1/traces", "wire": "otlp"},
    ]  # fmt: skip


@pytest.mark.usefixtures("made_up_app")
def test_apps_are_listed_with_mode_and_endpoint(shell, home, config):
    """One that no package declares says so."""
    config.mkdir(parents=True)
    (config / "usage_mode").write_text("local")
    used(home, "other")
    listed = json.loads(shell("apps", "--json")[1])["apps"]
    _, out, _ = shell("apps")

    assert [tuple(one.values())[:5] for one in listed] == [
        ("myengine", "on", "default", True, "https://stats.example.org"),
        ("other", "on", "default", False, None),
        ("vllm", "local", f"{config}/usage_mode", True, "https://stats.vllm.ai"),
    ]
    assert [one["engine_destinations"] for one in listed] == [
        [{"destination": "project", "endpoint": "https://stats.example.org/v1/traces", "wire": "otlp"}],
        None,
        [{"destination": "project", "endpoint": "https://stats.vllm.ai", "wire": "json"}],
    ]
    assert [[cell.strip() for cell in row.split("│")[1:-1]] for row in out.splitlines() if row.startswith("│")] == [
        ["myengine", "on", MYENGINES],
        ["other", "on", "not known here: no installed package declares other"],
        ["vllm", "local", VLLMS],
    ]


ALONE = (["report"], ["preview"], ["show"], ["facts"], ["on"], ["verify-off"], ["collector", "--out", "made"])


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("words", ALONE, ids=lambda words: words[0])
def test_what_is_about_one_app_takes_the_only_one_or_names_them(command, home, monkeypatch, tmp_path, words):
    """With exit status 2, and nothing is done."""
    monkeypatch.chdir(tmp_path)
    (home / ".config/vllm").mkdir(parents=True)
    several = command(*words)
    (home / ".config/vllm").rmdir()
    alone = command(*words, "--json")

    said = f"otel-usage: which app? Say --app NAME; there are myengine, vllm (see otel-usage {words[0]} --help)\n"
    assert several == (2, "", said)
    assert alone[0] in (0, 1)
    assert "vllm" not in alone[1]


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize("words", [["status"], ["report"], ["preview"], ["show"], ["facts"], ["off"], ["local"], ["on"], ["forget"]],
                         ids=lambda words: words[0])  # fmt: skip
def test_an_app_is_named_before_or_after_the_command(shell, config, words):
    """The same comes of it; every command prints JSON."""
    config.mkdir(parents=True)
    found = []
    for arguments in (["--app", "myengine", *words, "--json"], [*words, "--app", "myengine", "--json"],
                      ["--app", "myengine", *words, "--json", "--app=myengine"]):  # fmt: skip
        shell("--app", "myengine", "on")
        status, out, err = shell(*arguments)
        found.append((status, err, list(json.loads(out))))
        assert "vllm" not in out

    assert found == [found[0]] * 3
    assert found[0][:2] == (0, "")


@pytest.mark.usefixtures("made_up_app")
def test_two_names_are_one_too_many(command, home):
    """Rather than one of them being turned off by mistake."""
    said = "otel-usage: --app is given twice, as myengine and as vllm (see otel-usage off --help)\n"

    assert command("--app", "myengine", "off", "--app", "vllm") == (2, "", said)
    assert list(home.iterdir()) == []


def test_every_command_of_the_notice_works_where_no_package_declares_the_app(shell, run_python, home, receiver):
    """The first snippet of the README declares none; its facts are not known to the command line, and that is said."""
    run_python(f"""
        from otel_usage import Fact, UsageReporter
        usage = UsageReporter("myengine", endpoint={receiver.url!r}, facts=[Fact("quantization", str, why="kernels")])
        usage.report(context="API_SERVER", quantization="awq")
        usage.flush(10)
    """)  # fmt: skip
    preview = shell("--app", "myengine", "preview")
    results = [shell("--app", "myengine", *words) for words in (["status"], ["show"], ["facts"], ["report"], ["verify-off"], ["off"])]

    assert (preview[0], preview[2], preview[1].splitlines()[:3]) == (0, "", [
        "myengine reports are on, by default. This command sends and writes nothing.",
        "An engine's own run sends to a place that is not known here: no installed package declares myengine.",
        "So the facts that it declares itself are not among these.",
    ])  # fmt: skip
    assert [(status, err) for status, _, err in results] == [
        (0, ""), (0, ""), (0, "Only the built-in facts: no installed package declares myengine.\n"), (0, ""), (0, ""), (0, ""),
    ]  # fmt: skip
    assert f"to {receiver.url}/v1/traces: accepted" in results[0][1].splitlines()[-2]
    assert results[0][1].splitlines()[-1] == (
        "warning        what myengine declares, its default mode too, is not known here: no installed package declares myengine"
    )


@pytest.mark.parametrize("name", ["other", "..", "../../etc", "http", "\x1b[31m", "", "x" * 40])
def test_a_name_of_no_app_names_those_that_there_are(command, home, name):
    """A path is none, nor is a root namespace, whatever directory is there."""
    (home / ".config/http").mkdir(parents=True)
    status, out, err = command("off", "--app", name)

    assert (status, out) == (2, "")
    assert err.endswith("is installed; the known ones are: vllm (see otel-usage off --help)\n")
    assert [path.name for path in home.rglob("*")] == [".config", "http"]
