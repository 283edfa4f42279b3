"""Which patterns a fact may have: those that Python and a collector, whose expressions are RE2's, read in one way.

Not loaded by `import otel_usage`, since it needs `re`.
"""

from __future__ import annotations

import re

MOST_COPIES = 1000  # RE2's: the counts of a repetition and of those around it, multiplied
ESCAPED = r"\\(?:x[0-9A-Fa-f]{2}|[dDwWsStnrfva]|[^0-9A-Za-z])"
# In a class Python warns of what may become an operation on sets, and RE2 reads [[:alpha:]] as a class of its own.
CLASS = rf"\[\^?\]?(?:{ESCAPED}|(?!--|&&|~~|\|\|)[^\\\[\]])*\]"
TOKEN = re.compile(
    rf"(?P<open>\((?:\?:|(?!\?)))|(?P<close>\))|(?P<count>\{{(?P<least>[0-9]+)(?P<more>,(?P<most>[0-9]*))?\}}\??(?!\+))"
    rf"|(?P<repeat>[*+?]\??(?!\+))|(?P<one>{ESCAPED}|\\[Ab]|{CLASS}|[^\\()\[*+?{{])",
    re.ASCII,
)


def problem(pattern: str) -> str | None:
    """Say why a pattern can't be used, in words that follow its name, or None.

    Python's expressions have more than RE2's, and read some of it otherwise: what both have is enough to name values.
    The cost is linear in the pattern.
    """
    if not pattern.isprintable():
        return "must hold characters that can be seen; write others as \\x and two digits"
    if (at := _unknown(pattern)) is not None:
        return (
            f"can't be read by a collector (RE2) as Python reads it, from {pattern[at : at + 12]!r} on: use "
            "characters, [classes], (groups), |, *, +, ? and {n,m} alone, whose counts multiply to at most 1000"
        )
    try:
        re.compile(pattern, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return None


def _unknown(pattern: str) -> int | None:
    """Return where something begins that the two don't read in one way, or None."""
    at, atom = 0, 1  # how many copies RE2 makes of the innermost part of what was last read
    groups = [1]  # the same for each open group, so far
    while at < len(pattern):
        token = TOKEN.match(pattern, at)
        if token is None:
            return at
        if token["open"]:
            groups.append(1)
        elif token["close"]:
            atom = groups.pop() if len(groups) > 1 else 1
        elif token["count"]:
            least, most = token["least"], token["most"] or token["least"]
            if len(least) > len(str(MOST_COPIES)) or len(most) > len(str(MOST_COPIES)):
                return at
            atom *= max(int(most), 1)
            if atom > MOST_COPIES:
                return at
        elif token["one"]:
            atom = 1
        groups[-1] = max(groups[-1], atom)
        at = token.end()
    return None
