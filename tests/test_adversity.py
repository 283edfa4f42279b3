"""In a hostile environment the host runs as it does without us, and the report arrives."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest

NOBODY = 65534
# Loads every module of a report, so that an account that may not read this checkout can make one.
UNPRIVILEGED = f"""
import importlib, os, pkgutil
import datetime, email.utils, encodings.idna, gzip, ipaddress, json, logging, pwd, socket, ssl, urllib.parse, zlib
import opentelemetry.exporter.otlp.proto.http.trace_exporter, otel_usage, psutil, pynvml
for module in pkgutil.walk_packages(otel_usage.__path__, "otel_usage."):
    if not module.name.startswith("otel_usage.cli"):
        importlib.import_module(module.name)
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
    os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
"""
REPORT = """
import sys
from otel_usage import UsageReporter
usage = UsageReporter("myengine", version="1", heartbeat=0)
usage.report(context="API_SERVER")
"""
END = """
usage.flush(20)
print("the host's output")
print("the host's errors", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def host(tmp_path, home, receiver):
    """Run a host in an environment of its own, given as bytes or text; return its status, output and errors."""

    def run(code, *, redirect="", **environment):
        program = tmp_path / "host.py"
        program.write_text(textwrap.dedent(code))
        merged = {"PATH": os.environ["PATH"], "HOME": str(home), "MYENGINE_USAGE_STATS_SERVER": receiver.url, **environment}
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", program.read_text()],
            env={os.fsencode(name): os.fsencode(value) for name, value in merged.items() if value is not None},
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        program.unlink()
        return done.returncode, done.stdout, done.stderr

    return run


UNTOUCHED = (7, "the host's output\n", "the host's errors\n")


HOMES = [None, "", "relative", "/usr", "/proc/self", "/nonexistent/home"]
if not os.path.lexists("/.config"):  # an unreadable directory there is an opt-out
    HOMES.append("/")


@pytest.mark.parametrize("home", HOMES)
def test_without_a_home_that_can_be_written_the_operators_server_gets_the_report(host, receiver, tmp_path, home):
    """No directory is made in its place, also not in the current directory, which the account may write."""
    if os.geteuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
    account = "import pwd; pwd.getpwuid = lambda _: type('A', (), {'pw_dir': '/nonexistent'})\n"
    before = sorted(tmp_path.rglob("*"))
    done = host(UNPRIVILEGED + account + REPORT + END, HOME=home)

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_account_that_nobody_knows_without_a_home_reports_nothing(host, receiver):
    """There is no place to look for an opt-out, so consent can't be known."""
    unknown = "import pwd\ndef nobody(_): raise KeyError\npwd.getpwuid = nobody\n"

    assert (host(unknown + REPORT + END, HOME=None), receiver.received) == (UNTOUCHED, [])


@pytest.mark.parametrize("umask", [0o777, 0o177, 0o277])
def test_under_a_umask_that_takes_our_own_rights_no_directory_is_left_that_nobody_can_enter(host, receiver, umask):
    """Other programs need ~/.config as well. The line is not written, and the operator's server gets the report."""
    with tempfile.TemporaryDirectory() as home:
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
        done = host(UNPRIVILEGED + f"os.umask({umask})\n" + REPORT + END, HOME=home)
        left = os.listdir(home)

    assert (done, len(receiver.received), left) == (UNTOUCHED, 1, [])


VALUES = ("USER", "LANG", "LC_ALL", "TMPDIR", "CI", "RUNPOD_DC_ID", "CUDA_VISIBLE_DEVICES", "MYENGINE_USAGE_SOURCE", "MYENGINE_USAGE_RUN",
          "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
          "OTEL_TRACES_SAMPLER", "https_proxy", "HTTP_PROXY", "NO_PROXY")  # fmt: skip


@pytest.mark.slow
def test_values_that_are_no_utf_8_change_nothing(host, receiver, lines):
    """Every variable that any code reads has such a value; the report is written and accepted."""
    done = host(REPORT + END, **dict.fromkeys(VALUES, b"k=\xff\xfe\x80"))
    (line,) = lines()

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)
    assert line["context"] == "API_SERVER"


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "MYENGINE_CONFIG_ROOT"])
def test_a_directory_whose_name_is_no_utf_8_is_as_good_as_any(host, receiver, tmp_path, name):
    """The file is in it, and the report arrives."""
    folder = os.path.join(os.fsencode(tmp_path), b"\xff\xfe")
    os.mkdir(folder)
    done = host(REPORT + END, **{name: folder})
    found = [file for _, _, files in os.walk(folder) for file in files]

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)
    assert b"usage_stats.json" in found


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_USAGE_EXPORTER", b"\xff"), ("MYENGINE_USAGE_STATS_SERVER", b"http://127.0.0.1:9/\xff"), ("OTEL_USAGE_STRICT", b"\xff")],
)
def test_a_setting_of_ours_that_is_no_utf_8_costs_the_send_at_most(host, lines, name, value):
    """The line is written."""
    done = host(REPORT + END, **{name: value})

    assert done == UNTOUCHED
    assert len(lines()) == 1


