"""Write a figure and its interval, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Unit:
    """What counts are told per: GB, or of small files a file, which is that part *of_a_gb*."""

    name: str
    of_a_gb: float


def unit_of(point: Mapping[str, Any]) -> Unit:
    """Return the unit of the counts of *point*: of 1 KiB files nine system calls a file, not 8.8 million per GB."""
    size = point.get("point", {}).get("transfer_bytes")
    return Unit("file", size / 1e9) if size else Unit("GB", 1.0)


Figure = Mapping[str, Any]  # {"estimate", "low", "high"}, all None where there is none
NONE = "-"
_MOST_DIGITS = 4


def significant(value: float, digits: int = 3) -> str:
    """Write *value* with so many significant digits and no exponent: 0.0213, 3.42, 7629."""
    if value == 0:
        return "0"
    magnitude = abs(value)
    places = digits
    while magnitude >= 1 and places > 0:
        magnitude /= 10
        places -= 1
    while 0 < magnitude < 0.1 and places < 12:
        magnitude *= 10
        places += 1
    return f"{value:.{places}f}"


def with_error(figure: Figure, scale: float = 1.0) -> str:
    """Write a figure with its half-width in percent of itself: "0.344 ±4%". One below 0 (results of older versions) is none."""
    value = figure["estimate"]
    if value is None or value < 0:
        return NONE
    if not value:
        return "0"
    half = 100 * (figure["high"] - figure["low"]) / 2 / abs(value)
    return f"{significant(value * scale)} ±{half:.0f}%" if half < 1000 else f"{significant(value * scale)} ±>1000%"


def percent(value: float) -> str:
    """Write a percentage without a sign of precision it does not have: "34", "3.4", "-0.2"."""
    digits = 0 if abs(value) >= 9.95 else 1
    while digits < _MOST_DIGITS and abs(value) < 100 <= abs(float(f"{value:.{digits}f}")):
        digits += 1  # 99.6 % gone is not all of it
    text = f"{value:.{digits}f}"
    return "0.0" if text == "-0.0" else text


def saving_text(figure: Figure) -> str:
    """Write a saving with its interval: "34 % (31..37)"."""
    if figure["estimate"] is None:
        return NONE
    return f"{percent(figure['estimate'])} % ({percent(figure['low'])}..{percent(figure['high'])})"


def change_text(saving: Figure) -> str:
    """Write a saving of a quantity one wants more of as its gain: "+103 % (78..137)"."""
    if saving["estimate"] is None:
        return NONE
    gain = {"estimate": -saving["estimate"], "low": -saving["high"], "high": -saving["low"]}
    sign = "+" if gain["estimate"] > 0 else ""
    return sign + saving_text(gain)


def unproven(comparison: Mapping[str, Any]) -> str:
    """Write the verdict of a comparison that decides nothing, with its reason: "inconclusive: the interval straddles ..."."""
    reason = comparison.get("reason")
    return f"{comparison['verdict']}: {reason}" if reason else str(comparison["verdict"])
