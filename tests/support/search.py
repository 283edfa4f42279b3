"""One search finds what must not be there: a secret, an id or an address, in every form that a program gives it."""

from __future__ import annotations

import base64
import ipaddress
import re


def seen(data, secrets):
    """Return the names of those secrets, given as text by name, that are in some bytes."""
    return {name for name, text in secrets.items() if any(form in data for form in forms(text))}


def seen_below(directory, *marks):
    """Return those secrets that are in a file below a directory."""
    contents = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    return {mark for content in contents for mark in seen(content, {mark: mark for mark in marks})}


def forms(text):
    """Return a text as it is, in base64, in hexadecimal digits, and as bytes if it is an address or hexadecimal digits."""
    plain = text.encode()
    # Base64 writes three bytes as four letters, so that the form depends on the text's offset.
    encoded = [base64.b64encode(bytes(shift) + plain)[(0, 2, 3)[shift] : -4].rstrip(b"=") for shift in range(3)]
    packed = _packed(text)
    return [plain, plain.hex().encode(), plain.hex().upper().encode(), *encoded, *(form for one in packed for form in (one, one.hex().encode()))]


def _packed(text):
    digits = re.sub(r"[:-]", "", text)
    if re.fullmatch(r"([0-9a-f]{2}){6,}", digits):
        return [bytes.fromhex(digits)]
    try:
        return [ipaddress.ip_address(text).packed]
    except ValueError:
        return []
