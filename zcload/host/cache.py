"""Bring the file into the cache state of the config, before a window and outside its readings, and verify it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Literal

from zcload.linux import interrupt
from zcload.linux.memory import page_aligned
from zcload.linux.pagecache import drop, resident_bytes

NOT_COLD = 0.05  # of the file still cached before a window, or of its bytes sent from the cache: more is not cold
WARM = 0.999  # of the file: less in the cache is not warm
FITS = 0.98  # of the file, right after reading it: less will never be warm, more may be a page that was reclaimed meanwhile
COLD_ENOUGH = NOT_COLD / 10  # a few pages in use elsewhere are not worth waiting for
_PIECE = 4 << 20
# Pages under read-ahead are locked and stay, and so do those in a socket until the last, delayed acknowledgement (40 ms).
_WAITS_S = (0.0, 0.002, 0.005, 0.01, 0.02, 0.04)


class FileCache:
    """Keep file *fd* of *size* bytes in the page cache, or empty it from there before each window."""

    def __init__(self, fd: int, size: int, wanted: Literal["warm", "cold"]) -> None:
        self.fd, self.size, self.wanted = fd, size, wanted
        self._hopeless = False
        if wanted == "cold":
            os.fsync(fd)  # dirty pages cannot be dropped; nobody may write to the file from here on

    @property
    def cold(self) -> bool:
        return self.wanted == "cold"

    def share(self) -> float | None:
        """Return which share of the file is cached, 0..1; None where the kernel does not say."""
        there = resident_bytes(self.fd)
        return None if there is None else there / self.size

    def settle(self) -> float | None:
        """Before a generation: where the file is to be warm, read in what is missing. Return the share that is cached then.

        By reading, not by POSIX_FADV_WILLNEED, which loads no more than one read-ahead (mm/readahead.c, force_page_cache_ra).
        A file of which much is missing right after reading does not fit, and is not read again. Raises Interrupted.
        """
        share = self.share()
        if self.cold or share is None or share == 1.0 or self._hopeless:
            return share
        buffer = page_aligned(_PIECE)
        for start in range(0, self.size, _PIECE):
            os.preadv(self.fd, (buffer,), start)
            interrupt.check()
        share = self.share()
        self._hopeless = share is not None and share < FITS
        return share

    def empty(self) -> dict[str, Any]:
        """Drop the file from the cache and check that it is gone; return what goes into the window's record. Raises Interrupted."""
        start = time.monotonic_ns()
        share = None
        for wait_s in _WAITS_S:
            interrupt.pause(wait_s)
            drop(self.fd)
            share = self.share()
            if share is None or share <= COLD_ENOUGH:
                break
        interrupt.check()
        return {"cached_before": share, "cache_ns": time.monotonic_ns() - start}

    def look_back(self, before: Mapping[str, Any], sent: int) -> dict[str, Any]:
        """After a window that began as *before* and sent *sent* bytes: return what it found in the cache, and whether it was cold.

        What was sent and did not become resident in the window was there already, or was read a second time. Read-ahead hides
        some of that, so it is a lower bound.
        """
        share = self.share()
        if share is None or before["cached_before"] is None:
            return {"cached_after": share, "from_cache_bytes": None, "was_cold": None}
        fresh = round((share - before["cached_before"]) * self.size)
        hits = max(0, sent - max(0, fresh))
        was_cold = before["cached_before"] <= NOT_COLD and hits <= NOT_COLD * sent
        return {"cached_after": share, "from_cache_bytes": hits, "was_cold": was_cold}
