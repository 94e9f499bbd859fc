"""Give the file in memory huge pages where the config asks for them. Its pages decide what receivers pay to read the payload.

Pages of 4 KiB lie where memory was free. sendfile passes them to the receiver, whose copy then jumps from page to page.
docs/performance.md, "Where the file's pages lie", has figures.
"""

from __future__ import annotations

from zcload.errors import ConfigError, Problem, reason_of
from zcload.lane.payload import Source
from zcload.linux.huge_pages import collapse, huge_page_bytes, huge_share
from zcload.model.study import Point
from zcload.model.units import format_size, human_bytes

KEY, REMEDY = "workload.file_pages", "file_pages = 'auto'"


def settle_pages(source: Source, point: Point) -> Source:
    """Give the file in memory *source* the pages that *point* asks for, and note how much of it lies in huge ones; return it.

    Where memory is too scattered for some huge pages, the rest stays as it is: the result says how much. Raises ConfigError, with
    *source* closed, where this kernel cannot have huge pages of a file in memory.
    """
    huge = huge_page_bytes()
    try:
        if point.file_pages == "huge":
            if huge is None:
                raise ConfigError(Problem("this kernel has no huge pages (CONFIG_TRANSPARENT_HUGEPAGE)", key=KEY, remedy=REMEDY))
            if source.size < huge:
                what = f"a file of {human_bytes(source.size)} is smaller than a huge page of {format_size(huge)}"
                raise ConfigError(Problem(what, key=KEY, remedy=f"file_size = '{format_size(huge)}' or more"))
            try:
                collapse(source.fd, source.size, huge)
            except OSError as error:
                what = f"this kernel cannot give a file in memory huge pages: {reason_of(error)} (madvise(2): MADV_COLLAPSE, Linux 6.1)"
                raise ConfigError(Problem(what, key=KEY, remedy=REMEDY)) from None
    except BaseException:
        source.close()
        raise
    source.huge_share = _share(source, huge)
    return source


def _share(source: Source, huge: int | None) -> float | None:
    """Return which share of the file lies in huge pages; None where the kernel does not say."""
    try:
        return huge_share(source.fd, source.size, huge) if huge else None
    except OSError:
        return None
