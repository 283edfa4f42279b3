"""The real vLLM in an environment of its own: its place, a model of two layers, and the traces of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "vllm" / "scripts"
PYTHON = Path(__file__).parents[2] / ".cache" / "vllm" / "bin" / "python"
MODEL = {
    "architectures": ["OPTForCausalLM"], "model_type": "opt", "vocab_size": 128, "hidden_size": 128,
    "word_embed_proj_dim": 128, "ffn_dim": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_position_embeddings": 128, "dtype": "float32", "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1,
}  # fmt: skip
SETTINGS = {
    "load_format": "dummy", "skip_tokenizer_init": True, "enforce_eager": True, "max_model_len": 128, "dtype": "float32",
}  # fmt: skip
NO_PLUGIN = {"VLLM_PLUGINS": ""}
TWO_PROCESSES = {"VLLM_CPU_OMP_THREADS_BIND": "0|1"}


class Deployment:
    """What one run of vLLM left: its output, the local file, and the received requests."""

    def __init__(self, output, home, project, collector):
        self.output = output
        file = home / ".config" / "vllm" / "usage_stats.json"
        self.lines = file.read_text().splitlines() if file.exists() else []
        self.files = sorted(path.name for path in file.parent.iterdir()) if file.parent.exists() else []
        self.project, self.collector = list(project.received), list(collector.received)

    @property
    def result(self):
        """The last line that scripts/engine.py printed."""
        return json.loads(self.output.strip().splitlines()[-1])

    @property
    def traces(self):
        """Every place where a report could be."""
        return (self.lines, self.files, self.project, self.collector)


def complete(server, url, model):
    """Wait for the server and return the tokens with which it completes a prompt, or None if it never answers."""
    body = {"model": model, "prompt": [1, 2, 3], "max_tokens": 4, "detokenize": False, "return_token_ids": True}
    asked = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    end = time.monotonic() + 240
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(asked, timeout=60) as reply:
                return json.load(reply)["choices"][0]["token_ids"]
        except OSError:
            time.sleep(0.5)
    return None


def stop(server):
    """Stop it by SIGTERM; a server that ignores that is killed, which fails the test."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        raise
