"""Parse and format sizes, rates, durations and percentages, strictly: parse(format(x)) == x.

A value that is not exactly what is expected is refused with a ValueRefused, never guessed: a bare "64K" could mean 64 KiB or 64 kB.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from fractions import Fraction

LIMIT = 2**63  # bytes, bit/s or ns: what the kernel's signed 64-bit fields hold
LONGEST_TEXT = 64  # no number in range needs more characters, and int() itself refuses very long ones

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_SIZE_UNITS = {f"{prefix}B": factor for prefix, factor in (_DECIMAL | _BINARY).items()}
_BIT_RATE_UNITS = {f"{prefix}bit/s": factor for prefix, factor in _DECIMAL.items()}
_RATE_UNITS = _BIT_RATE_UNITS | {f"{unit}/s": 8 * factor for unit, factor in _SIZE_UNITS.items()}
_TIME_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # in ns


def _alternatives(units: dict[str, int]) -> str:
    return "|".join(re.escape(unit) for unit in units)


# Also the patterns of the JSON Schema, whose regular expressions (ECMA 262) know everything used here.
SIZE_PATTERN = f"{_NUMBER} ?(?:{_alternatives(_SIZE_UNITS)})"
RATE_PATTERN = f"max|{_NUMBER} ?(?:{_alternatives(_RATE_UNITS)})"
DURATION_PATTERN = "(?=.)" + "".join(f"(?:{_NUMBER}{unit})?" for unit in _TIME_UNITS)
PERCENT_PATTERN = f"{_NUMBER} ?%"
FREQUENCY_PATTERN = f"max|{_NUMBER}/s"

SIZE_EXPECTED = "expected a size such as '64KiB', '2.4GB' or '512B'"
FILES_A_SECOND = (
    "files a second: workload.transfer_rate, with transfer = 'per-file' and arrivals = 'poisson'; see `zcload init small-files`"
)
RATE_EXPECTED = "expected a rate such as '10Gbit/s', '500MB/s' or 'max'"
DURATION_EXPECTED = "expected a duration such as '250ms', '2s' or '1m30s'"
PERCENT_EXPECTED = "expected a percentage such as '3%'"
FREQUENCY_EXPECTED = "expected a number a second such as '500/s', or 'max'"


class ValueRefused(ValueError):
    """A value that cannot be taken: *what* was found and what is expected; *remedy* is the value that was probably meant."""

    def __init__(self, what: str, remedy: str | None = None) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what} ({remedy})" if remedy else what)


def shown(value: object) -> str:
    """Write any *value* for an error message: short, on one line, as a config file would have it."""
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 3] + "...")
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < LIMIT else "a number beyond 64 bits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    return "a table" if isinstance(value, dict) else f"a {type(value).__name__}"


def parse_size(value: object) -> int:
    """Return the bytes that *value* ("64KiB", "2.4GB", "512B") stands for; raises ValueRefused."""
    return _whole(value, "size", _SIZE_UNITS, SIZE_EXPECTED, "bytes")


def parse_rate(value: object) -> int | None:
    """Return the bit/s that *value* ("10Gbit/s", "500MB/s") stands for, None for "max"; raises ValueRefused."""
    if value == "max":
        return None
    if isinstance(value, str) and re.fullmatch(f"{_NUMBER} ?(files?)?/s", value):
        raise ValueRefused(f"{shown(value)} is not a rate: {RATE_EXPECTED}", FILES_A_SECOND)
    rate = _whole(value, "rate", _RATE_UNITS, RATE_EXPECTED, "bit/s")
    if rate == 0:
        raise ValueRefused(f"{shown(value)} moves nothing: {RATE_EXPECTED}")
    return rate


def parse_duration(value: object) -> float:
    """Return the seconds that *value* ("250ms", "1m30s") stands for; raises ValueRefused for parts finer than a nanosecond too."""
    text = _text(value, "duration", DURATION_EXPECTED, ("s", "ms"))
    match = re.fullmatch(DURATION_PATTERN, text)
    parts = re.findall(f"({_NUMBER})([a-z]+)", text)
    if not match or any("." in number for number, _ in parts[:-1]):
        raise ValueRefused(f"{shown(value)} is not a duration: {DURATION_EXPECTED}", _near_miss(text, _TIME_UNITS))
    nanoseconds = sum(Fraction(number) * _TIME_UNITS[unit] for number, unit in parts)
    if nanoseconds >= LIMIT:
        raise ValueRefused(f"{shown(value)} is too long: {DURATION_EXPECTED}")
    if nanoseconds != int(nanoseconds):
        raise ValueRefused(f"{shown(value)} is finer than a nanosecond: {DURATION_EXPECTED}")
    return float(Fraction(nanoseconds) / 10**9)


def parse_percent(value: object) -> float:
    """Return the fraction that *value* ("3%" is 0.03) stands for; raises ValueRefused."""
    text = _text(value, "percentage", PERCENT_EXPECTED, ("%",))
    if not re.fullmatch(PERCENT_PATTERN, text):
        raise ValueRefused(f"{shown(value)} is not a percentage: {PERCENT_EXPECTED}", _near_miss(text, {"%": 1}))
    fraction = Fraction(text[:-1].rstrip()) / 100
    if fraction >= LIMIT:
        raise ValueRefused(f"{shown(value)} is too large: {PERCENT_EXPECTED}")
    return float(fraction)


def parse_frequency(value: object) -> float | None:
    """Return the times a second that *value* ("500/s", "2.5/s") stands for, None for "max"; raises ValueRefused."""
    if value == "max":
        return None
    text = _text(value, "frequency", FREQUENCY_EXPECTED, ("/s",))
    if not re.fullmatch(f"{_NUMBER}/s", text):
        raise ValueRefused(f"{shown(value)} is not a frequency: {FREQUENCY_EXPECTED}", _near_miss(text, {"/s": 1}))
    return float(text[:-2])


def format_frequency(per_s: float | None) -> str:
    """Write *per_s* (None for no limit) so that parse_frequency returns it again."""
    if per_s is None:
        return "max"
    text = f"{Decimal(repr(float(per_s))):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "/s"


def format_size(size: int) -> str:
    """Write *size* bytes so that parse_size returns it again: the shortest exact text, "64KiB" or "2.4GB"."""
    return _shortest(size, _SIZE_UNITS)


def format_rate(rate_bps: float | None) -> str:
    """Write *rate_bps* (whole bit/s, None for no limit) so that parse_rate returns it again; raises ValueRefused for a part of a bit."""
    if rate_bps is None:
        return "max"
    if rate_bps != int(rate_bps):
        raise ValueRefused(f"{rate_bps} bit/s is not a whole number of bits per second")
    return _shortest(int(rate_bps), _BIT_RATE_UNITS)


def format_duration(seconds: float) -> str:
    """Write *seconds* so that parse_duration returns them again; raises ValueRefused where whole nanoseconds cannot say them."""
    nanoseconds = round(Fraction(seconds) * 10**9)
    if nanoseconds < 0 or float(Fraction(nanoseconds, 10**9)) != seconds:
        raise ValueRefused(f"{seconds} s is not a positive whole number of nanoseconds")
    text = ""
    rest = nanoseconds
    for unit in ("h", "m"):
        count, rest = divmod(rest, _TIME_UNITS[unit])
        text += f"{count}{unit}" if count else ""
    # Below a minute one unit with decimals reads best: 1.5s rather than 1s500ms.
    for unit in ("s", "ms", "us", "ns"):
        if rest >= _TIME_UNITS[unit]:
            return text + f"{Decimal(rest) / _TIME_UNITS[unit]:f}{unit}"
    return text or "0s"


def format_percent(fraction: float) -> str:
    """Write *fraction* (0.03 is "3%") so that parse_percent returns it again."""
    text = f"{Decimal(repr(float(fraction))) * 100:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def human_bytes(count: float) -> str:
    """Write *count* bytes for people: "64 KiB" where a binary unit says it exactly, else three digits of a decimal one, "2.4 GB"."""
    exact = [unit for unit, factor in _BINARY.items() if count >= factor and count % factor == 0 and count / factor < 1024]
    if exact:
        return f"{int(count) // _BINARY[exact[-1]]} {exact[-1]}B"
    return _three_digits(count, "B")


def counted(count: int, noun: str) -> str:
    """Write how many of something there are: "1 block", "3 blocks"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def human_rate(rate_bps: float | None) -> str:
    """Write *rate_bps* for people, in decimal units: "12.3 Gbit/s"; None is "max"."""
    return "max" if rate_bps is None else _three_digits(rate_bps, "bit/s")


