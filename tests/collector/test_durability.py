"""A 2xx means that the report is on disk: what was acknowledged survives kills, and back ends that are down."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from collector import WITH_CLICKHOUSE, Collector
from otlp import found, request
from programs import BIN, CONFIG, Jaeger, wait_for

from otel_usage.insights.reader import read

pytestmark = pytest.mark.slow

GPU = {"otel_usage.gpu.model": "NVIDIA L4"}


def trace_of(made):
    """Return the trace id of a request's first report."""
    return made.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()


class Load:
    """Reports that are posted one after the other until it is stopped, and the trace ids of those acknowledged."""

    def __init__(self, collector):
        self.acknowledged, self.sent = set(), 0
        self._collector, self._stop = collector, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            made = request(GPU)
            self.sent += 1
            try:
                if self._collector.post(made.SerializeToString(), timeout=5) == 200:
                    self.acknowledged.add(trace_of(made))
            except OSError:
                time.sleep(0.01)
            time.sleep(0.002)


def in_jaeger(jaeger):
    """Return the trace ids that a Jaeger has."""
    return {trace["traceID"] for trace in jaeger.traces(limit=100_000)}


def test_what_was_acknowledged_survives_kills_and_a_jaeger_that_is_down(tmp_path, start):
    """Ten SIGKILLs at random moments under load, Jaeger down for half of it: all is in the file and in Jaeger, once."""
    jaeger = Jaeger(tmp_path)
    gateway = start(Collector(tmp_path, JAEGER_OTLP=jaeger.otlp))
    moments = random.Random(7)
    with Load(gateway) as load:
        for kill in range(10):
            if kill == 5:
                start(jaeger)
            time.sleep(moments.uniform(0.2, 1.2))
            gateway.kill()
            gateway.start()
    records = list(read([str(gateway.file.parent)]))
    wait_for(lambda: in_jaeger(jaeger) >= load.acknowledged, 60)

    ids = [record.trace_id for record in records]
    assert len(load.acknowledged) > 200
    assert load.acknowledged <= set(ids)
    assert len(ids) == len(set(ids)) <= load.sent
    assert len(load.acknowledged) <= len(in_jaeger(jaeger)) <= load.sent


def in_clickhouse(clickhouse):
    """Return the trace ids of the reports that a ClickHouse has, each as often as it counts it."""
    return [row["trace_id"] for row in clickhouse.store.query("SELECT trace_id FROM otel_usage.reports")]


def test_what_was_acknowledged_survives_kills_and_a_clickhouse_that_is_away(tmp_path, start, clickhouse):
    """Six SIGKILLs under load, ClickHouse away for half of it, and once more without its table: each report is counted once."""
    brief = ["exporters::clickhouse::retry_on_failure::max_interval: 1s"]
    gateway = start(Collector(tmp_path, WITH_CLICKHOUSE, overrides=brief, JAEGER_OTLP="127.0.0.1:9", CLICKHOUSE_ENDPOINT=clickhouse.url))
    moments = random.Random(7)
    with Load(gateway) as load:
        for kill in range(6):
            if kill == 3:
                clickhouse.start()
            time.sleep(moments.uniform(0.2, 1.2))
            gateway.kill()
            gateway.start()
        clickhouse.store.query("RENAME TABLE otel_usage.spans TO otel_usage.away")
        time.sleep(3)
        clickhouse.store.query("RENAME TABLE otel_usage.away TO otel_usage.spans")
    wait_for(lambda: set(in_clickhouse(clickhouse)) >= load.acknowledged, 60)
    counted = in_clickhouse(clickhouse)

    assert len(load.acknowledged) > 100
    assert len(counted) == len(set(counted)) <= load.sent


def test_same_kill_loses_reports_where_the_queue_for_clickhouse_is_in_memory(tmp_path, start, clickhouse):
    """The test above can fail: what waited is gone."""
    in_memory = ["exporters::clickhouse::sending_queue::storage: null"]
    gateway = start(Collector(tmp_path, WITH_CLICKHOUSE, overrides=in_memory, JAEGER_OTLP="127.0.0.1:9", CLICKHOUSE_ENDPOINT=clickhouse.url))
    assert gateway.post(request(GPU).SerializeToString()) == 200
    gateway.kill()
    clickhouse.start()
    gateway.start()
    time.sleep(5)

    assert in_clickhouse(clickhouse) == []


def test_same_kills_lose_reports_where_the_queue_is_in_memory(tmp_path, start):
    """The test above can fail: without the queue on disk, what waited for Jaeger is gone."""
    jaeger = Jaeger(tmp_path)
    in_memory = "exporters::otlp_grpc/jaeger::sending_queue::storage: null"
    gateway = start(Collector(tmp_path, overrides=[in_memory], JAEGER_OTLP=jaeger.otlp))
    with Load(gateway) as load:
        time.sleep(1)
    gateway.kill()
    start(jaeger)
    gateway.start()
    time.sleep(3)

    assert load.acknowledged
    assert in_jaeger(jaeger) == set()


