"""The real programs around a collector run on ports of their own: Jaeger, Kafka, Prometheus."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "collector-config"
BIN = REPOSITORY / ".cache" / "bin"
PATIENCE = 30


def free_ports(count):
    """Return ports that nobody listens on, below those that the system gives to outgoing connections."""
    found = set()
    while len(found) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)


def fetch(url, body=None, headers=None, *, timeout=10):
    """Return the status and the body of an answer."""
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait_for(condition, patience=PATIENCE):
    """Return what `condition` returns as soon as it is true; fail after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            if found := condition():
                return found
        except (OSError, KeyError, ValueError, AssertionError):
            pass
        if time.monotonic() > end:
            message = f"not within {patience} s: {condition}"
            raise AssertionError(message)
        time.sleep(0.02)


class Program:
    """A program that runs until it is stopped, and its output."""

    def __init__(self, directory, name, command, **environment):
        self.log_path = Path(directory) / f"{name}.log"
        self.directory, self.command = Path(directory), [str(part) for part in command]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **environment}
        self.process = None

    def start(self):
        """Start it, and return when it is ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_for(self.is_ready)
        except AssertionError:
            self.stop()
            message = f"{self.command[0]} did not start: {self.log[-2000:]}"
            raise AssertionError(message) from None
        return self

    def is_ready(self):
        """Return whether it accepts requests; fail where it has ended."""
        if self.process.poll() is not None:
            message = f"{self.command[0]} ended with {self.process.returncode}: {self.log[-2000:]}"
            raise RuntimeError(message)
        return self.answers()

    def answers(self):
        """Tell whether it answers."""
        return True

    def stop(self, number=signal.SIGTERM):
        """End it by a signal and wait for it; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self):
        """End it at once."""
        self.stop(signal.SIGKILL)

    @property
    def log(self):
        """Its output."""
        return self.log_path.read_text(errors="replace")

    @property
    def rss(self):
        """Its peak memory, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class Jaeger(Program):
    """A real Jaeger."""

    def __init__(self, directory, query_port=None):
        otlp, query, query_grpc, health = free_ports(4)
        query = query_port or query
        super().__init__(
            directory, "jaeger", [BIN / "jaeger", "--config", CONFIG / "jaeger.yaml"],
            JAEGER_OTLP=f"127.0.0.1:{otlp}", JAEGER_QUERY=f"127.0.0.1:{query}", JAEGER_HEALTH=f"127.0.0.1:{health}",
            JAEGER_QUERY_GRPC=f"127.0.0.1:{query_grpc}", JAEGER_DATA=str(Path(directory) / "jaeger"),
        )  # fmt: skip
        self.otlp, self.url, self._health = f"127.0.0.1:{otlp}", f"http://127.0.0.1:{query}", f"http://127.0.0.1:{health}"

    def answers(self):
        """Tell whether it is healthy."""
        return fetch(f"{self._health}/status", timeout=1)[0] == 200

    def traces(self, service="vllm", limit=1000, **more):
        """Return the traces of a service, as its API has them."""
        query = urllib.parse.urlencode({"service": service, "limit": limit, **more})
        return json.loads(fetch(f"{self.url}/api/traces?{query}")[1])["data"] or []


class Kafka(Program):
    """A real Kafka broker with its topic and the settings of compose.yaml, which its image reads as properties."""

    def __init__(self, directory):
        import yaml  # `make demo` installs no YAML library

        broker, controller = free_ports(2)
        self.brokers = f"127.0.0.1:{broker}"
        self._places = {"0.0.0.0:9092": self.brokers, "kafka:9092": self.brokers, "/var/lib/kafka/data": f"{directory}/kafka",
                        "localhost:9093": f"127.0.0.1:{controller}"}  # fmt: skip
        services = yaml.safe_load((CONFIG / "compose.yaml").read_text())["services"]
        settings = {**services["kafka"]["environment"], "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": 0}
        self._properties = Path(directory) / "server.properties"
        self._properties.write_text(
            "".join(
                f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={self._here(str(value))}\n"
                for name, value in settings.items()
            )
        )
        self._topic = self._here(services["topic"]["command"]).split()[1:]
        self._java = ["java", "-Xmx512m", "-cp", f"{BIN.parent / 'kafka'}/*"]
        super().__init__(directory, "kafka", [*self._java, "kafka.Kafka", self._properties])

    def _here(self, text):
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text

    def start(self):
        """Format its directory, start it and create the topic."""
        self._run("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", self._properties)
        super().start()
        self._run("org.apache.kafka.tools.TopicCommand", *self._topic)
        return self

    def _run(self, *arguments):
        command = [*self._java, *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, timeout=60, env=self.environment, cwd=self.directory)

    def answers(self):
        """Tell whether somebody listens."""
        host, _, port = self.brokers.partition(":")
        with socket.create_connection((host, int(port)), timeout=1):
            return True


class Prometheus(Program):
    """A real Prometheus that scrapes the given pages every second."""

    def __init__(self, directory, *targets):
        (port,) = free_ports(1)
        config = Path(directory) / "prometheus.yml"
        listed = json.dumps([urllib.parse.urlsplit(target).netloc for target in targets])
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n"
            f"  - job_name: otel_usage\n    static_configs: [{{targets: {listed}}}]\n"
        )
        super().__init__(
            directory, "prometheus",
            ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
             f"--storage.tsdb.path={directory}/prometheus"],
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"

    def answers(self):
        """Tell whether it is ready."""
        return fetch(f"{self.url}/-/ready", timeout=1)[0] == 200

    def query(self, expression):
        """Return the result of an expression: [{metric, value}]."""
        status, body = fetch(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        answer = json.loads(body)
        if status != 200:
            raise AssertionError(answer["error"])
        return answer["data"]["result"]
