"""Which GPUs an environment variable makes visible, and in which order, as the runtime of each vendor reads it.

All variables are comma lists. The first invalid entry ends the list, and the entries before it count. The variables
differ in the form of an entry, and in what happens if a GPU is named twice.
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
    """Return the devices that CUDA_VISIBLE_DEVICES names; none if one of them is named twice.

    Source: the CUDA Programming Guide. That `0,0` hides every GPU is not in it, but in PyTorch's tests, which are
    checked against the driver (https://github.com/pytorch/pytorch/pull/92315).

    Args:
        value: The value of the variable.
        find: Returns the device that an entry names; None if the entry is invalid.
    """
    found = list(_until_invalid(value, find))
    return found if len(set(found)) == len(found) else []


def rocr(value: str, uuids: Sequence[str]) -> list[int]:
    """Return the indices of the GPUs that ROCR_VISIBLE_DEVICES names; a GPU that is named twice ends the list.

    Source: ROCR-Runtime, core/runtime/amd_filter_device.cpp. The hexadecimal and octal numbers that it accepts are
    invalid here.

    Args:
        value: The value of the variable.
        uuids: The UUIDs of all GPUs; "" for a GPU without one.
    """
    upper = [uuid.upper() for uuid in uuids]
    found: list[int] = []
    for index in _until_invalid(value, lambda entry: _index_or_uuid(entry.strip().upper(), upper)):
        if index in found:
            break
        found.append(index)
    return found


def hip(value: str, uuids: Sequence[str]) -> list[int]:
    """Return the indices of the GPUs that HIP_VISIBLE_DEVICES names; a GPU that is named twice counts once.

    Source: ROCm's clr, rocclr/device/rocm/rocdevice.cpp.

    Args:
        value: The value of the variable.
        uuids: The UUIDs of the GPUs that ROCR_VISIBLE_DEVICES makes visible.
    """
    return list(dict.fromkeys(_until_invalid(value, lambda entry: _index_or_uuid(entry, uuids))))


def by_leading_number(entry: str, count: int) -> int | None:
    """Return the number at the start of an entry, read as C's strtol does; None if it is not from 0 to `count` - 1.

    The driver accepts `1`, ` 1`, `+1`, `-0` and `1abc` (PyTorch's tests, see `cuda`). `0x1` is 0 by the same rule, and
    in PyTorch. `-1` and `NoDevFiles` are invalid.
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
    """Return the index of the GPU whose UUID begins with the entry; None if no GPU or several GPUs match."""
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