PATIENCE = "exporters::{}::retry_on_failure::{}"


@pytest.mark.parametrize(("patience", "delivered"), [("0s", True), ("1s", False)], ids=["ours", "as by default"])
def test_back_ends_that_are_away_for_longer_than_the_usual_patience_get_everything(tmp_path, start, clickhouse, patience, delivered):
    """Compressed from the default's 5 minutes to a second: never giving up is what delivers."""
    jaeger = Jaeger(tmp_path)
    settings = ("initial_interval: 200ms", "max_interval: 500ms", f"max_elapsed_time: {patience}")
    overrides = [PATIENCE.format(name, setting) for name in ("otlp_grpc/jaeger", "clickhouse") for setting in settings]
    gateway = start(Collector(tmp_path, WITH_CLICKHOUSE, overrides=overrides, JAEGER_OTLP=jaeger.otlp, CLICKHOUSE_ENDPOINT=clickhouse.url))
    made = request(GPU)
    assert gateway.post(made.SerializeToString()) == 200
    time.sleep(5)
    start(jaeger)
    clickhouse.start()
    if delivered:
        wait_for(lambda: in_jaeger(jaeger) and in_clickhouse(clickhouse))
    time.sleep(3)

    assert in_jaeger(jaeger) == ({trace_of(made)} if delivered else set())
    assert in_clickhouse(clickhouse) == ([trace_of(made)] if delivered else [])


def test_client_is_told_to_come_again_when_the_queue_is_full_and_delivers_later(tmp_path, home, start):
    """503, as the protocol has it; the client keeps its report and delivers it by its next run."""
    jaeger = Jaeger(tmp_path)
    small = ["exporters::otlp_grpc/jaeger::sending_queue::batch::min_size: 1",
             "exporters::otlp_grpc/jaeger::retry_on_failure::max_interval: 1s"]  # fmt: skip
    gateway = start(Collector(tmp_path, overrides=small, JAEGER_OTLP=jaeger.otlp, OTEL_USAGE_QUEUE_SIZE="3"))
    answers = [gateway.post(request(GPU).SerializeToString()) for _ in range(12)]
    refused = run_engine(gateway, home)
    start(jaeger)
    wait_for(lambda: gateway.own['otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/jaeger"}'] == 0)
    taken = run_engine(gateway, home)

    assert answers[:3] == [200] * 3
    assert answers[-1] == 503
    assert (refused, taken) == ("False", "True")
    assert wait_for(lambda: len(list(filter(is_real, jaeger.traces()))) == 2)


def test_full_queue_has_few_lines_written_in_vain_and_each_report_is_read_once(tmp_path, start):
    """The file has a report before the queue refuses it: so many senders come again and again, and so few lines it grows."""
    small = "exporters::otlp_grpc/jaeger::sending_queue::batch::min_size: 1"
    gateway = start(Collector(tmp_path, overrides=[small], JAEGER_OTLP="127.0.0.1:9", OTEL_USAGE_QUEUE_SIZE="3"))
    end = time.monotonic() + 4

    def come_again():
        made = request(GPU)
        while time.monotonic() < end:
            gateway.post(made.SerializeToString(), timeout=20)

    senders = [threading.Thread(target=come_again) for _ in range(32)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    ids = [record.trace_id for record in read([str(gateway.file)])]

    assert len(found(gateway.requests)) <= 32 * 4  # each has an answer after 2 s
    assert len(ids) == len(set(ids)) <= 32


def is_real(trace):
    """Tell a report of a program from the made ones: it knows the machine's processors."""
    (process,) = trace["processes"].values()
    return "otel_usage.cpu.logical_count" in {tag["key"] for tag in process["tags"]}


def run_engine(gateway, home):
    """Run a program that reports; return whether all its reports were taken, those of earlier runs included."""
    code = """if True:
        from otel_usage import UsageReporter
        from otel_usage.integrations.vllm import APP
        usage = UsageReporter(APP)
        usage.report()
        print(usage.flush())
    """
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": gateway.http,
             "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_USAGE_EXPORTER": "otlp"},
    )  # fmt: skip
    return ran.stdout.strip()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB, as root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk_refuses_reports_and_is_said_in_the_log(tmp_path, start, small_disk):
    """No crash: the client is told to come again, and once there is room reports are taken."""
    gateway = start(Collector(tmp_path, JAEGER_OTLP="127.0.0.1:9"))
    gateway.kill()
    gateway.environment["OTEL_USAGE_DATA"] = str(small_disk)
    gateway.start()
    hog = small_disk / "hog"
    hog.write_bytes(b"x" * 1_030_000)
    answers = [gateway.post(request(GPU).SerializeToString()) for _ in range(60)]
    log = gateway.log
    hog.unlink()
    afterwards = request(GPU)

    assert answers[-1] in (500, 503)
    assert "no space left on device" in log
    assert gateway.post(afterwards.SerializeToString()) == 200
    assert trace_of(afterwards) in [record.trace_id for record in read([str(small_disk)])]


