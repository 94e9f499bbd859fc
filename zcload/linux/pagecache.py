"""The page cache of one file: how much of it is cached, and how to drop it.

cachestat(2) (Linux 6.5) counts pages without mapping anything; on older kernels mincore(2) looks through a mapping.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

from zcload.errors import os_error

SYS_CACHESTAT = 451  # the number on every architecture but alpha: arch/*/kernel/syscalls/syscall.tbl
PAGE = os.sysconf("SC_PAGE_SIZE")
_MINCORE_STEP = 1 << 30  # bytes mapped at a time

# linux/magic.h, and hugetlbfs: file systems that are the page cache themselves, so that nothing can be dropped from it.
_MEMORY_FILE_SYSTEMS = {0x01021994: "tmpfs", 0x858458F6: "ramfs", 0x958458F6: "hugetlbfs"}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class _CachestatRange(ctypes.Structure):
    """struct cachestat_range of linux/mman.h; a length of 0 is up to the end of the file."""

    _fields_ = [("off", ctypes.c_uint64), ("len", ctypes.c_uint64)]


class _Cachestat(ctypes.Structure):
    """struct cachestat of linux/mman.h, in pages."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("cache", "dirty", "writeback", "evicted", "recently_evicted")]


def resident_bytes(fd: int) -> int | None:
    """Return how many bytes of the file are in the page cache, whole pages counted; None where the kernel does not say.

    It does not for a file that this user neither owns nor may write to: whose pages are cached is nobody's business
    (can_do_cachestat and can_do_mincore in mm/; mincore then claims that every page is there).
    """
    size = os.fstat(fd).st_size
    stat = _Cachestat()
    if _libc.syscall(SYS_CACHESTAT, fd, ctypes.byref(_CachestatRange(0, 0)), ctypes.byref(stat), 0) == 0:
        return min(int(stat.cache) * PAGE, size)
    # ENOSYS: older than 6.5. EPERM: not our file, or a sandbox that knows no such call. EOPNOTSUPP: hugetlbfs.
    if ctypes.get_errno() in (errno.ENOSYS, errno.EPERM) and _may_ask(fd):
        return mincore_bytes(fd)
    return None


def _may_ask(fd: int) -> bool:
    return os.geteuid() in (0, os.fstat(fd).st_uid) or os.access(f"/proc/self/fd/{fd}", os.W_OK)


def mincore_bytes(fd: int) -> int:
    """Return the same by mincore(2), which maps the file, a GiB at a time; raises OSError."""
    size, there = os.fstat(fd).st_size, 0
    for start in range(0, size, _MINCORE_STEP):
        length = min(_MINCORE_STEP, size - start)
        pages = -(-length // PAGE)
        state = ctypes.create_string_buffer(pages)
        address = _libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, start)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        failed = _libc.mincore(address, length, state)
        error = ctypes.get_errno()
        _libc.munmap(address, length)
        if failed:
            raise OSError(error, "mincore")
        # Only the lowest bit of a byte says anything: mincore(2).
        there += sum(state.raw.count(bytes([value])) for value in range(1, 256, 2)) * PAGE
    return min(there, size)


def drop(fd: int) -> None:
    """Ask the kernel to drop the file's clean, unused pages.

    posix_fadvise(2): dirty pages stay, so fsync first; so do pages that are mapped and touched, locked by a read on its way, or
    still in a socket (mm/truncate.c, mapping_try_invalidate).
    """
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def memory_file_system(path: str) -> str | None:
    """Return the name of the file system that holds *path* if it keeps files in memory alone, else None; raises OSError."""
    buffer = ctypes.create_string_buffer(512)  # struct statfs has 120 bytes at most; its first word is f_type (statfs(2))
    if _libc.statfs(os.fsencode(path), buffer):
        raise os_error(ctypes.get_errno(), path)
    # On s390 that word is an int, everywhere else a long.
    word = ctypes.c_uint32 if os.uname().machine.startswith("s390") else ctypes.c_ulong
    return _MEMORY_FILE_SYSTEMS.get(word.from_buffer(buffer).value & 0xFFFFFFFF)
