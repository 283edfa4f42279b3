"""The content of the pages: blocks of code, files in them, tables, and commands with their output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = "/home/you"


def read(name):
    """Return the text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text, language):
    """Return the blocks of code in that language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def write_files(text, folder):
    """Write each block whose first line is the path of a file, `# myengine/usage.py`, below a folder; return the paths."""
    found = {block.partition("\n")[0].removeprefix("# "): block for block in blocks(text, "(?:python|toml)")}
    for path, block in found.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(block, encoding="utf-8")
    return list(found)


def rows(text, *titles):
    """Return the cells of the table whose columns have these titles, without the marks of code around a cell."""
    head = f"| {' | '.join(titles)} |\n"
    body = text.partition(head)[2].partition("\n\n")[0]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in body.splitlines()[1:]]


def session(text, command):
    """Return the (command, output) pairs of the block that begins with a command; the output () is an empty one."""
    whole = [block.replace("\\\n    ", "") for block in blocks(text, "console")]
    block = next(block for block in whole if re.match(rf"\$ {re.escape(command)}\b", block))
    parts = [part.partition("\n") for part in block.removeprefix("$ ").split("\n$ ")]
    return [(line, tuple(printed.splitlines())) for line, _, printed in parts]


def run(command, folder, **environment):
    """Run a command of a page in a folder, and return its status and the lines of its output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, shell=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False, env={**os.environ, "PATH": path, **environment})  # fmt: skip
    return done.returncode, tuple(done.stdout.replace(os.environ["HOME"], HOME).splitlines())


def expected(shown, printed):
    """Return the output that a page shows, with the real text in place of each `...`, in a line or as lines."""
    text = re.escape("\n".join(shown)).replace(re.escape("\n..."), "(?:\n.*)*?").replace(re.escape("..."), ".*")
    whole = "\n".join(printed)
    return printed if re.fullmatch(text, whole) else shown
