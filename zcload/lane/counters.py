"""The coordinator's view of the board: what the workers of one role have counted since their lane was set up."""

from __future__ import annotations

from zcload.lane.board import BYTES, ITERATIONS, LAST_NS, Board


class Counters:
    """The blocks of the *workers* with these numbers on *board*."""

    def __init__(self, board: Board, workers: range) -> None:
        self._board, self._words, self._workers = board, board.words, workers
        self._bases = [Board.base(worker) for worker in workers]

    def each(self, word: int) -> list[int]:
        """Return what each worker has written into its *word*."""
        words = self._words
        return [words[base + word] for base in self._bases]

    def bytes(self) -> int:
        """Return the payload bytes of all."""
        words = self._words
        return sum(words[base + BYTES] for base in self._bases)

    def last_byte_ns(self) -> int:
        """Return when one of them last took bytes (CLOCK_MONOTONIC)."""
        return max(self.each(LAST_NS))

    def tallies(self, kinds: int) -> list[list[int]]:
        """Return [bytes, iterations, *kinds* of system calls...] of each."""
        words = self._words
        return [
            [words[base + BYTES], words[base + ITERATIONS], *self._board.counts(worker, kinds)]
            for worker, base in zip(self._workers, self._bases, strict=True)
        ]

    def measured(self, kinds: int) -> list[list[int]]:
        """Return what the sink of each has measured, by kind."""
        return [self._board.measures(worker, kinds) for worker in self._workers]
