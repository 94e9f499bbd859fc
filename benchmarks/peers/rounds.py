"""Kept rounds of the comparison with other programs: a line of JSON for each pair, which says what was measured and how."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from programs import Load, Run

from zcload.model.units import format_size


@dataclass(frozen=True)
class Case:
    """A mechanism of zcload's and the *mode* of the *peer* that it is compared with. *one_chunk*: zcload's file has a chunk a sender.

    *title* is the heading of its table: what both programs do.
    """

    mechanism: str
    peer: str
    mode: str
    title: str
    one_chunk: bool = False
    options: Mapping[str, bool] = field(default_factory=dict)


CASES = {
    "one chunk": Case("sendfile", "iperf3", "-Z", "The same chunk again and again: `sendfile` against `iperf3 -Z`", one_chunk=True),
    "read_send": Case("read_send", "iperf3", "-F FILE", "A whole file, copied by the sender: `read_send` against `iperf3 -F`"),
    "sendfile": Case("sendfile", "iperf3", "-Z", "A whole file against one chunk: `sendfile` against `iperf3 -Z`"),
    "netperf": Case("sendfile", "netperf", "whole file", "A whole file on both sides: `sendfile` against netperf's TCP_SENDFILE"),
    "neper": Case(
        "mmap_send",
        "neper",
        "one buffer",
        "One buffer again and again: `mmap_send` from a kept mapping against neper's tcp_stream",
        one_chunk=True,
        options={"keep_mapping": True},
    ),
}


@dataclass(frozen=True)
class Cell:
    """What is compared: a case (its name) at a chunk (bytes), with so many senders and receivers, into a sink."""

    case: str
    sink: str
    chunk: int
    senders: int
    receivers: int = 1


@dataclass(frozen=True)
class Conditions:
    """How it was measured: sizes in bytes, lengths in seconds, the peer's version and the kernel's, and a note."""

    file_size: int
    file_pages: str
    socket_buffer: int
    seconds: int
    window: float
    peer: str
    kernel: str = os.uname().release
    note: str = ""  # what worked beside it

    def __str__(self) -> str:
        window = "" if self.window == self.seconds else f" in windows of {self.window:g} s"
        sizes = f"file of {format_size(self.file_size)} in {self.file_pages} pages, socket buffers of {format_size(self.socket_buffer)}"
        return f"{sizes}, {self.seconds} s a program and round{window}, {self.peer}, Linux {self.kernel}{self.note and f', {self.note}'}"

    def load(self, cell: Cell, path: str) -> Load:
        """Return what the peer of *cell* is asked for with the file at *path*."""
        sizes = (cell.chunk, cell.senders, self.seconds, self.socket_buffer)
        return Load(CASES[cell.case].mode, *sizes, path, self.file_size, cell.sink == "discard")


@dataclass(frozen=True)
class Pair:
    """One round of a cell: zcload's run and the peer's, one after the other."""

    cell: Cell
    conditions: Conditions
    zcload: Run
    peer: Run


Results = Mapping[tuple[Cell, Conditions], Sequence[Pair]]


def read(path: Path) -> list[Pair]:
    """Return the pairs kept at *path*, none where there is no file yet; exits if a line is no pair."""
    pairs = []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        try:
            words = json.loads(line)
            runs = (Run(**words[name]) for name in ("zcload", "peer"))
            pairs.append(Pair(Cell(**words["cell"]), Conditions(**words["conditions"]), *runs))
        except (ValueError, TypeError, KeyError) as error:
            sys.exit(f"{path}:{number}: not a round of this benchmark ({error!r}); name another file: --keep FILE")
    return pairs


def add(path: Path, pair: Pair) -> None:
    """Add *pair* to the file at *path*, at once: what was measured is kept when the series is ended."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(pair)) + "\n")


def grouped(pairs: Sequence[Pair]) -> Results:
    """Return the *pairs* of each cell, those of other conditions apart, in an order that tables can have."""
    results: dict[tuple[Cell, Conditions], list[Pair]] = defaultdict(list)
    for pair in pairs:
        results[pair.cell, pair.conditions].append(pair)
    names = [*CASES]
    return dict(
        sorted(
            results.items(),
            key=lambda item: (
                names.index(item[0][0].case),
                item[0][0].sink == "discard",
                item[0][0].senders,
                item[0][0].receivers,
                item[0][0].chunk,
            ),
        )
    )
