"""How much a gateway takes: requests a second, answer times, memory and CPU, in one run, the variants by turns.

    make bench-gateway

Each request is one report of its own, over a connection that is kept; the gateway, its file and its queue on disk are
those of gateway.yaml, with Jaeger down, so that all of it waits in the queue. The variants: as it is, with each request
alone over the second hop, and without fsync.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from collector import Collector
from otlp import request

from otel_usage.insights.reader import read

CONNECTIONS = 32
SECONDS, ROUNDS = 8, 3
VARIANTS = {
    "as it is": [],
    "each alone": ["exporters::otlp_http/hop::sending_queue::enabled: false"],
    "no fsync": ["extensions::file_storage/queue::fsync: false"],
}
REPORT = {
    "service.version": "0.32.0", "cloud.provider": "aws",
    "host.arch": "amd64", "host.cpu.model.name": "AMD EPYC", "otel_usage.memory.limit": 2**36, "otel_usage.gpu.count": 8,
    "otel_usage.gpu.model": "NVIDIA H100 80GB HBM3", "otel_usage.gpu.memory.limit": 80 * 2**30, "otel_usage.source": "production",
    "os.description": "Linux-6.8.0-45-generic-x86_64-with-glibc2.39", "os.type": "linux", "otel_usage.cpu.logical_count": 128,
    "vllm.model.architecture": "Qwen3ForCausalLM", "vllm.config.dtype": "torch.bfloat16", "vllm.config.block_size": 16,
    "vllm.config.gpu_memory_utilization": 0.92, "vllm.config.enable_lora": False, "vllm.config.tensor_parallel_size": 8,
    "vllm.config.quantization": "fp8", "vllm.config.kv_cache_dtype": "auto", "vllm.config.max_model_len": 131072,
}  # fmt: skip


def message():
    """Return a request as it is sent over the connection."""
    body = request(REPORT).SerializeToString()
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def send(port, end, times):
    """Send one report after the other until `end`, and note how long each answer took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < end:
        made, start = message(), time.perf_counter()
        writer.write(made)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 200"), head
        times.append(time.perf_counter() - start)
    writer.close()


async def load(port, seconds):
    """Return the answer times of all connections."""
    times, end = [], time.perf_counter() + seconds
    await asyncio.gather(*(send(port, end, times) for _ in range(CONNECTIONS)))
    return times


def cpu_seconds(collector):
    """Return the processor time that a collector has used."""
    fields = Path(f"/proc/{collector.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(name, overrides, config="gateway"):
    """Print the figures of one configuration; return its requests a second."""
    with tempfile.TemporaryDirectory() as directory:
        collector = Collector(Path(directory), config, overrides=overrides, JAEGER_OTLP="127.0.0.1:9").start()
        try:
            port = int(collector.http.rpartition(":")[2])
            asyncio.run(load(port, 1))
            before = cpu_seconds(collector)
            times = asyncio.run(load(port, SECONDS))
            cpu = cpu_seconds(collector) - before
            rss = collector.rss
        finally:
            collector.kill()
        size = collector.file.stat().st_size
        kept = len(list(read([str(collector.file)])))
    rate, p99 = len(times) / SECONDS, statistics.quantiles(times, n=100)[98]
    print(f"{name:14} {rate:6.0f} requests/s, median {statistics.median(times) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, "
          f"{cpu / len(times) * 1e3:.2f} ms CPU a report, {rss / 2**20:.0f} MiB, {size / kept:.0f} bytes a report in the file")  # fmt: skip
    return rate


if __name__ == "__main__":
    rates = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name, overrides in VARIANTS.items():
            rates[name].append(measure(name, overrides))
    ours, alone, fast = (statistics.median(rates[name]) for name in VARIANTS)
    print(f"going together is {ours / alone:.1f} times as fast as each alone; fsync takes {ours / fast:.0%} of what goes without it")