def human_duration(seconds: float) -> str:
    """Write *seconds* for people: "35 us", "250 ms", "1.25 s", "1 min 30 s", "2 h 5 min"."""
    if round(seconds) >= 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if seconds >= 60:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if float(f"{seconds * factor:.3g}") >= 1:
            return f"{_plain(seconds * factor)} {unit}"
    return f"{_plain(seconds * 1e9)} ns"


def _text(value: object, noun: str, expected: str, units: Collection[str]) -> str:
    """Return *value* if it is text of a sane length; raises ValueRefused, for a bare number with the *units* it may have wanted."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LIMIT:
        raise ValueRefused(f"{shown(value)} has no unit: {expected}", _with_units(value, units))
    if (isinstance(value, (int, float)) and value < 0) or (isinstance(value, str) and re.match(rf"\s*-\s*{_NUMBER}", value)):
        raise ValueRefused(f"{shown(value)} is negative: {expected}")
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueRefused(f"{shown(value)} is not a {noun}: {expected}")
    return value


def _with_units(number: float, units: Collection[str]) -> str:
    candidates = [f"{number}{unit}" for unit in units]
    if "B" in units and isinstance(number, int):
        candidates.append(format_size(number))
    if "%" in units and number < 1:
        candidates.insert(0, format_percent(number))
    return " or ".join(f"'{candidate}'" for candidate in dict.fromkeys(candidates)) + "?"


def _whole(value: object, noun: str, units: dict[str, int], expected: str, base: str) -> int:
    text = _text(value, noun, expected, ("B",) if base == "bytes" else ("bit/s", "MB/s"))
    match = re.fullmatch(f"({_NUMBER}) ?({_alternatives(units)})", text)
    if not match:
        raise ValueRefused(f"{shown(value)} is not a {noun}: {expected}", _near_miss(text, units))
    number = Fraction(match[1]) * units[match[2]]
    if number >= LIMIT:
        raise ValueRefused(f"{shown(value)} is too large, 2^63 {base} or more: {expected}")
    if number != int(number):
        raise ValueRefused(f"{shown(value)} is not a whole number of {base}: {expected}")
    return int(number)


def _near_miss(text: str, units: dict[str, int]) -> str | None:
    """Guess what *text*, which did not parse, was meant to be: only ever offered, never taken."""
    match = re.fullmatch(rf"\s*\+?({_NUMBER})\s*([A-Za-zµ%/]*)\s*", text)
    if not match:
        return None
    number, unit = match[1], match[2]
    names = [unit] if unit in units else _times_like(unit) if "h" in units else _sizes_like(unit, units)
    return " or ".join(f"'{number}{name}'" for name in names) + "?" if names else None


_TIME_WORDS = {
    "h": ("hr", "hrs", "hour", "hours"),
    "m": ("min", "mins", "minute", "minutes"),
    "s": ("sec", "secs", "second", "seconds"),
    "ms": ("msec",),
    "us": ("µs", "usec"),
    "ns": ("nsec",),
}


def _times_like(unit: str) -> list[str]:
    return [name for name, words in _TIME_WORDS.items() if unit.lower() in (name, *words)]


def _sizes_like(unit: str, units: dict[str, int]) -> list[str]:
    """Return the *units* of a size or rate that a wrong *unit* may stand for, binary before decimal."""
    match = re.fullmatch(r"(?i:([kmgtpe]?)(i?)(bits?|bytes?|b)?(?:/s|ps|/sec)?)", unit)
    if not match or not unit:
        return []
    prefix, binary, kind = (part or "" for part in match.groups())
    decimal = "k" if prefix in ("k", "K") else prefix.upper()
    if "bit/s" not in units:
        kinds = ["B"]
    elif not kind:
        kinds = ["bit/s", "B/s"]
    else:
        kinds = ["bit/s" if kind == "b" or kind.lower().startswith("bit") else "B/s"]
    candidates = [f"{prefix.upper()}i{kind}" for kind in kinds if prefix]
    # "64Kib" and "64KIB" say binary; "64K", "64KB" and "64kb" leave it open.
    if not binary:
        candidates += [f"{decimal}{kind}" for kind in kinds]
    return [candidate for candidate in candidates if candidate in units]


def _shortest(number: int, units: dict[str, int]) -> str:
    if not 0 <= number < LIMIT:
        raise ValueRefused(f"{number} is not within 0 and 2^63")
    texts = [f"{number}{next(iter(units))}"]
    for unit, factor in units.items():
        # Three decimals are as many as a reader takes in; the bare unit says every other number.
        thousandths, rest = divmod(number * 1000, factor)
        if number >= factor and rest == 0:
            texts.append(f"{_decimal_text(thousandths)}{unit}")
    return min(reversed(texts), key=len)


def _decimal_text(thousandths: int) -> str:
    whole, part = divmod(thousandths, 1000)
    return f"{whole}.{part:03d}".rstrip("0") if part else str(whole)


def _three_digits(number: float, unit: str) -> str:
    for prefix, factor in reversed(_DECIMAL.items()):
        if float(f"{number / factor:.3g}") >= 1 or not prefix:
            return f"{_plain(number / factor)} {prefix}{unit}"
    raise AssertionError("the empty prefix fits every number")


def _plain(number: float) -> str:
    """Write *number* with three significant digits, without an exponent up to 1000."""
    return f"{number:.3g}" if abs(number) < 999.5 else f"{number:.0f}"
