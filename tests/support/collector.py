"""A real collector runs one of our configurations on ports of its own."""

from __future__ import annotations

import json
from pathlib import Path

from otlp import found
from programs import BIN, CONFIG, Program, fetch, free_ports

# A gateway with a ClickHouse behind it.
WITH_CLICKHOUSE = ("gateway", "with-clickhouse")


class Collector(Program):
    """A real collector with one of the configurations or several together, and settings over it as YAML paths (`a::b: c`)."""

    def __init__(self, directory, config="gateway", *, overrides=(), name="otelcol", **environment):
        http, grpc, hop, metrics, own, health = free_ports(6)
        names = [config] if isinstance(config, (str, Path)) else config
        paths = [Path(name) if str(name).endswith(".yaml") else CONFIG / f"{name}.yaml" for name in names]
        configs = [part for source in (*paths, *(f"yaml:{one}" for one in overrides)) for part in ("--config", source)]
        super().__init__(
            directory, name, [BIN / "otelcol-usage", *configs],
            OTEL_USAGE_LISTEN_HTTP=f"127.0.0.1:{http}", OTEL_USAGE_LISTEN_GRPC=f"127.0.0.1:{grpc}",
            OTEL_USAGE_HOP=f"127.0.0.1:{hop}", OTEL_USAGE_METRICS=f"127.0.0.1:{metrics}",
            OTEL_USAGE_OWN_METRICS_PORT=str(own), OTEL_USAGE_HEALTH=f"127.0.0.1:{health}",
            OTEL_USAGE_DATA=str(Path(directory) / "data"), OTEL_USAGE_QUEUE=str(Path(directory) / "queue"), **environment,
        )  # fmt: skip
        self.http, self.grpc = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}"  # gRPC is only in local.yaml
        self.hop = f"http://127.0.0.1:{hop}"
        self.metrics_url, self.own_url = f"http://127.0.0.1:{metrics}/metrics", f"http://127.0.0.1:{own}/metrics"
        self._health = f"http://127.0.0.1:{health}"
        self.file = Path(directory) / "data" / "usage.jsonl"

    def answers(self):
        """Return whether it accepts reports: the health check alone answers before the second hop listens."""
        empty = fetch(f"{self.http}/v1/traces", b"", {"content-type": "application/x-protobuf"}, timeout=1)
        return self.is_healthy() and empty[0] == 200

    def is_healthy(self):
        """Return whether its components have started."""
        return fetch(self._health, timeout=1)[0] == 200

    def post(self, body, kind="application/x-protobuf", path="/v1/traces", *, timeout=10, **headers):
        """Post a request; return the status of the answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return fetch(f"{self.http}{path}", body, {"content-type": kind, **given}, timeout=timeout)[0]

    @property
    def requests(self):
        """The OTLP requests in its file, one in each line, as JSON; none while there is no file."""
        return self.since(0)

    def since(self, offset):
        """Return the OTLP requests in its file after that many bytes."""
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_bytes()[offset:].splitlines()]

    def through(self, made):
        """Post a request; return the spans that the file got, each as (name, resource attributes, span attributes)."""
        before = self.file.stat().st_size if self.file.exists() else 0
        assert self.post(made.SerializeToString()) == 200
        return [span[1:] for span in found(self.since(before))]

    def behind(self, made):
        """Post a request past the public receiver, where reports of many requests arrive together; return the status."""
        return fetch(f"{self.hop}/v1/traces", made.SerializeToString(), {"content-type": "application/x-protobuf"})[0]

    @property
    def counts(self):
        """The series of the page of counts, by their text."""
        return series(fetch(self.metrics_url)[1].decode())

    @property
    def own(self):
        """The series of its own page, by their text."""
        return series(fetch(self.own_url)[1].decode())


def series(page):
    """Return the samples of a page for Prometheus: {name and labels: value}."""
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}
