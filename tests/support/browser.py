"""A headless Chromium that may only talk to a server of the test's own, which is its proxy as well and sees it all."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--no-first-run", "--no-default-browser-check", "--metrics-recording-only",
    "--disable-features=OptimizationHints,MediaRouter,Translate", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip
# Looks at the page once it stands; a page's own policy would keep it from running.
PROBE = """<script>addEventListener("load", () => {
  const one = document.querySelector("h1"), style = getComputedStyle(document.body);
  document.title = JSON.stringify({width: document.documentElement.scrollWidth, window: innerWidth, paper: style.backgroundColor, ink: style.color});
})</script>"""


def look(page, *, width=1280, height=900, dark=False, probe=False):
    """Open a page's text in Chromium; return its document, the paths that were asked for, and what the console has."""
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    text = policy.sub(PROBE, page, count=1) if probe else page
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_CONNECT = do_POST = do_GET  # noqa: N815 -- named by what it stands in for

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/page.html"
    colours = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    with tempfile.TemporaryDirectory() as profile:
        try:
            done = subprocess.run(
                [shutil.which("chromium"), *FLAGS, *colours, f"--user-data-dir={profile}", f"--window-size={width},{height}",
                 f"--proxy-server=127.0.0.1:{server.server_port}", "--proxy-bypass-list=<-loopback>", "--dump-dom", url],
                capture_output=True, text=True, timeout=90, check=True, env={"PATH": "/usr/bin:/bin", "HOME": profile},
            )  # fmt: skip
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, [path for path in asked if "page.html" in path or not _own(path)], console


def _own(path):
    """Tell whether Chromium itself asks, for its own purposes."""
    return any(name in path for name in ("google", "gvt1", "gstatic"))


class Figures(HTMLParser):
    """The charts of a page: for each its title, and its rows: the label, then the values of its cells."""

    def __init__(self, page):
        super().__init__()
        self.charts, self._within, self._text = {}, [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "article":
            self._rows = []
        elif tag == "tr":
            self._row = []
        elif tag == "data":
            self._row.append(float(given["value"]))
        elif tag in ("h3", "th"):
            self._text = ""
            self._scope = given.get("scope")

    def handle_endtag(self, tag):
        if tag == "h3":
            self.charts[self._text] = self._rows
        elif tag == "th" and self._scope == "row":
            self._row.insert(0, self._text)
        elif tag == "tr" and len(self._row) > 1:
            self._rows.append(self._row)

    def handle_data(self, data):
        self._text += data
