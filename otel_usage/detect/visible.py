"""Which GPUs an environment variable leaves visible, and in which order, as each vendor's runtime reads it.

All of them take a comma list, stop at the first entry that names no GPU, and keep what stands before it. They differ in
how an entry may be written and in what a GPU that is named twice does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from typing import TypeVar

    Found = TypeVar("Found", bound=Hashable)

DIGITS = "0123456789"
LONGEST_NUMBER = 9


def cuda(value: str, find: Callable[[str], Found | None]) -> list[Found]:
    """Return what the entries of CUDA_VISIBLE_DEVICES name; nothing at all where one is named twice.

    find: what an entry names, None where that is no GPU. The CUDA Programming Guide has the rest; that `0,0` hides
    every GPU it does not say: PyTorch found it so, and its tests are checked against the driver
    (https://github.com/pytorch/pytorch/pull/92315).
    """
    found = list(_until_invalid(value, find))
    return found if len(set(found)) == len(found) else []


def rocr(value: str, uuids: Sequence[str]) -> list[int]:
    """Return the indices that ROCR_VISIBLE_DEVICES names; one that is named twice ends the list.

    uuids: those of all GPUs, "" where one has none. After ROCR-Runtime, core/runtime/amd_filter_device.cpp, whose
    hexadecimal and octal numbers are not taken here.
    """
    upper = [uuid.upper() for uuid in uuids]
    found: list[int] = []
    for index in _until_invalid(value, lambda entry: _index_or_uuid(entry.strip().upper(), upper)):
        if index in found:
            break
        found.append(index)
    return found


def hip(value: str, uuids: Sequence[str]) -> list[int]:
    """Return the indices that HIP_VISIBLE_DEVICES names; one that is named twice counts once.

    uuids: those of the GPUs that ROCR_VISIBLE_DEVICES left. After ROCm's clr, rocclr/device/rocm/rocdevice.cpp.
    """
    return list(dict.fromkeys(_until_invalid(value, lambda entry: _index_or_uuid(entry, uuids))))


def by_leading_number(entry: str, count: int) -> int | None:
    """Return the index below `count` that an entry begins with, as C's strtol reads it.

    The driver takes `1`, ` 1`, `+1`, `-0` and `1abc` for a number (PyTorch's tests, as above). `0x1` is 0 by the same
    rule, as it is for PyTorch; `-1` and `NoDevFiles` name no GPU.
    """
    text = entry.lstrip(" \t\n\v\f\r")
    sign = text[:1] if text[:1] in ("+", "-") else ""
    rest = text[len(sign) :]
    number = rest[: len(rest) - len(rest.lstrip(DIGITS))]
    if not 0 < len(number) <= LONGEST_NUMBER:
        return None
    index = int(sign + number)
    return index if 0 <= index < count else None


def by_uuid(entry: str, uuids: Sequence[str]) -> int | None:
    """Return the index of the one GPU whose UUID begins with the entry; None where none or several do."""
    matches = [index for index, uuid in enumerate(uuids) if uuid.startswith(entry)]
    return matches[0] if entry.startswith("GPU-") and len(matches) == 1 else None


def _index_or_uuid(entry: str, uuids: Sequence[str]) -> int | None:
    if entry.startswith("GPU-"):
        return by_uuid(entry, uuids)
    return next((index for index in range(len(uuids)) if entry == str(index)), None)


def _until_invalid(value: str, find: Callable[[str], Found | None]) -> Iterator[Found]:
    for entry in value.split(","):
        found = find(entry)
        if found is None:
            return
        yield found
