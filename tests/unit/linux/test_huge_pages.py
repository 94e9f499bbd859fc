"""Huge pages of a file in memory: moved there without privileges, seen in /proc, and refused in words where they cannot be had."""

from __future__ import annotations

import ctypes
import errno
import os
from types import SimpleNamespace

import pytest
from support.kernel import needs_collapse

from zcload.errors import ConfigError
from zcload.lane import file_pages
from zcload.lane.payload import empty_memory, fill_memory
from zcload.linux import huge_pages
from zcload.linux.huge_pages import collapse, huge_page_bytes, huge_share
from zcload.model.study import Point

HUGE = huge_page_bytes() or 2 << 20


def made(size):
    """Return a made file in memory of *size* bytes."""
    return fill_memory(empty_memory(), size, lambda what, fraction: None)


@needs_collapse
def test_a_file_moves_into_huge_pages_with_its_bytes():
    """A collapsed file lies in huge pages, all but what is left beyond the last whole one, and has the same bytes."""
    size = 4 * HUGE + 5000
    source = made(size)
    try:
        before = os.pread(source.fd, size, 0)
        collapse(source.fd, size, HUGE)
        assert huge_share(source.fd, size, HUGE) >= 3 * HUGE / size  # one may be denied where memory is scattered
        assert os.pread(source.fd, size, 0) == before
    finally:
        source.close()


@needs_collapse
def test_the_share_tells_both_kinds_apart():
    """Of a file with one page of each kind the share is that of the huge one."""
    fd = empty_memory()
    try:
        for page in range(2 * HUGE // 4096):
            os.pwrite(fd, b"x" * 4096, page * 4096)
        if huge_share(fd, 2 * HUGE, HUGE):
            pytest.skip(
                "files in memory get huge pages unasked here; remedy: echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled"
            )
        collapse(fd, HUGE, HUGE)
        assert huge_share(fd, 2 * HUGE, HUGE) == pytest.approx(0.5)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("code", "refused"), [(errno.EINVAL, True), (errno.ENOSYS, True), (errno.ENOMEM, False), (errno.EBUSY, False), (errno.EAGAIN, False)]
)
def test_only_a_kernel_that_cannot_collapse_is_an_error(monkeypatch, code, refused):
    """A page for which there is no room just now stays as it is, the first one too; what no page will ever get is an error."""

    def fail(*arguments):
        ctypes.set_errno(code)
        return -1

    libc = huge_pages._libc
    monkeypatch.setattr(huge_pages, "_libc", SimpleNamespace(mmap=libc.mmap, munmap=libc.munmap, madvise=fail))
    source = made(3 * HUGE)
    try:
        if refused:
            with pytest.raises(OSError, match=os.strerror(code)):
                collapse(source.fd, source.size, HUGE)
        else:
            collapse(source.fd, source.size, HUGE)
    finally:
        source.close()


def refuse(*arguments):
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.mark.parametrize(
    ("size", "huge", "how", "says", "remedy"),
    [
        (4096, HUGE, collapse, "smaller than a huge page", "file_size = '"),
        (1 << 20, None, collapse, "CONFIG_TRANSPARENT_HUGEPAGE", "file_pages = 'auto'"),
        (2 * HUGE, HUGE, refuse, "MADV_COLLAPSE", "file_pages = 'auto'"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_remedy(monkeypatch, size, huge, how, says, remedy):
    """A file that is too small, and a kernel that has no huge pages or cannot collapse, are refused by the key with what to write."""
    monkeypatch.setattr(file_pages, "huge_page_bytes", lambda: huge)
    monkeypatch.setattr(file_pages, "collapse", how)
    source = made(size)
    with pytest.raises(ConfigError) as caught:
        file_pages.settle_pages(source, Point(file_size=size, file_pages="huge"))
    (problem,) = caught.value.problems
    assert (problem.key, says in problem.what, (problem.remedy or "").startswith(remedy)) == ("workload.file_pages", True, True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source.fd)


def test_a_share_that_is_unknown_is_none(monkeypatch):
    """Where /proc is not to be read, or the kernel has no huge pages, the file is used as it is and its share is unknown."""
    for name, value in (("huge_share", refuse), ("huge_page_bytes", lambda: None)):
        monkeypatch.setattr(file_pages, name, value)
        source = made(1 << 20)
        assert file_pages.settle_pages(source, Point(file_size=1 << 20)).huge_share is None
        source.close()
