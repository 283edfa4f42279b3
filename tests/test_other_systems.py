"""Linux comes first; on other systems the package imports and does less, without an error."""

import json

import pytest

WITHOUT = """
    import os, sys
    for module in {modules!r}:
        sys.modules[module] = None
    for name in {names!r}:
        if hasattr(os, name):
            delattr(os, name)
    sys.platform = {platform!r}
    from otel_usage import UsageReporter
    with UsageReporter("myengine", version="1.2.0", endpoint="https://stats.example.org") as usage:
        usage.report(context="API_SERVER")
        usage.flush()
"""
WINDOWS = (
    "win32",
    ["fcntl", "pwd"],
    ["geteuid", "getuid", "uname", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "fchmod", "confstr", "pread"],
)
MACOS = ("darwin", [], ["confstr"])


@pytest.mark.parametrize(("platform", "modules", "names"), [WINDOWS, MACOS], ids=["Windows", "macOS"])
def test_a_system_without_the_calls_of_linux_writes_the_line(run_python, home, platform, modules, names):
    """The test removes the calls that such a system lacks; the facts that can't be known are null."""
    done = run_python(
        WITHOUT.format(platform=platform, modules=modules, names=names), OTEL_USAGE_EXPORTER="none", APPDATA=str(home)
    )
    line = json.loads((home / ".config/myengine/usage_stats.json").read_text())

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (line["context"], line["myengine_version"], line["gpu_count"]) == ("API_SERVER", "1.2.0", None)
