"""A table of a report: headers and rows of text, before a format draws it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of text; a cell may hold several lines. *section* is the name by which the full report shows it alone."""

    title: str
    headers: list[str]
    rows: list[list[str]]
    section: str = ""
