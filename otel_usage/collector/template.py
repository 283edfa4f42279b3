"""Templates, and just enough YAML to fill them: blocks under the place that names them, and quoted text."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONG = 500
WIDTH = 110
PLACE = re.compile(r"^( *)\{\{ (\w+) \}\}$", re.MULTILINE)
WORD = re.compile(r"\{\{ (\w+) \}\}")


def text(name: str) -> str:
    """Return a template by its file name."""
    return (files("otel_usage.collector") / "templates" / name).read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str | Sequence[str]]) -> str:
    """Return a template with its places filled: a list as items below each other, a text as it is.

    A place alone on its line gives its indentation to what stands there. Raises KeyError for a part that is not given.
    """

    def block(found: re.Match[str]) -> str:
        indent, part = found[1], parts[found[2]]
        text = part.rstrip("\n") if isinstance(part, str) else "\n".join(f"- {quoted(item)}" for item in part)
        return "\n".join(indent + line if line else line for line in text.split("\n"))

    def word(found: re.Match[str]) -> str:
        part = parts[found[1]]
        return part if isinstance(part, str) else ", ".join(part)

    return WORD.sub(word, PLACE.sub(block, template))


def quoted(text: str) -> str:
    """Return a text as a scalar: as it is where it may, else quoted, and over several lines where it is very long."""
    if len(text) > LONG:
        return '"' + "\\\n    ".join(_folded(text.replace("\\", "\\\\").replace('"', '\\"'))) + '"'
    plain = re.fullmatch(r"[A-Za-z][^#:]*", text) and not text.endswith(" ")
    return text if plain else "'" + text.replace("'", "''") + "'"


def _folded(text: str) -> list[str]:
    """Cut a text into lines after a bar or a space: none ends within an escape, and none begins with a space."""
    lines = [""]
    for piece in re.findall(r"[^| ]*[| ]*", text):
        if len(lines[-1]) + len(piece) > WIDTH:
            lines.append("")
        lines[-1] += piece
    return lines
