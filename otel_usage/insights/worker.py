"""Processes that take plain lines apart, beside the one that reads the files and feeds DuckDB."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections import deque
from typing import IO, TYPE_CHECKING

from otel_usage.facts.fact import Attribute
from otel_usage.insights.lines import Extent
from otel_usage.insights.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST = 4
SIZE = 8
CONTENT, EXTENT = b"c", b"e"
TYPES = {type_.__name__: type_ for type_ in (str, int, float, bool)}
PROGRAM = "import sys; sys.path[:] = {path!r}; from otel_usage.insights.worker import main; main({columns!r})"


def number() -> int:
    """Return how many processes are worth their start on this machine."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


def taken_apart(
    parts: Iterable[bytes | Extent], columns: Sequence[Attribute], processes: int
) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield of each part of files, in their order, the rows of its plain lines and its other lines.

    processes: how many to start; 1 for none.
    """
    if processes == 1 or not sys.executable:
        plain = Plain(columns)
        for part in parts:
            rows, odd = plain.rows(part if isinstance(part, bytes) else part.content())
            yield b"\n".join(rows), odd
        return
    workers = [_started(columns) for _ in range(processes)]
    try:
        busy: deque[subprocess.Popen[bytes]] = deque()
        for place, part in enumerate(parts):
            if len(busy) == processes:
                yield _answer(busy.popleft())
            worker = workers[place % processes]
            if isinstance(part, bytes):
                _send(worker.stdin, CONTENT)
                _send(worker.stdin, part)
            else:
                _send(worker.stdin, EXTENT)
                _send(worker.stdin, json.dumps(part).encode())
            busy.append(worker)
        while busy:
            yield _answer(busy.popleft())
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def main(columns: list[tuple[str, str, str]]) -> None:
    """Answer each part that the standard input tells with its rows and its other lines, until the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who starts it ends it
    gc.disable()  # millions of short-lived lists, and no cycle among them
    plain = Plain([Attribute(name, TYPES[type_], place=place) for name, type_, place in columns])
    while (kind := _received(sys.stdin.buffer)) is not None and (told := _received(sys.stdin.buffer)) is not None:
        rows, odd = plain.rows(Extent(*json.loads(told)).content() if kind == EXTENT else told)
        _send(sys.stdout.buffer, b"\n".join(rows))
        _send(sys.stdout.buffer, b"\n".join(odd))


def _started(columns: Sequence[Attribute]) -> subprocess.Popen[bytes]:
    told = [(one.name, one.type.__name__, one.place) for one in columns]
    program = PROGRAM.format(path=sys.path, columns=told)
    command = [sys.executable, "-I", "-c", program]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 -- our own


def _answer(worker: subprocess.Popen[bytes]) -> tuple[bytes, list[bytes]]:
    """Return a worker's answer. Raises ChildProcessError where it has ended without one."""
    rows, odd = _received(worker.stdout), _received(worker.stdout)
    if rows is None or odd is None:
        message = "a process that reads lines has ended"
        raise ChildProcessError(message)
    return rows, odd.split(b"\n") if odd else []


def _send(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe is not None:
        pipe.write(len(data).to_bytes(SIZE, "big"))
        pipe.write(data)
        pipe.flush()


def _received(pipe: IO[bytes] | None) -> bytes | None:
    """Return what was sent, None at the end."""
    size = pipe.read(SIZE) if pipe is not None else b""
    if pipe is None or len(size) < SIZE:
        return None
    data = pipe.read(int.from_bytes(size, "big"))
    return data if len(data) == int.from_bytes(size, "big") else None
