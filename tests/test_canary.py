"""Secrets lie in every place that an SDK, an HTTP library or a detector reads, and none is in what we write or send."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from search import seen

SUPPORT = Path(__file__).parent / "support"

VARIABLES = {
    "OTEL_EXPORTER_OTLP_HEADERS": "x-general={}",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-traces={}",
    "OTEL_RESOURCE_ATTRIBUTES": "team={}",
    "OTEL_SERVICE_NAME": "{}",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://{}.example.org:4318",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nonexistent/{}.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "{home}/{}.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "{home}/{}.pem",
    "OTEL_CONFIG_FILE": "/nonexistent/{}.yaml",
    "TRACEPARENT": "00-{}{}-{}-01",
    "BAGGAGE": "tenant={}",
    "HTTP_PROXY": "http://user:{}@127.0.0.1:9",
    "HTTPS_PROXY": "http://{}:password@127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,{}.example.org",
    "SSL_CERT_FILE": "/nonexistent/{}.pem",
    "REQUESTS_CA_BUNDLE": "/nonexistent/{}.pem",
    "SSLKEYLOGFILE": "/nonexistent/{}.log",
    "HOSTNAME": "{}",
    "USER": "{}",
    "LOGNAME": "{}",
    "MAIL": "/var/mail/{}",
    "PWD": "/srv/{}",
    "SSH_CONNECTION": "{} 22",
    "POD_NAME": "{}",
    "KUBERNETES_SERVICE_HOST": "{}",
    "KUBECONFIG": "/nonexistent/{}",
    "VIRTUAL_ENV": "/opt/{}",
    "AWS_SECRET_ACCESS_KEY": "{}",
    "GITHUB_TOKEN": "{}",
    "HF_TOKEN": "{}",
    "OPENAI_API_KEY": "{}",
    "VLLM_API_KEY": "{}",
    "MYENGINE_SECRET": "{}",
    "MYENGINE_USAGE_RUN": "{}:1:1",
}
PLACES = ("argument", "netrc login", "netrc password", "home", "working directory", "host name", "machine id", "cookie", "thread",
          "log record", "exception", "baggage", "current span", "span attribute", "event", "trace state", "provider's resource",
          "undeclared key", "undeclared value", "value of a wrong type", "context")  # fmt: skip
# The file belongs to the operator and has the app's own words; `other` leaves in their place.
ONLY_IN_THE_FILE = ("value outside its pattern", "MYENGINE_USAGE_SOURCE")
IDS = {"trace id": 16, "span id": 8}

PROGRAM = """
import json, logging, socket, sys, threading
secret, url, way = json.load(sys.stdin), sys.argv[1], sys.argv[2]
socket.sethostname(secret["host name"])
from myengine_app import APP
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from otel_usage import UsageReporter
from otel_usage.delivery import pipeline
from otel_usage.delivery.exporters.outcome import Outcome

def stock():
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter(endpoint=url + "/v1/traces", timeout=2)

class Stock:
    def __init__(self, *_):
        pass
    def send(self, spans, _):
        stock().export(spans)
        return Outcome("sent by the stock exporter")
    def shutdown(self):
        pass

class Ids(IdGenerator):
    def generate_trace_id(self):
        return int(secret["trace id"], 16)
    def generate_span_id(self):
        return int(secret["span id"], 16)

logging.getLogger().addHandler(logging.NullHandler())
threading.current_thread().name = secret["thread"]
host = TracerProvider(resource=Resource({"team": secret["provider's resource"]}), id_generator=Ids(), shutdown_on_exit=False)
trace.set_tracer_provider(host)
parent = trace.NonRecordingSpan(trace.SpanContext(int(secret["trace id"], 16), int(secret["span id"], 16), False, trace.TraceFlags(1),
                                                  trace.TraceState([("vendor", secret["trace state"])])))
context.attach(baggage.set_baggage("tenant", secret["baggage"], trace.set_span_in_context(parent)))
with host.get_tracer("host").start_as_current_span(secret["current span"], attributes={"x": secret["span attribute"]}) as span:
    span.add_event(secret["event"])
    logging.getLogger("host").warning("%s", secret["log record"])
    if way == "naive":  # as a maintainer would write it in an afternoon
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(stock()))
        provider.get_tracer("usage").start_span("usage").end()
        raise SystemExit
    if way == "stock":
        pipeline.ProjectSender = Stock
    usage = UsageReporter(APP, strict=False)
    for _ in range(2):
        try:
            raise ValueError(secret["exception"])
        except ValueError:
            usage.report({secret["undeclared key"]: 1, "undeclared": secret["undeclared value"], "batch": secret["value of a wrong type"],
                          "scheduler": "/" + secret["value outside its pattern"]}, context=secret["context"], force=True)
        usage.flush(10)
