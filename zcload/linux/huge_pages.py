"""Huge pages of a file in memory: ask the kernel for them, and see how much of the file lies in them. Needs no privilege."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from zcload.errors import os_error
from zcload.linux import interrupt

_MADV_COLLAPSE = 25  # linux/mman.h, since Linux 6.1: whatever the settings in /sys say (madvise(2))
_NO_ROOM = (errno.ENOMEM, errno.EBUSY, errno.EAGAIN)  # of MADV_COLLAPSE: of this page now, not of all (madvise(2))
_PROT_NONE = 0
_MAP_FIXED = 0x10  # asm-generic/mman-common.h, the same on all architectures that CPython runs on but parisc
_SIZE = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
_MAPPED = ("ShmemPmdMapped:", "FilePmdMapped:")  # proc_pid_smaps(5), in kB

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def huge_page_bytes() -> int | None:
    """Return the size of a huge page; None on a kernel without them."""
    try:
        return int(_SIZE.read_text())
    except (OSError, ValueError):
        return None


@cache
def gives_huge_pages() -> bool:
    """Say whether this kernel gives a file in memory huge pages on demand: tried once, on a page of its own."""
    huge = huge_page_bytes()
    if huge is None:
        return False
    try:
        with open(os.memfd_create("zcload-probe", os.MFD_CLOEXEC), "wb", buffering=0) as file:
            file.write(b"\0")  # a hole does not collapse
            file.truncate(huge)
            collapse(file.fileno(), huge, huge)
    except OSError:
        return False
    return True


def collapse(fd: int, size: int, huge: int) -> None:
    """Move the file's *size* bytes into pages of *huge* bytes, each where the kernel finds one; what is left at the end stays.

    Raises OSError where the kernel cannot do so at all: EINVAL before Linux 6.1, or without huge pages of files in memory. Raises
    Interrupted on a signal, TimeLimitExceeded.
    """
    with _mapped(fd, size, huge) as start:
        for at in range(start, start + size - huge + 1, huge):
            interrupt.check()  # a file of 100 GB takes half a minute
            if _libc.madvise(at, huge, _MADV_COLLAPSE) and (code := ctypes.get_errno()) not in _NO_ROOM and at == start:
                raise os_error(code, "madvise")


def huge_share(fd: int, size: int, huge: int) -> float:
    """Return which share of the file (0..1) lies in pages of *huge* bytes: what a mapping of it has in entries of that size.

    Touches a byte of every huge page, so ask it of files in memory only. Raises OSError where /proc is not to be read.
    """
    with _mapped(fd, size, huge) as start:
        for at in range(start, start + size, huge):
            ctypes.c_char.from_address(at).value  # noqa: B018 - reading it maps the page
        kib = 0
        with open("/proc/self/smaps") as lines:
            ours = False
            for line in lines:
                if "-" in line.partition(" ")[0]:
                    ours = line.startswith(f"{start:08x}-")
                elif ours and line.startswith(_MAPPED):
                    kib += int(line.split()[1])
    return min(1.0, (kib << 10) / size)


@contextmanager
def _mapped(fd: int, size: int, huge: int) -> Iterator[int]:
    """Give the address of a mapping of the file for reading, which begins where a huge page may."""
    room = _map(None, size + huge, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    try:
        yield _map(-(-room // huge) * huge, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, fd)
    finally:
        _libc.munmap(room, size + huge)


def _map(where: int | None, size: int, protection: int, flags: int, fd: int) -> int:
    found = _libc.mmap(where, size, protection, flags, fd, 0)
    if found in (None, ctypes.c_void_p(-1).value):
        raise os_error(ctypes.get_errno(), "mmap")
    return int(found)
