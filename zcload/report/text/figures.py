"""Write a figure and its interval, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figure = Mapping[str, Any]  # {"estimate", "low", "high"}, all None where there is none
NONE = "-"


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
    """Write a figure with its half-width in percent of itself: "0.344 ±4%"."""
    if figure["estimate"] is None:
        return NONE
    value = figure["estimate"]
    if not value:
        return "0"
    half = 100 * (figure["high"] - figure["low"]) / 2 / abs(value)
    return f"{significant(value * scale)} ±{half:.0f}%" if half < 1000 else f"{significant(value * scale)} ±>1000%"


def percent(value: float) -> str:
    """Write a percentage without a sign of precision it does not have: "34", "3.4", "-0.2"."""
    text = f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"
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