"""


@pytest.fixture(scope="module")
def planted():
    """One secret for each place."""
    made = {place: f"canary{secrets.token_hex(10)}" for place in (*VARIABLES, *PLACES, *ONLY_IN_THE_FILE)}
    return {**made, **{name: secrets.token_hex(size) for name, size in IDS.items()}}


@pytest.fixture
def leaked(planted, tmp_path, receiver):
    """Report in one of the ways from a host full of secrets; return the places whose secrets were found, and where."""

    def run(way):
        home, folder = tmp_path / planted["home"], tmp_path / planted["working directory"]
        environment = _furnish(home, planted, receiver.url)
        folder.mkdir()
        machine_id = tmp_path / "machine-id"
        machine_id.write_text(planted["machine id"] + "\n")
        receiver.reply = (503, {"retry-after": "3600", "set-cookie": f"session={planted['cookie']}"}, b"")
        done = subprocess.run(
            ["unshare", "--uts", "--mount", "sh", "-c",
             'for file in /etc/machine-id /var/lib/dbus/machine-id; do if [ -e $file ]; then mount --bind "$0" $file; fi; done; exec "$@"',
             str(machine_id), sys.executable, "-c", PROGRAM, receiver.url, way, planted["argument"]],
            env=environment, cwd=folder, input=json.dumps(planted), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), "this needs to be root, or at least CAP_SYS_ADMIN, to have a host name of its own"
        secret = {**planted, **_of_this_machine()}
        kept = b"".join(path.read_bytes() for path in sorted(home.rglob(".config/**/*")) if path.is_file())
        sent = b"".join(_raw(received) for received in receiver.received)
        names = [name for name in secret if name not in ONLY_IN_THE_FILE]
        return kept, sent, seen(kept, {name: secret[name] for name in names}), seen(sent, secret)

    return run


def _furnish(home, planted, url):
    """Make the home, and return the environment of the host."""
    home.mkdir()
    (home / ".netrc").write_text(f"default login {planted['netrc login']} password {planted['netrc password']}\n")
    (home / ".netrc").chmod(0o600)
    filled = {name: text.replace("{home}", str(home)).replace("{}", planted[name]) for name, text in VARIABLES.items()}
    for text in filled.values():
        if text.startswith(str(home)):
            Path(text).touch()
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(SUPPORT), "MYENGINE_USAGE_STATS_SERVER": url,
        "OTEL_USAGE_EXPORTER": "project", "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,host,os",
        "MYENGINE_USAGE_SOURCE": planted["MYENGINE_USAGE_SOURCE"], **filled,
    }  # fmt: skip


def _of_this_machine():
    """Return everything from the kernel that would tell this machine from all others."""
    net = [address.address for found in psutil.net_if_addrs().values() for address in found]
    own = {a.partition("%")[0] for a in net} - {"127.0.0.1", "::1", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"}
    files = [Path("/proc/sys/kernel/random/boot_id"), *(Path("/sys/class/dmi/id") / name for name in ("product_uuid", "product_serial"))]
    texts = {str(path): path.read_text().strip() for path in files if path.exists()}
    found = {**{f"address {address}": address for address in own}, **texts}
    return {name: text for name, text in found.items() if len(text) >= 8}


def _raw(received):
    """Return the bytes of a request: its line, its headers, and its body both as sent and unpacked."""
    headers = "\r\n".join(f"{name}: {value}" for name, value in received.headers)
    return f"{received.path}\r\n{headers}\r\n\r\n".encode() + received.body + received.request.SerializeToString()


@pytest.mark.slow
def test_no_secret_of_the_host_is_written_or_sent(leaked, planted):
    """No form of a secret is in a file of ours, a header or a body."""
    kept, sent, in_files, in_requests = leaked("sealed")

    assert len(planted) >= 40
    assert kept.count(b'"myengine_version": "1.2.0"') >= 4  # two lines and two entries of the outbox
    assert sent.count(b"otel_usage.report") >= 2
    assert (in_files, in_requests) == (set(), set())
    assert seen(kept, {name: planted[name] for name in ONLY_IN_THE_FILE}) == set(ONLY_IN_THE_FILE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "places"),
    [
        ("stock", {"OTEL_EXPORTER_OTLP_TRACES_HEADERS"}),
        ("naive", {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "host name", "trace id",
                   "span id", "trace state"}),
    ],
)  # fmt: skip
def test_the_stock_exporter_in_its_place_would_leak(leaked, way, places):
    """The same search on the same host finds secrets with the stock exporter, and many with an SDK in its plain use."""
    _, _, _, in_requests = leaked(way)

    assert in_requests >= places


@pytest.mark.parametrize("shift", range(5))
@pytest.mark.parametrize("encode", [bytes, base64.b64encode, lambda data: data.hex().encode(), lambda data: data.hex().upper().encode()])
def test_a_secret_is_found_in_each_form(encode, shift):
    """The search finds each form at any offset, so that an empty result means something."""
    data = encode(b"x" * shift + b"canary0123456789" + b"y" * shift)

    assert seen(data, {"it": "canary0123456789", "another": "canary9876543210"}) == {"it"}


def test_what_the_canaries_need_is_here():
    """A private host name needs `unshare` of util-linux."""
    assert shutil.which("unshare"), "unshare is missing: install it (Debian: apt-get install util-linux)"
