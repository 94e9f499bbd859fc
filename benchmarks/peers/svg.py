"""Draw SVG by hand: small files that follow the reader's light or dark colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"
_LIGHT = {"paper": "#ffffff", "ink": "#1b1f24", "muted": "#59636e", "grid": "#dfe4e9", "a": "#0064b0", "b": "#b84e00"}
_DARK = {"paper": "#0d1117", "ink": "#e6edf3", "muted": "#9aa4af", "grid": "#30363d", "a": "#6cb6ff", "b": "#ffa657"}


def _colours(of: Mapping[str, str]) -> str:
    """Return the rules of all classes in the colours *of* a scheme; plain ones, as not every program that shows SVG knows variables."""
    filled = " ".join(f".{name} {{ fill: {of[name]} }}" for name in ("paper", "ink", "muted"))
    drawn = " ".join(f".{name} {{ stroke: {of[colour]} }}" for name, colour in _STROKES.items())
    full = " ".join(f".{name}.full {{ fill: {of[name]} }}" for name in ("a", "b"))
    return f"{filled} {drawn} {full} .hollow {{ fill: {of['paper']} }}"


_STROKES = {"grid": "grid", "axis": "muted", "a": "a", "b": "b", "m": "muted"}
_TEXT = "text { font-size: 11px } .head { font-weight: bold }"
STYLE = f"{_colours(_LIGHT)} {_TEXT} @media (prefers-color-scheme: dark) {{ {_colours(_DARK)} }}"


class Drawing:
    """A drawing of *width* pixels that grows by the parts that are added; *title* says what it shows, for readers who do not see it."""

    def __init__(self, width: int, title: str) -> None:
        self.width, self.title = width, title
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, style: str = "ink", anchor: str = "start") -> None:
        """Write *words* with their baseline at *y*."""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, points: Sequence[tuple[float, float]], style: str, width: float = 1, dashed: bool = False) -> None:
        """Draw a line through *points*."""
        at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(f'<polyline points="{at}" class="{style}" fill="none" stroke-width="{width:g}"{dashes}/>')

    def dot(self, x: float, y: float, style: str, radius: float = 3.5) -> None:
        """Draw a point."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{style}" stroke-width="1.5"/>')

    def diamond(self, x: float, y: float, style: str, radius: float = 4.5) -> None:
        """Draw a point that differs from a dot without its colour."""
        corners = f"M{x:.1f},{y - radius:.1f}l{radius},{radius}l{-radius},{radius}l{-radius},{-radius}z"
        self._parts.append(f'<path d="{corners}" class="{style}" stroke-width="1.5"/>')

    def save(self, path: Path, height: int) -> None:
        """Write the drawing, *height* pixels high."""
        frame = f'xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height}" viewBox="0 0 {self.width} {height}"'
        parts = "\n".join(self._parts)
        path.write_text(
            f'<svg {frame} font-family="{FONT}" role="img"><title>{escape(self.title)}</title><style>{STYLE}</style>\n'
            f'<rect width="100%" height="100%" class="paper"/>\n{parts}\n</svg>\n',
            encoding="utf-8",
        )


def log_place(value: float, low: float, high: float, left: float, right: float) -> float:
    """Return where *value* lies between *left* and *right* on a logarithmic axis from *low* to *high*, at most at its ends."""
    share = math.log(min(max(value, low), high) / low) / math.log(high / low)
    return left + share * (right - left)
