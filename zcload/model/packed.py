"""Pack many whole numbers into one short text and back, for raw values in windows.jsonl."""

from __future__ import annotations

import base64
import sys
import zlib
from array import array
from collections.abc import Iterable


def pack(values: Iterable[int]) -> str:
    """Return *values* (each within 64 bits) as text: 8 bytes each, little-endian, through zlib (RFC 1950), in base64."""
    numbers = array("q", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(zlib.compress(numbers.tobytes(), 6)).decode("ascii")


def unpack(text: str) -> array[int]:
    """Return the values that `pack` wrote; raises ValueError if it did not."""
    numbers = array("q")
    try:
        numbers.frombytes(zlib.decompress(base64.b64decode(text, validate=True)))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
