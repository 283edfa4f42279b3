"""No report stays for longer than 30 days in a collector's files, also where few arrive: retention.sh, with a moved clock."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from collector import Collector
from otlp import found, request
from programs import CONFIG, Jaeger, wait_for

from otel_usage.insights.reader import read

pytestmark = pytest.mark.slow

DAY = 86_400


@pytest.fixture
def later(tmp_path):
    """Run retention.sh once for a collector so many days later; return what it said."""
    clock = tmp_path / "clock"
    clock.mkdir()

    def run(collector, days):
        (clock / "date").write_text(f'#!/bin/sh\nexec /bin/date -d "@$(($(/bin/date +%s) + {int(days * DAY)}))" "$@"\n')
        (clock / "date").chmod(0o755)
        settings = {name: value for name, value in collector.environment.items() if name.startswith("OTEL_USAGE")}
        ran = subprocess.run(
            [CONFIG / "retention.sh", str(collector.process.pid), "once"], check=True, capture_output=True, text=True, timeout=30,
            env={**settings, "PATH": f"{clock}:{os.environ['PATH']}"},
        )  # fmt: skip
        return ran.stdout + ran.stderr

    return run


def taken(collector):
    """Post a report until it is taken: while files are opened anew, connections are refused. Return its trace id."""
    made = request({"otel_usage.gpu.model": "NVIDIA L4"})
    wait_for(lambda: collector.post(made.SerializeToString(), timeout=2) == 200)
    return made.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()


def in_files(collector):
    """Return the trace ids in all files of a collector."""
    return {record.trace_id for record in read([str(collector.file.parent)])}


def test_live_file_is_moved_aside_after_a_week_and_goes_before_30_days(gateway, later):
    """A few reports, far from filling a file: none is lost, the live file keeps its name, and the old one goes."""
    first = taken(gateway)
    later(gateway, 0)
    later(gateway, 6.9)
    kept = [path.name for path in gateway.file.parent.glob("usage*")]
    said = later(gateway, 7.1)
    wait_for(lambda: not gateway.file.exists() or not gateway.file.stat().st_size)
    second = wait_for(lambda: taken(gateway))
    wait_for(lambda: {one for one, *_ in found(gateway.requests)} == {second})
    both = in_files(gateway)
    later(gateway, 21.9)
    still = in_files(gateway)
    later(gateway, 22.1)

    assert (kept, said) == (["usage.jsonl"], "")
    assert both == {first, second} == still
    assert first not in in_files(gateway)


def test_queue_of_a_back_end_that_takes_nothing_for_28_days_is_removed(gateway, later):
    """And is said; what comes then waits in the new one."""
    first = taken(gateway)
    later(gateway, 0)
    later(gateway, 27.9)
    (queue,) = [path for path in (gateway.directory / "queue").iterdir() if path.name.endswith("_traces")]
    waited = queue.read_bytes().count(bytes.fromhex(first))
    said = later(gateway, 28.1)
    wait_for(lambda: queue.exists() and bytes.fromhex(first) not in queue.read_bytes())
    second = taken(gateway)

    assert waited > 0
    assert f"the back end of {queue} has taken nothing for 28 days; what waited is removed" in said
    assert bytes.fromhex(second) in queue.read_bytes()
    assert second in in_files(gateway)


def test_queue_is_left_alone_while_its_back_end_takes_reports_or_nothing_waits(tmp_path, start, later):
    """However long ago the last one was."""
    jaeger = start(Jaeger(tmp_path))
    gateway = start(Collector(tmp_path, JAEGER_OTLP=jaeger.otlp))
    said = later(gateway, 0)
    for days in (20, 40, 60):
        taken(gateway)
        wait_for(lambda: gateway.own['otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/jaeger"}'] == 0)
        said += later(gateway, days)
    said += later(gateway, 120)

    assert said == ""


def test_it_ends_with_its_collector(gateway, later):
    """It looks for as long as there is a process to look for."""
    running = subprocess.Popen(
        [CONFIG / "retention.sh", str(gateway.process.pid)], env={**gateway.environment}, cwd=gateway.directory,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(1)
    alive = running.poll()
    gateway.kill()

    assert alive is None
    assert running.wait(15) == 0
