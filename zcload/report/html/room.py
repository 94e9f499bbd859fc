"""Cut what grows with the points of a study to the room that the page has: the first of a list, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from zcload.report.tables.table import Table

_CELL_BYTES = 24  # of markup around each cell


def table_bytes(table: Table) -> int:
    """Return about how many bytes *table* takes on the page."""
    return sum(map(_row_bytes, table.rows))


def _row_bytes(row: Sequence[str]) -> int:
    return sum(len(cell) + _CELL_BYTES for cell in row)


def _that_fit(sizes: Iterable[int], room: int) -> int:
    """Return how many of the first have room, one at least."""
    return max(1, sum(total <= room for total in accumulate(sizes)))


def first_rows(table: Table, room: int) -> Table:
    """Return *table* with the rows that fit into *room* bytes; a last one says how many more there are."""
    count = _that_fit(map(_row_bytes, table.rows), room)
    if count >= len(table.rows):
        return table
    return replace(table, rows=[*table.rows[:count], [f"and {len(table.rows) - count} more", *[""] * (len(table.headers) - 1)]])


def first_lines(lines: Sequence[str], room: int) -> list[str]:
    """Return the *lines* that fit into *room* bytes; a last one says how many more there are, and what prints them."""
    count = _that_fit((len(line) + _CELL_BYTES for line in lines), room)
    if count >= len(lines) - 1:  # a line that says "1 more" would take the room of that one
        return [*lines]
    return [*lines[:count], f"and {len(lines) - count} more: zcload report RESULT --full prints them"]
