"""`make demo` runs a collector and a Jaeger on this machine, with one real and 200 made-up reports, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

from otlp import request
from programs import BIN, CONFIG, Jaeger, Program, fetch, wait_for

from otel_usage.insights.reader import read
from otel_usage.integrations.vllm import APP

MADE_UP, POPULATION = 200, 10_000
GPUS = {"NVIDIA H100 80GB HBM3": 8, "NVIDIA L4": 5, "NVIDIA A100-SXM4-80GB": 4, "NVIDIA H200": 3, "AMD Instinct MI300X": 2}
MODELS = {"Qwen3ForCausalLM": 9, "LlamaForCausalLM": 8, "DeepseekV3ForCausalLM": 4, "OPTForCausalLM": 1}
HTTP, GRPC, HEALTH, QUERY = PORTS = ("127.0.0.1:4318", "127.0.0.1:4317", "127.0.0.1:13133", "127.0.0.1:16686")


class Demo(Program):
    """The collector of local.yaml, on the ports that the documents name."""

    def answers(self):
        """Return whether it accepts reports."""
        return fetch(f"http://{HEALTH}", timeout=1)[0] == 200


def made_up(chosen):
    """Return a made-up report, which says so in its source."""
    pick = lambda weights: chosen.choices(list(weights), list(weights.values()))[0]  # noqa: E731 -- it is one line
    return request({
        "service.instance.id": str(uuid.UUID(int=chosen.getrandbits(128), version=4)),
        "service.version": chosen.choice(["0.31.0", "0.32.0", "0.33.0"]), "otel_usage.source": "synthetic",
        "otel_usage.gpu.model": pick(GPUS), "otel_usage.gpu.count": chosen.choice([1, 1, 2, 4, 8]),
        "vllm.model.architecture": pick(MODELS), "vllm.config.dtype": "torch.bfloat16",
    })  # fmt: skip


def send():
    """Send the made-up reports, and one real report by the command line unless reporting is off; return their number."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HTTP}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    real = subprocess.run([Path(sys.executable).with_name("otel-usage"), "report"], env=environment, check=False)
    chosen = random.Random(1)
    for _ in range(MADE_UP):
        status, _ = fetch(f"http://{HTTP}/v1/traces", made_up(chosen).SerializeToString(), {"content-type": "application/x-protobuf"})
        assert status == 200, status
    return MADE_UP + (real.returncode == 0)


def draw(file):
    """Make up half a year of reports, and draw them, with those that were collected, as a page; return its path."""
    program, folder, page = Path(sys.executable).with_name("otel-usage"), file.parent / "made-up", file.parent / "usage.html"
    made = ["demo-data", "--reports", str(POPULATION), "--out", folder]
    drawn = ["stats", folder, file, "--source", "all", "--html", page]
    for command in (made, drawn):
        subprocess.run([program, "--app", APP.name, *command], stdout=subprocess.DEVNULL, check=True)
    return page


def show(jaeger, file, sent):
    """Print what the file and Jaeger's API say, and where to look."""
    records = list(read([str(file)]))
    traces = wait_for(lambda: len(jaeger.traces(APP.name)) == sent and jaeger.traces(APP.name))
    print(f"\nthe file holds {len(records)} reports: {file}")
    for gpu, count in Counter(record.resource.get("otel_usage.gpu.model", "(none)") for record in records).most_common():
        print(f"  {count:4}  {gpu}")
    print(f"Jaeger has {len(traces)} traces of the service {APP.name}")
    print(f"""
look at  {draw(file).as_uri()}
         (what is used, by the reports above and {POPULATION:,} more made-up ones)
look at  http://{QUERY}/api/traces?service={APP.name}&tags=%7B%22otel_usage.gpu.model%22%3A%22NVIDIA%20L4%22%7D
         (Jaeger's pages are in its image alone: docker compose -f collector-config/compose.yaml up)
send     OTEL_EXPORTER_OTLP_ENDPOINT=http://{HTTP} otel-usage report
Ctrl-C ends all of it, and deletes what was collected.""", flush=True)


def refuse_taken_ports():
    """End with one line where another program listens on a port that is needed."""
    for address in PORTS:
        host, _, port = address.partition(":")
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), timeout=1):
            sys.exit(f"make demo: {address} is taken; stop what listens there (ss -ltnp names it), and try again")


def main():
    """Run everything until it is interrupted."""
    refuse_taken_ports()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otel-usage-demo-")))
        jaeger = Jaeger(directory, query_port=16686)
        stack.callback(jaeger.kill)
        jaeger.start()
        settings = {"OTEL_USAGE_DATA": str(directory / "data"), "JAEGER_OTLP": jaeger.otlp}
        collector = Demo(directory, "collector", [BIN / "otelcol-usage", "--config", CONFIG / "local.yaml"], **settings)
        stack.callback(collector.stop)
        collector.start()
        show(jaeger, directory / "data" / "usage.jsonl", send())
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
