"""The kinds of value that say which files are sent one by one, and when."""

from __future__ import annotations

from zcload.config.values import Kind
from zcload.model.sizes import format_sizes, parse_sizes
from zcload.model.units import FREQUENCY_PATTERN, SIZE_PATTERN, ValueRefused, format_frequency, parse_frequency, shown

LEAST_RATE, MOST_RATE = 0.1, 1e6  # files a second: fewer are no load, and one core of Linux does not do more


def _parse_rate(found: object) -> float | None:
    rate = parse_frequency(found)
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueRefused(f"{shown(found)} is out of range: expected 0.1/s to 1000000/s, or 'max'")
    return rate


TRANSFER_SIZE = Kind(
    parse_sizes,
    lambda: {
        "type": "string",
        "pattern": f"^(?:{SIZE_PATTERN}|mix: *(?:{SIZE_PATTERN})(?: +(?:{SIZE_PATTERN}))+ *|file: *[^ ].*)$",
        "examples": ["16KiB", "mix: 4KiB 4KiB 1MiB", "file: sizes.txt"],
    },
    format_sizes,
)
TRANSFER_RATE = Kind(
    _parse_rate, lambda: {"type": "string", "pattern": f"^(?:{FREQUENCY_PATTERN})$", "examples": ["max", "500/s"]}, format_frequency
)
