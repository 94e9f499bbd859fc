"""The board: memory that a lane's processes share with the coordinator. While a window is open they communicate only through it.

Words of 8 bytes, each written by one process. The first 256 bytes are the coordinator's; then 256 bytes (two pairs of cache
lines, as CPUs fetch lines in pairs) for each worker, so that no two processes ever write the same line; then, if the lane's
load asks for them, areas that the load lays out, each written by one worker.
An aligned word is stored and loaded whole on every CPU that Linux runs CPython on.
"""

from __future__ import annotations

import mmap

WORDS_PER_BLOCK = 32

# The coordinator's words.
GATE = 0  # the number of the open window, 0 while the gate is closed: senders look at it before every call
NUMBER = 1  # the number of the current or last order
ORDER = 2  # what woken senders are to do
OPENED_NS = 3  # CLOCK_MONOTONIC of the gate's last opening: what a schedule counts from
UNTIL_NS = 4  # when the window is to end: arrivals that are due before belong to it

# Orders.
RUN, VERIFY, REPORT, STOP, FORGET = 1, 2, 3, 4, 5

# A worker's words, counted from its block. Senders write theirs when they park, receivers before they wait again.
PARKED = 0  # the number of the last order this sender has carried out
BYTES = 1  # payload bytes sent or received since the lane was set up
ITERATIONS = 2  # turns of the loop
LAST_NS = 3  # CLOCK_MONOTONIC of the last byte received
MEASURES = 4  # from here on: what the sink measures, in the order it declares; receivers only
COUNTS = 8  # from here on: system calls by kind, in the order the mechanism or sink declares
TRANSFERS = 30  # small files sent or received since the lane was set up
STRANGERS = 31  # connections that a receiver refused since then
MAX_MEASURES, MAX_COUNTS = COUNTS - MEASURES, TRANSFERS - COUNTS


class Board:
    """The shared words of one lane with *workers* workers, and *areas* of *area_words* more for its load.

    Make it before forking; anonymous, so it vanishes with its processes.
    """

    def __init__(self, workers: int, areas: int = 0, area_words: int = 0) -> None:
        self._areas = WORDS_PER_BLOCK * (workers + 1)
        self._count, self._area_words = areas, area_words
        self._apart = -(-area_words // WORDS_PER_BLOCK) * WORDS_PER_BLOCK
        self._memory = mmap.mmap(-1, 8 * (self._areas + areas * self._apart))
        self.words = memoryview(self._memory).cast("q")

    @staticmethod
    def base(worker: int) -> int:
        """Return the index of the first word of worker number *worker*'s block."""
        return WORDS_PER_BLOCK * (worker + 1)

    def counts(self, worker: int, kinds: int) -> list[int]:
        """Return the worker's system calls by kind."""
        start = self.base(worker) + COUNTS
        return self.words[start : start + kinds].tolist()

    def measures(self, worker: int, kinds: int) -> list[int]:
        """Return what the worker's sink has measured, by kind."""
        start = self.base(worker) + MEASURES
        return self.words[start : start + kinds].tolist()

    def area(self, number: int) -> memoryview:
        """Return the words of area *number*; empty where the load has none. No view may outlive the board."""
        start = self._areas + number * self._apart
        return self.words[start : start + self._area_words]

    def areas(self) -> list[list[int]]:
        """Return what has been written into each area; nothing where the load has none."""
        return [self.area(number).tolist() for number in range(self._count)] if self._area_words else []

    def close(self) -> None:
        """Unmap the memory."""
        self.words.release()
        self._memory.close()


class Counters:
    """The coordinator's view of what the *workers* with these numbers have counted on *board* since their lane was set up."""

    def __init__(self, board: Board, workers: range) -> None:
        self._board, self._words, self._workers = board, board.words, workers
        self._bases = [Board.base(worker) for worker in workers]

    def each(self, word: int) -> list[int]:
        """Return what each worker has written into its *word*."""
        words = self._words
        return [words[base + word] for base in self._bases]

    def bytes(self) -> int:
        """Return the payload bytes of all workers together."""
        words = self._words
        return sum(words[base + BYTES] for base in self._bases)

    def last_byte_ns(self) -> int:
        """Return when one of the workers last received bytes (CLOCK_MONOTONIC, ns); 0 where there is none."""
        return max(self.each(LAST_NS), default=0)

    def tallies(self, kinds: int) -> list[list[int]]:
        """Return [bytes, iterations, *kinds* of system calls...] of each worker."""
        words = self._words
        return [
            [words[base + BYTES], words[base + ITERATIONS], *self._board.counts(worker, kinds)]
            for worker, base in zip(self._workers, self._bases, strict=True)
        ]

    def measured(self, kinds: int) -> list[list[int]]:
        """Return what the sink of each worker has measured, by kind."""
        return [self._board.measures(worker, kinds) for worker in self._workers]
