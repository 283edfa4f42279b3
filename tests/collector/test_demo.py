"""`make demo` shows reports in a file and in Jaeger, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[1] / "support" / "demo.py"


def test_demo_shows_the_real_report_and_the_made_up_ones_and_ends_on_ctrl_c(tmp_path, home):
    """On the ports that the documents name; what it collected is deleted."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen([sys.executable, DEMO], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    watchdog = threading.Timer(60, os.killpg, (demo.pid, signal.SIGKILL))
    watchdog.start()
    lines = []
    with demo.stdout:
        for line in demo.stdout:
            lines.append(line.strip())
            if line.startswith("look at  file://"):
                page = Path(line.strip().partition("file://")[2]).read_text()
            if line.startswith("Ctrl-C"):
                time.sleep(0.5)  # nobody is as quick as to interrupt the printing of this line
                os.killpg(demo.pid, signal.SIGINT)
    status = demo.wait()
    watchdog.cancel()

    assert (status, list(tmp_path.glob("otel-usage-demo-*"))) == (0, [])
    assert "<h1>vllm: what is used</h1>" in page
    assert "10,201</dd>" in page
    assert [line for line in lines if line.startswith(("sent", "the file holds", "Jaeger has"))] == [
        "sent      to http://127.0.0.1:4318/v1/traces: accepted",
        next(line for line in lines if line.startswith("the file holds 201 reports: ")),
        "Jaeger has 201 traces of the service vllm",
    ]