def by_script(gateway):
    """Have a gateway be started by start.sh from now on, and return it."""
    gateway.command = [str(CONFIG / "start.sh"), *gateway.command[2:]]
    gateway.environment |= {"OTELCOL": str(BIN / "otelcol-usage"), "BBOLT": str(BIN / "bbolt")}
    return gateway


@pytest.mark.parametrize("config", ["gateway", "edge"])
def test_files_are_their_users_alone(tmp_path, start, config):
    """Data and queue: directories of mode 0700, and files of 0600 in them where start.sh starts the collector."""
    collector = start(by_script(Collector(tmp_path, config, JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9")))
    assert collector.post(request(GPU).SerializeToString()) == 200
    made = [path for name in ("data", "queue") for path in (tmp_path / name, *(tmp_path / name).rglob("*")) if path.exists()]

    assert {stat.filemode(path.stat().st_mode) for path in made} == {"drwx------", "-rw-------"}
    assert len([path for path in made if path.suffix != ".sent"]) == {"gateway": 4, "edge": 2}[config]  # nor retention.sh's marks


@pytest.mark.parametrize("config", ["gateway", "edge"])
def test_directory_that_others_may_enter_is_named_and_left_as_it_is(tmp_path, start, config):
    """It may be a system's own. A file after a rotation has mode 0644, and only its directory keeps it from others."""
    for name in ("data", "queue"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    collector = start(by_script(Collector(tmp_path, config, JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9")))
    named = [name for name in ("data", "queue") if f"others may enter {tmp_path / name}, " in collector.log]

    assert named == {"gateway": ["data", "queue"], "edge": ["queue"]}[config]
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("data", "queue")] == ["0o755", "0o755"]


@pytest.mark.parametrize("config", ["gateway", "edge"])
def test_directories_are_their_users_alone_without_the_script_too(tmp_path, start, config):
    """As in a container, which has no shell: nobody else reaches what is in them."""
    start(Collector(tmp_path, config, JAEGER_OTLP="127.0.0.1:9", KAFKA_BROKERS="127.0.0.1:9"))
    modes = [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("data", "queue") if (tmp_path / name).exists()]

    assert modes == ["0o700"] * {"gateway": 2, "edge": 1}[config]


def in_the_middle(data):
    """All but its head is noise."""
    return data[:8192] + os.urandom(len(data) - 8192)


def at_the_end(data):
    """All but its head is gone."""
    return data[:8192]


def everywhere(data):
    """All is noise."""
    return os.urandom(len(data))


@pytest.mark.parametrize("damage", [in_the_middle, at_the_end, everywhere], ids=lambda one: one.__name__)
def test_corrupt_queue_is_set_aside_and_said_in_the_log(tmp_path, start, damage):
    """No crash loop: started by start.sh the collector comes up, and takes reports."""
    gateway = start(Collector(tmp_path, JAEGER_OTLP="127.0.0.1:9"))
    assert gateway.post(request(GPU).SerializeToString()) == 200
    gateway.kill()
    (queue,) = (tmp_path / "queue").iterdir()
    queue.write_bytes(damage(queue.read_bytes()))
    by_script(gateway).start()

    assert gateway.post(request(GPU).SerializeToString()) == 200
    assert len(found(gateway.requests)) == 2
    assert f"the queue {queue} is damaged" in gateway.log
    assert min(path.name for path in queue.parent.iterdir()) == queue.name
    assert len([path for path in queue.parent.iterdir() if path.suffix != ".sent"]) == 2


def test_collector_that_is_told_to_end_ends_well_and_goes_on_where_it_was(tmp_path, start):
    """SIGTERM: exit status 0, and what waits for Jaeger is delivered after the next start."""
    jaeger = Jaeger(tmp_path)
    gateway = start(Collector(tmp_path, JAEGER_OTLP=jaeger.otlp))
    made = request(GPU)
    assert gateway.post(made.SerializeToString()) == 200

    assert gateway.stop(signal.SIGTERM) == 0
    start(jaeger)
    gateway.start()

    assert wait_for(lambda: in_jaeger(jaeger)) == {trace_of(made)}
