"""Huge pages of a file in memory: moved there without privileges, seen in /proc, and refused in words where they cannot be had."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import struct
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.kernel import needs_collapse

from zcload.errors import ConfigError, Interrupted
from zcload.lane import file_pages
from zcload.lane.payload import copy_memory, empty_memory, fill_memory, open_source
from zcload.linux import huge_pages, interrupt
from zcload.linux.huge_pages import collapse, huge_page_bytes, huge_share
from zcload.model.study import Point

HUGE = huge_page_bytes() or 2 << 20


def made(size, pages="small"):
    """Return a made file in memory of *size* bytes with *pages*."""
    return fill_memory(empty_memory(), size, pages, lambda what, fraction: None)


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
    fd = empty_memory()
    with pytest.raises(ConfigError) as caught:
        fill_memory(fd, size, "huge", lambda what, fraction: None)
    (problem,) = caught.value.problems
    assert (problem.key, says in problem.what, (problem.remedy or "").startswith(remedy)) == ("workload.file_pages", True, True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize(("huge", "how"), [(None, collapse), (HUGE, refuse), (512 << 20, refuse)])
def test_a_kernel_without_huge_pages_gives_a_file_its_own(monkeypatch, huge, how):
    """By default a kernel that cannot collapse, has no huge pages, or only ones far larger than files are, is no error."""
    monkeypatch.setattr(file_pages, "huge_page_bytes", lambda: huge)
    monkeypatch.setattr(file_pages, "collapse", how)
    usual, small = made(3 * HUGE + 5000, "auto"), made(3 * HUGE + 5000)
    assert (usual.size, usual.digest) == (small.size, small.digest)
    usual.close()
    small.close()


@needs_collapse
def test_a_result_says_which_pages_the_file_has(monkeypatch):
    """What "auto" means is huge pages where the kernel gives them, seen by asking for one; where it refuses, a result says small."""
    huge_pages.gives_huge_pages.cache_clear()
    assert file_pages.pages_given("auto") == file_pages.pages_given("huge") == "huge"
    assert file_pages.pages_given("small") == "small"
    monkeypatch.setattr(huge_pages, "collapse", refuse)
    huge_pages.gives_huge_pages.cache_clear()
    assert file_pages.pages_given("auto") == "small"
    huge_pages.gives_huge_pages.cache_clear()


def physical(source):
    """Return the numbers of the page frames that the file lies in, from /proc/self/pagemap (proc_pid_pagemap(5): bits 0 to 54)."""
    with mmap.mmap(source.fd, source.size, mmap.MAP_SHARED, mmap.PROT_READ) as view, open("/proc/self/pagemap", "rb") as entries:
        pages = [view[at] for at in range(0, source.size, mmap.PAGESIZE)]
        inode = str(os.fstat(source.fd).st_ino)
        (start,) = (line.partition("-")[0] for line in Path("/proc/self/maps").read_text().splitlines() if line.split()[4] == inode)
        entries.seek(int(start, 16) // mmap.PAGESIZE * 8)
        return [frame & ((1 << 55) - 1) for (frame,) in struct.iter_unpack("Q", entries.read(8 * len(pages)))]


@needs_collapse
@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees page frames; remedy: run as root")
@pytest.mark.parametrize("size", [64 << 10, 1 << 20, HUGE + 5000, HUGE + (1 << 20)])
def test_small_files_and_ends_are_contiguous(size):
    """By default each stretch of a huge page's size, and what is left at the end, is physically contiguous, and no more memory is used."""
    first = made(size, "auto")
    copies = [copy_memory(first.fd, size, first.digest, "auto") for _ in range(8)]  # where memory is scattered, one may be denied
    assert any(contiguous(physical(source)) for source in (first, *copies))
    for source in (first, *copies):
        assert os.fstat(source.fd).st_blocks * 512 <= size + mmap.PAGESIZE
        source.close()


def contiguous(frames):
    """Return whether page frames follow each other within each huge page."""
    step = HUGE // mmap.PAGESIZE
    parts = [frames[at : at + step] for at in range(0, len(frames), step)]
    return all(part == list(range(part[0], part[0] + len(part))) for part in parts)


@pytest.mark.parametrize(
    ("share", "size", "few"),
    [
        (None, 8 * HUGE, False),
        (1.0, 8 * HUGE, False),
        (0.875, 8 * HUGE, True),
        (0.0, 8 * HUGE, True),
        (0.0, HUGE - 1, False),
        (0.67, 3 * HUGE // 2, False),
    ],
)
def test_few_huge_pages_are_told_from_an_end_that_has_none(monkeypatch, share, size, few):
    """Only whole huge pages are missed: not the end of a file, not a small file, and nothing where the share is unknown."""
    monkeypatch.setattr(file_pages, "huge_page_bytes", lambda: HUGE)
    assert file_pages.few_huge_pages("auto", share, size) is few


def test_a_signal_ends_what_gives_a_file_huge_pages(monkeypatch):
    """Huge pages of a large file take seconds: a signal ends that before the next of them."""
    monkeypatch.setattr(file_pages, "huge_page_bytes", lambda: HUGE)
    monkeypatch.setattr(interrupt, "requested", signal.SIGTERM)
    with open(empty_memory(), "rb") as file, pytest.raises(Interrupted):
        file_pages.arrange_pages(file.fileno(), 4 * HUGE, "auto")


@pytest.mark.parametrize(("pages", "few"), [("auto", False), ("huge", True), ("small", False)])
def test_huge_pages_that_are_too_large_are_not_missed(monkeypatch, pages, few):
    """Where a huge page has 512 MiB, "auto" does not ask for any, so a file without them is no caution; "huge" asks."""
    monkeypatch.setattr(file_pages, "huge_page_bytes", lambda: 512 << 20)
    assert file_pages.few_huge_pages(pages, 0.0, 1 << 30) is few


@needs_collapse
@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm to write to; remedy: mount -t tmpfs tmpfs /dev/shm")
def test_the_file_of_servers_is_treated_alike():
    """A made file that servers open by its name lies in huge pages where it is in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        source = open_source(Point(file_size=4 * HUGE), lambda what, fraction: None, Path(folder))
        assert source.huge_share is not None
        assert source.huge_share >= 0.5  # one may be denied where memory is scattered
        source.close()


def test_a_share_that_is_unknown_is_none(monkeypatch):
    """Where /proc is not to be read, or the kernel has no huge pages, the file is used as it is and its share is unknown."""
    for name, value in (("huge_share", refuse), ("huge_page_bytes", lambda: None)):
        monkeypatch.setattr(file_pages, name, value)
        source = made(1 << 20)
        assert source.huge_share is None
        source.close()