HAMMER = """
import os, threading
over = threading.Event()
def write():
    while not over.wait(0.0002):
        for number in {closed}:
            try:
                os.write(number, b"OF THE HOST")
            except OSError:
                pass
threading.Thread(target=write, daemon=True).start()
"""


@pytest.mark.parametrize(
    ("redirect", "closed", "output"),
    [
        ("2>&-", (2,), ("the host's output\n", "")),
        (">&-", (1,), ("", "the host's errors\n")),
        ("<&-", (), ("the host's output\n", "the host's errors\n")),
        ("<&- >&- 2>&-", (1, 2), ("", "")),
    ],
    ids=["errors", "output", "input", "all"],
)
@pytest.mark.parametrize("way", ["sealed", "stock"])
def test_a_stream_that_is_closed_never_becomes_a_file_or_a_connection_of_ours(host, receiver, home, redirect, closed, output, way):
    """What the host still writes to the stream must not go to the local file, the outbox or a request."""
    server = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "MYENGINE_USAGE_STATS_SERVER": None} if way == "stock" else {}
    done = host(HAMMER.format(closed=closed) + REPORT + END.replace("sys.exit(7)", "over.set(); os._exit(7)")
                .replace('print("the host\'s output")', 'print("the host\'s output", flush=True)'), redirect=redirect, **server)  # fmt: skip
    written = b"".join(path.read_bytes() for path in home.rglob(".config/**/*") if path.is_file())
    (request,) = receiver.received

    assert done == (7, *output)
    assert len(request.spans) == 1
    assert b"OF THE HOST" not in written + request.body
    assert written.count(b'"context": "API_SERVER"') == 1


LIMITED = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
{report}
early = usage.flush(0.2)
resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
assert not early
"""


def test_without_a_thread_the_report_waits_until_there_may_be_one(host, receiver):
    """The kernel refuses every thread: nothing raises, and the report arrives once it allows one."""
    done = host(UNPRIVILEGED + LIMITED.format(report=REPORT) + END, HOME="/nonexistent")

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)


EXHAUSTED = """
import os, resource
from otel_usage import UsageReporter
{prepare}
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
"""
FREED = """
early = usage.flush(5)
for number in taken:
    os.close(number)
assert not early
"""


@pytest.mark.parametrize("prepare", ["", UNPRIVILEGED.partition("if os.geteuid")[0]], ids=["nothing loaded", "all loaded"])
def test_without_a_descriptor_the_report_waits_until_there_is_one(host, receiver, prepare):
    """No file, module or socket can be opened: nothing raises, and the report arrives later."""
    done = host(EXHAUSTED.format(prepare=prepare) + REPORT + FREED + END)

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)


def test_few_descriptors_are_enough(host, receiver, lines):
    """Eight free descriptors are enough."""
    done = host(EXHAUSTED.format(prepare="") + "for number in taken[-8:]:\n    os.close(number)\n" + REPORT + END)

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)
    assert len(lines()) == 1


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""


def test_a_file_that_may_not_grow_keeps_no_half_of_a_line(host, receiver, home):
    """The kernel cuts each write short: the part is removed, and the operator's server gets the report."""
    done = host(FULL + REPORT + END)
    sizes = {path.name: path.stat().st_size for path in (home / ".config/myengine").iterdir() if path.is_file()}

    assert (done, len(receiver.received), sizes["usage_stats.json"]) == (UNTOUCHED, 1, 0)


STALLED = """
import os, time
real = os.write
def stall(descriptor, data):
    if b"myengine_version" in data:
        open("stalled", "w").close()
        time.sleep(60)
    return real(descriptor, data)
os.write = stall
"""


def test_a_disk_that_stalls_does_not_hold_up_the_end(host, receiver, tmp_path):
    """Our thread hangs on the disk, and the host does not wait for it."""
    start = time.monotonic()
    done = host(STALLED + REPORT + END.replace("usage.flush(20)", "usage.close()"))
    took = time.monotonic() - start

    assert (done, receiver.received) == (UNTOUCHED, [])
    assert (tmp_path / "stalled").exists()
    assert took < 10


