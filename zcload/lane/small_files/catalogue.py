"""The small files of a lane: parts of one large file, in an order that both ends know beforehand."""

from __future__ import annotations

import hashlib
import os
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from zcload.linux.memory import PAGE

MOST_FILES = 1 << 16  # with 4 KiB and less that is a file of 256 MiB; beyond it a list of files would itself fill the caches


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Small files in the order in which they are sent: the *offsets* of each, at pages, and its *sizes* in bytes."""

    offsets: array[int]
    sizes: array[int]

    def __len__(self) -> int:
        return len(self.sizes)

    def start(self, sender: int, senders: int) -> int:
        """Return the file that a sender begins with: all senders use the same order, as far apart in it as possible."""
        return sender * len(self) // senders

    def digest(self, fd: int, start: int, count: int) -> str:
        """Return the SHA-256 of the SHA-256s of *count* files from number *start* on."""
        whole = hashlib.sha256()
        for number in range(start, start + count):
            at = number % len(self)
            whole.update(hashlib.sha256(os.pread(fd, self.sizes[at], self.offsets[at])).digest())
        return whole.hexdigest()


@lru_cache(maxsize=8)
def lay_out(sizes: Sequence[int], file_bytes: int) -> Catalogue:
    """Return small files of these *sizes* within a file of *file_bytes*, each size equally often: the same every time.

    They lie side by side at page boundaries until the large file is full, so that they use as much cache as the whole file. They are sent
    in random order, each once before any is repeated. Where more sizes are asked for than fit, files overlap.
    """
    rng = random.Random(f"small files {file_bytes} {sum(sizes)} {len(sizes)}")
    mean_slot = sum(-(-size // PAGE) * PAGE for size in sizes) / len(sizes)
    wanted = min(MOST_FILES, max(int(file_bytes // mean_slot), len(sizes)))
    drawn = [*sizes] * (wanted // len(sizes)) if len(sizes) <= wanted else []
    drawn += rng.sample(sizes, wanted - len(drawn))
    rng.shuffle(drawn)
    offset, placed = 0, []
    for size in drawn:
        if offset + size > file_bytes:
            offset = 0
        placed.append((offset, size))
        offset += -(-size // PAGE) * PAGE
    rng.shuffle(placed)
    return Catalogue(array("q", (offset for offset, _ in placed)), array("q", (size for _, size in placed)))
