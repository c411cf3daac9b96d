"""Values of the caller -> text of the wire format. Never raises on a bad value: it is left out, with a warning, because a
profiler must not throw into the training that it watches. Only a list of devices, which is set-up and not training, is refused
with an exception, outside powerprof as inside.

``str`` and f-strings, not ``bytes`` and ``%``: measured, they take two thirds of the time."""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import Iterable, Optional, SupportsFloat, SupportsInt, Union

#: Bytes that a name may hold, every other mapped to ``_``.
_ALLOWED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_TO_NAME = bytes(byte if byte in _ALLOWED else ord("_") for byte in range(256))
_LONGEST_NAME = 64
_LARGEST_COUNT = 2**64 - 1
#: Room that a begin line leaves beside its other parts at their longest (1024 bytes in all).
_LONGEST_DEVICES = 849


class _Names(dict[str, str]):
    """Valid names by what the caller said: ``epoch 3`` is ``epoch_3``. Looked up at every marker, made once."""

    def __missing__(self, said: str) -> str:
        name = str(said).encode("utf-8", "replace").translate(_TO_NAME)[:_LONGEST_NAME].decode() or "_"
        if len(self) >= 1024:  # a trainer that numbers its names must not fill the memory
            self.clear()
        self[said] = name
        return name


names = _Names()


def count(key: str, value: Optional[SupportsInt]) -> str:
    """`` samples=8``; nothing for ``None``. Takes what counts: int, numpy integers, tensors of one element."""
    if type(value) is int and 0 <= value <= _LARGEST_COUNT:
        return f" {key}={value}"
    if value is None:
        return ""
    try:
        whole = int(value)
        if whole == value and 0 <= whole <= _LARGEST_COUNT:
            return f" {key}={whole}"
    except Exception:  # whatever a stranger's type raises
        pass
    return _left_out(key, value)


def number(key: str, value: SupportsFloat) -> str:
    """`` value=0.25``: the shortest text that reads back as the same number; nothing for what is no number."""
    try:
        return f" {key}={float(value)!r}"
    except Exception:  # whatever a stranger's type raises
        return _left_out(key, value)


def device_list(devices: Union[str, int, Iterable[Union[str, int]]]) -> str:
    """``"0,1"``, ``0`` or ``[0, 1]`` as the wire has it."""
    text = str(devices) if isinstance(devices, (str, int)) else ",".join(map(str, devices))
    printable = text.isascii() and text.isprintable() and " " not in text
    if not printable or len(text) > _LONGEST_DEVICES or not all(text.split(",")):
        raise ValueError(f"devices={text!r} is not a list of devices; hint: indices or UUIDs joined by commas")
    return text


#: Keys of which standard error was told, where a warning would have been an exception.
_told: set[str] = set()


def _left_out(key: str, value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # whatever a stranger's type raises
        text = f"<{type(value).__name__}>"
    message = f"powerprof: {key}={text} is not a number that can be recorded; it was left out"
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=4)
    except Exception:  # a filter makes errors of warnings (`-W error`), and the trainer must not meet it
        if key not in _told:
            _told.add(key)
            with contextlib.suppress(Exception):
                print(message, file=sys.stderr)
    return ""
