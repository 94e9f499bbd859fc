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


def unpack(text: str, most: int = sys.maxsize >> 3) -> array[int]:
    """Return the values that `pack` wrote; raises ValueError if it did not, or if they are more than *most*."""
    numbers, inflater = array("q"), zlib.decompressobj()
    try:
        # A few bytes of text can stand for gigabytes: no more is inflated than what is expected.
        data = inflater.decompress(base64.b64decode(text, validate=True), max(8 * most, 0) + 1)
        numbers.frombytes(data)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not inflater.eof or len(numbers) > most:
        raise ValueError(f"more than {most} values, or a text that was cut off")
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
