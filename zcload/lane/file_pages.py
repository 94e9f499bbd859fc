"""Give a made file in memory its pages: huge ones, or those that the kernel gives. They decide what receivers pay to read the payload.

The kernel gives a file in memory pages of 4 KiB from wherever memory is free. sendfile passes them to the receiver, whose copy then jumps
from page to page. A file on a disk lies in large folios in the page cache of a current kernel, and costs what huge pages cost.
docs/performance.md, "Where the file's pages lie", has figures.
"""

from __future__ import annotations

import os
from typing import Literal

from zcload.errors import ConfigError, Problem, reason_of
from zcload.linux.huge_pages import collapse, gives_huge_pages, huge_page_bytes, huge_share
from zcload.model.study import FilePages
from zcload.model.units import format_size, human_bytes

KEY, REMEDY = "workload.file_pages", "file_pages = 'auto'"
_MOST = 0.9  # with nine in ten huge pages the others hardly move a result
_LARGEST = 32 << 20  # with base pages of 64 KiB a huge page has 512 MiB: too large to ask for without being told to


def arrange_pages(fd: int, size: int, pages: FilePages) -> None:
    """Give the empty file in memory *fd*, which is to have *size* bytes, the *pages* that are asked for; they read as zeros until filled.

    Where memory is too scattered for some huge pages, the file gets small ones there when it is filled. Raises ConfigError where *pages* is
    "huge" and this kernel or this size cannot have them.
    """
    huge = _wanted(pages)
    if pages == "huge":
        _check(size, huge)
    if huge is None:
        return
    whole = -(-size // huge) * huge
    try:
        for start in range(0, whole, huge):
            os.pwrite(fd, b"\0", start)  # a hole does not collapse
        # The end of the file, and a small file, get a huge page for a moment. Truncation splits it, and what remains is contiguous.
        os.ftruncate(fd, whole)
        try:
            collapse(fd, whole, huge)
        finally:
            os.ftruncate(fd, size)
    except OSError as error:
        if pages == "huge":
            what = f"this kernel cannot give a file in memory huge pages: {reason_of(error)} (madvise(2): MADV_COLLAPSE, Linux 6.1)"
            raise ConfigError(Problem(what, key=KEY, remedy=REMEDY)) from None


def pages_given(pages: FilePages) -> Literal["huge", "small"]:
    """Return the kind of pages that *pages* means on this host: "auto" means small ones where the kernel gives no others."""
    return "small" if _wanted(pages) is None or not gives_huge_pages() else "huge"


def _wanted(pages: FilePages) -> int | None:
    """Return the size of the huge pages that *pages* asks for on this kernel; None where it asks for none, or there are none."""
    huge = huge_page_bytes()
    return None if pages == "small" or huge is None or (pages == "auto" and huge > _LARGEST) else huge


def _check(size: int, huge: int | None) -> None:
    if huge is None:
        raise ConfigError(Problem("this kernel has no huge pages (CONFIG_TRANSPARENT_HUGEPAGE)", key=KEY, remedy=REMEDY))
    if size < huge:
        what = f"a file of {human_bytes(size)} is smaller than a huge page of {format_size(huge)}"
        raise ConfigError(Problem(what, key=KEY, remedy=f"file_size = '{format_size(huge)}' or more"))


def share_in_huge_pages(fd: int, size: int) -> float | None:
    """Return which share of the file in memory (0..1) lies in huge pages; None where the kernel does not say."""
    huge = huge_page_bytes()
    try:
        return huge_share(fd, size, huge) if huge else None
    except OSError:
        return None


def few_huge_pages(pages: FilePages, share: float | None, size: int) -> bool:
    """Say whether clearly less of a file of *size* bytes lies in huge pages, its *share*, than *pages* asks for; False if unknown."""
    huge = _wanted(pages)
    return share is not None and huge is not None and share * size < _MOST * (size // huge * huge)
