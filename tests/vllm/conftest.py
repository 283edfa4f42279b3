"""The real vLLM runs, with receivers on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess

import pytest
from real_vllm import MODEL, NO_PLUGIN, PYTHON, SCRIPTS, SETTINGS, Deployment, complete, stop
from receiver import HttpReceiver


@pytest.fixture
def project():
    """The project's server: it takes JSON, as vLLM's does."""
    server = HttpReceiver()
    server.reply = (200, {"content-type": "application/json"}, b"{}")
    yield server
    server.close()


@pytest.fixture
def model(tmp_path):
    """A model of two layers with random weights."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(MODEL))
    return folder


@pytest.fixture
def environment(home, project, receiver):
    """The environment of an operator who has a collector, and whose reports to the project stay on this machine."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(SCRIPTS), "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "VLLM_USAGE_STATS_SERVER": f"{project.url}/in",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
    }  # fmt: skip


@pytest.fixture
def run_engine(home, model, environment, project, receiver):
    """Run the LLM class in a process of its own, have its workers report as GPU workers do, and return the traces."""

    def run(context="ENGINE_CONTEXT", *, variables=None, **settings):
        settings = {"model": str(model), **SETTINGS, **settings}
        child = subprocess.run(
            [PYTHON, SCRIPTS / "engine.py", json.dumps(settings), context], env={**environment, **(variables or {})},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert child.returncode == 0, f"{child.stdout[-3000:]}\n{child.stderr[-3000:]}"
        return Deployment(child.stdout, home, project, receiver)

    return run


@pytest.fixture
def arguments(model):
    """The arguments of an API server that serves the model."""
    return ["--model", str(model), "--load-format", "dummy", "--skip-tokenizer-init", "--enforce-eager",
            "--max-model-len", "128", "--dtype", "float32"]  # fmt: skip


@pytest.fixture
def run_server(home, tmp_path, arguments, environment, project, receiver):
    """Serve, complete one prompt, stop by SIGTERM, and return the traces."""

    def run(*more, variables=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [PYTHON, SCRIPTS / "serve.py", "serve", *arguments, "--host", "127.0.0.1", "--port", str(port), *more],
                env={**environment, **(variables or {})}, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            try:
                answered = complete(server, f"http://127.0.0.1:{port}", arguments[1])
            finally:
                stop(server)
        assert answered, log.read_text()[-5000:]
        return Deployment(log.read_text(), home, project, receiver)

    return run


@pytest.fixture
def own_line(home, arguments, environment, project):
    """Return the line that vLLM's own reporter writes for an API server, and delete it."""
    subprocess.run([PYTHON, SCRIPTS / "reference.py", *arguments], env={**environment, **NO_PLUGIN},
                   capture_output=True, timeout=120, check=True)  # fmt: skip
    file = home / ".config" / "vllm" / "usage_stats.json"
    line = file.read_text().strip()
    file.unlink()
    project.received.clear()
    return line