AT_THE_END = {
    "in an exit handler": "import atexit\natexit.register(usage.report)",
    "in an exit handler that runs after ours": "import atexit\natexit.unregister(len)\nusage.report(); atexit.register(lambda: usage.report(force=True))",
    "in a finalizer": "class Last:\n    def __del__(self, usage=usage):\n        usage.report()\nlast = Last(); last.me = last",
    "in a thread that is left behind": "import threading, time\nthreading.Thread(target=lambda: [usage.report(force=True) or time.sleep(0.001) for _ in range(9999)], daemon=True).start()\ntime.sleep(0.05)",
    "closed": "usage.report(); usage.close(); usage.report(force=True)",
}


@pytest.mark.parametrize("when", AT_THE_END)
def test_a_report_while_the_interpreter_shuts_down_prints_nothing(host, when):
    """No report is made once no thread can be started any more."""
    code = f"import sys\nfrom otel_usage import UsageReporter\nusage = UsageReporter('myengine', heartbeat=0)\n{AT_THE_END[when]}\n"
    done = host(code, PYTHONDEVMODE="1", PYTHONWARNINGS="error")
    if sys.version_info < (3, 11) and when == "in a thread that is left behind" and done[0] == -signal.SIGSEGV:
        # Python 3.10 sometimes crashes where a daemon thread starts another at exit, without this package as well.
        done = (0, *(text.partition("Fatal Python error: Segmentation fault")[0] for text in done[1:]))

    assert done == (0, "", "")


SIGNALS = """
import os, signal
before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
alarms = []
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGALRM, lambda *_: alarms.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
{report}
import time
masks, end = {{}}, time.monotonic() + 5
while time.monotonic() < end and (len(masks) < 2 or not masks[max(masks)]):  # until ours has begun
    for thread in os.listdir("/proc/self/task"):
        try:
            status = open(f"/proc/self/task/{{thread}}/status").read()
        except OSError:
            continue
        mask = int(status.partition("SigBlk:")[2].split()[0], 16)
        if not mask >> 32 & 1:  # else it is being made: the C library blocks its own signals meanwhile
            masks[int(thread)] = mask
mine = masks.pop(os.getpid())
assert masks, "no thread of ours was seen"
usage.flush(20)
signal.setitimer(signal.ITIMER_REAL, 0)
assert mine == 0 and alarms and signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
asynchronous = [signal.SIGPIPE, signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGPROF]
assert all(mask >> number - 1 & 1 for mask in masks.values() for number in asynchronous), masks
assert not any(mask >> signal.SIGSEGV - 1 & 1 for mask in masks.values()), masks
"""


def test_the_hosts_signals_are_none_of_our_threads_business(host, receiver):
    """A thousand signals a second and a broken pipe interrupt only the host's threads; a fault still ends the process."""
    done = host(SIGNALS.format(report=REPORT) + END)

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)


@pytest.mark.slow
@pytest.mark.parametrize("patch", ["{patch}{report}", "from otel_usage import UsageReporter\n{patch}{report}"], ids=["first", "after the import"])
def test_a_host_on_gevent_reports_as_any_other(host, receiver, lines, patch):
    """It may patch the standard library before or after the import; gevent advises against it later, when threads run."""
    code = patch.format(report=REPORT, patch="import gevent.monkey\ngevent.monkey.patch_all()\n")
    done = host(code + END)

    assert (done, len(receiver.received)) == (UNTOUCHED, 1)
    assert len(lines()) == 1


BLOCKED = """
import sys
def refuse(event, arguments):
    if event.startswith("socket."):
        raise {error}
sys.addaudithook(refuse)
"""


@pytest.mark.parametrize("error", ["RuntimeError('no sockets here')", "PermissionError(1, 'seccomp')", "ValueError"])
@pytest.mark.parametrize("variable", ["MYENGINE_USAGE_STATS_SERVER", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_host_that_forbids_sockets_keeps_its_line_and_the_report_waits(host, receiver, home, error, variable, lines):
    """Test suites and sandboxes forbid them."""
    server = {"MYENGINE_USAGE_STATS_SERVER": None, variable: receiver.url}
    done = host(BLOCKED.format(error=error) + REPORT + END, **server)

    assert (done, receiver.received) == (UNTOUCHED, [])
    assert len(lines()) == 1
    assert len(list((home / ".config/myengine/usage_outbox").iterdir())) == 1
